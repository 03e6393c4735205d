"""Export of a node's audit log to the store: checkpoints of the file, and a list of security events.

All writes run in the background.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final, TypeVar

from portward.engines.port import Engine, Key
from portward.model.clock import Clock, Timer
from portward.node.sessions import Background, NodeContext
from portward.telemetry import AuditEntry, AuditError, AuditFile, AuditLog, Telemetry
from portward.telemetry.audit.checkpoint import as_text, from_text, note_key
from portward.telemetry.events import Event

T = TypeVar("T")

CHECKPOINT_INTERVAL: Final = 10.0
FLUSH_TIME: Final = 1.0
"""Seconds to wait until the recorded entries are on the disk."""

EVENTS: Final = "ws_security_events"
EVENTS_KEPT: Final = 10_000
WAITING: Final = 1_000
"""Maximum number of events that wait for the store."""
BATCH: Final = 250
GATHER: Final = 1.0
"""Seconds over which events are gathered, and after which a failed write is tried again."""


class AuditExporter:
    """Checkpoints and security events of one node, under its name, which is the same in every run."""

    def __init__(self, context: NodeContext) -> None:
        node = context.settings.now.server.instance_id or context.machine
        self._background = context.background
        shared = context.engine, context.telemetry, context.background, context.clock, node
        self._parts = Checkpoints(*shared), SecurityEvents(*shared)

    def start(self) -> None:
        """Compare the audit file with the stored checkpoint and start writing. The engine must run."""
        for part in self._parts:
            part.start()

    def stop(self) -> None:
        """Write the remaining entries in the background, then stop."""
        for part in self._parts:
            self._background.run(part.stop())


class Checkpoints:
    """Stores the newest checkpoint of the audit file, so that a later cut of the file is detected."""

    def __init__(
        self, engine: Engine, telemetry: Telemetry, background: Background, clock: Clock, node: str
    ) -> None:
        self._engine = engine
        self._telemetry = telemetry
        self._background = background
        self._clock = clock
        self._node = node
        self._timer: Timer | None = None
        self._compared = False
        """Whether the stored checkpoint was compared with the file; it is not overwritten before that."""
        self._busy = False
        self._kept = 0
        self._seen = 0

    @property
    def _audit(self) -> AuditLog:
        return self._telemetry.audit

    def start(self) -> None:
        """Compare once, then store checkpoints; without an audit file this does nothing."""
        if self._audit.file is not None:
            self._due()

    def _due(self) -> None:
        self._timer = self._clock.call_later(CHECKPOINT_INTERVAL, self._due)
        self._background.run(self.keep())

    async def stop(self) -> None:
        """Store a last checkpoint."""
        if self._timer is not None:
            self._timer.cancel()
            await self.keep()

    async def keep(self) -> None:
        """Store a checkpoint of all recorded entries, when there are more than at the last one.

        Raises:
            Unavailable: the checkpoint was not stored.
        """
        file = self._audit.file
        if self._busy or file is None:
            return
        self._busy = True
        try:
            key = note_key(file.name, self._node)
            if not self._compared:
                await self._compare(file, key)
                self._compared = True
            if self._audit.last > self._seen:
                await self._write(file, key)
        finally:
            self._busy = False

    async def _write(self, file: AuditFile, key: str) -> None:
        last = self._audit.last
        file.mark()
        await _off_the_loop(lambda: self._audit.flush(FLUSH_TIME))
        checkpoint = file.checkpoint
        if checkpoint is not None and checkpoint.seq > self._kept:
            await self._engine.kv.put(Key(key), as_text(checkpoint).encode())
            self._kept = checkpoint.seq
            self._seen = min(last, self._kept)

    async def _compare(self, file: AuditFile, key: str) -> None:
        """Record `audit.cut` when the file contradicts the stored checkpoint or one cannot be read."""
        kept = await self._engine.kv.get(Key(key))
        if kept is None:
            return
        try:
            checkpoint = from_text(kept.decode("utf-8", "replace"), file.name, key)
            reason = await _off_the_loop(lambda: file.contradicts(checkpoint))
        except (AuditError, OSError) as error:
            self._telemetry.record(
                Event.AUDIT_CUT, reason="unreadable", file=file.name, error=type(error).__name__
            )
            return
        if reason:
            missing = max(0, checkpoint.seq - file.end.seq)
            self._telemetry.record(
                Event.AUDIT_CUT, reason=reason, file=file.name, seq=checkpoint.seq, count=missing
            )


class SecurityEvents:
    """Prepends audit events to a list in the store, which all nodes write and other programs may read.

    While the store is unavailable up to `WAITING` events are queued; further events are dropped, and
    their number is recorded later as `audit.fail`. A lost reply of the store may duplicate a batch.
    """

    def __init__(
        self, engine: Engine, telemetry: Telemetry, background: Background, clock: Clock, node: str
    ) -> None:
        self._engine = engine
        self._telemetry = telemetry
        self._background = background
        self._clock = clock
        self._node = node
        self._queue: deque[AuditEntry] = deque()
        self._timer: Timer | None = None
        self._writing = False
        self._stopped = False
        self.lost = 0
        """Events dropped because the queue was full, since the last report."""

    def start(self) -> None:
        """Start with the entries of this run so far. An engine for one process only has no such list."""
        if self._engine.shared_by_nodes:
            audit = self._telemetry.audit
            for entry in audit.recent(WAITING, since=audit.began):
                self.add(entry)
            audit.listeners.append(self.add)

    async def stop(self) -> None:
        """Write the queued events and stop."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        listeners = self._telemetry.audit.listeners
        if self.add in listeners:
            listeners.remove(self.add)
            await self.write()

    def add(self, entry: AuditEntry) -> None:
        """Queue an event, or count it as lost when the queue is full."""
        if len(self._queue) >= WAITING:
            if not self.lost:  # log now: the store may stay unavailable for long
                self._telemetry.log.event(Event.AUDIT_FAIL, reason="shared")
            self.lost += 1
            return
        self._queue.append(entry)
        self._schedule()

    def _schedule(self) -> None:
        if self._timer is None and not (self._writing or self._stopped):
            self._timer = self._clock.call_later(GATHER, self._due)

    def _due(self) -> None:
        self._timer = None
        self._background.run(self.write())

    async def write(self) -> None:
        """Write the queued events in batches; a batch that fails stays queued.

        Raises:
            Unavailable: the store cannot be reached.
        """
        if self._writing:
            return
        self._writing = True
        try:
            while batch := tuple(islice(self._queue, BATCH)):
                texts = tuple(map(self._text, batch))
                await self._engine.kv.prepend(Key(EVENTS), texts, EVENTS_KEPT)
                for _ in batch:
                    self._queue.popleft()
                self._report_losses()
        finally:
            self._writing = False
            if self._queue:
                self._schedule()

    def _report_losses(self) -> None:
        lost, self.lost = self.lost, 0
        if lost:
            self._telemetry.record(Event.AUDIT_FAIL, reason="shared", count=lost)

    def _text(self, entry: AuditEntry) -> str:
        """Return the fields of a line of the audit file and the name of the node, as JSON."""
        return json.dumps(
            {
                "seq": entry.seq,
                "time": entry.time,
                "node": self._node,
                "event": entry.event,
                "fields": entry.fields,
            },
            separators=(",", ":"),
        )


async def _off_the_loop(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(None, work)
