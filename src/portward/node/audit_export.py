"""What a node writes down in the store about its audit: how far it went, and what happened.

Nobody waits for any of it.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final, TypeVar

from portward.engines.port import Engine
from portward.model.clock import Clock, Timer
from portward.node.background import Background
from portward.telemetry import AuditEntry, AuditError, AuditFile, AuditLog, Telemetry
from portward.telemetry.audit.checkpoint import as_text, from_text, note_key
from portward.telemetry.events import Event

T = TypeVar("T")

CHECKPOINT_INTERVAL: Final = 10.0
FLUSH_TIME: Final = 1.0
"""Seconds to wait until what was recorded is on the disk."""

EVENTS: Final = "ws_security_events"
EVENTS_KEPT: Final = 10_000
WAITING: Final = 1_000
"""Events that may wait for the store."""
BATCH: Final = 250
GATHER: Final = 1.0
"""Seconds over which events are gathered, and after which a store that was away is tried again."""


class AuditExporter:
    """Both kinds, for one node. `node` is its name, the same in every run."""

    def __init__(
        self, engine: Engine, telemetry: Telemetry, background: Background, clock: Clock, node: str
    ) -> None:
        self._background = background
        self._parts = (
            Checkpoints(engine, telemetry, background, clock, node),
            SecurityEvents(engine, telemetry, background, clock, node),
        )

    def start(self) -> None:
        """Compare the audit with what the store knows of it, and begin to write. The engine runs."""
        for part in self._parts:
            part.start()

    def stop(self) -> None:
        """Write what is left, in the background, and then no more."""
        for part in self._parts:
            self._background.run(part.stop())


class Checkpoints:
    """Keeps the newest checkpoint of the audit file in the store, where cutting the file does not reach."""

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
        """Nothing is written over before it was looked at."""
        self._busy = False
        self._kept = 0
        self._seen = 0

    @property
    def _audit(self) -> AuditLog:
        return self._telemetry.audit

    def start(self) -> None:
        """Compare, and begin; without a file there is nothing to do."""
        if self._audit.file is not None:
            self._due()

    def _due(self) -> None:
        self._timer = self._clock.call_later(CHECKPOINT_INTERVAL, self._due)
        self._background.run(self.keep())

    async def stop(self) -> None:
        """Keep a last one."""
        if self._timer is not None:
            self._timer.cancel()
            await self.keep()

    async def keep(self) -> None:
        """Keep a checkpoint of all that was recorded, when that is more than last time.

        Raises:
            EngineUnavailable: it is not kept.
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
                await self._write(key)
        finally:
            self._busy = False

    async def _write(self, key: str) -> None:
        last = self._audit.last
        self._audit.mark()
        await _off_the_loop(lambda: self._audit.flush(FLUSH_TIME))
        checkpoint = self._audit.checkpoint
        if checkpoint is not None and checkpoint.seq > self._kept:
            await self._engine.notes.set(key, as_text(checkpoint))
            self._kept = checkpoint.seq
            self._seen = min(last, self._kept)

    async def _compare(self, file: AuditFile, key: str) -> None:
        """Say loudly that the file is not what it was when the last checkpoint was kept."""
        text = await self._engine.notes.get(key)
        if text is None:
            return
        try:
            checkpoint = from_text(text, file.name, key)
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
    """Puts what is audited before a list that every node of the store writes and others may read.

    While the store is away so many wait; of more the number is told, later, as `audit.fail`. An answer
    that was lost may put the same events there twice.
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
        """Events that found no room, since that was last told."""

    def start(self) -> None:
        """Begin, with what this run has recorded already. A store that nobody shares has no such list."""
        if self._engine.spans:
            audit = self._telemetry.audit
            for entry in audit.recent(WAITING, since=audit.began):
                self.add(entry)
            audit.listeners.append(self.add)

    async def stop(self) -> None:
        """Write what waits."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        listeners = self._telemetry.audit.listeners
        if self.add in listeners:
            listeners.remove(self.add)
            await self.write()

    def add(self, entry: AuditEntry) -> None:
        """Take an event, if there is room."""
        if len(self._queue) >= WAITING:
            if not self.lost:  # to the log at once: it may be long until the list can be told
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
        """Write what waits, in batches; what cannot be written waits on.

        Raises:
            EngineUnavailable: the store is away.
        """
        if self._writing:
            return
        self._writing = True
        try:
            while batch := tuple(islice(self._queue, BATCH)):
                texts = tuple(map(self._text, batch))
                await self._engine.notes.prepend(EVENTS, texts, EVENTS_KEPT)
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
        """The fields of a line of the audit file, and whose line it is."""
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
