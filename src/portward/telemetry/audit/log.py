"""The audit: security events, numbered, chained and stored.

`AuditLog.append` runs on the event loop; it only numbers an event, keeps it in memory and adds it to a
bounded queue. A thread makes and writes the lines; after a failure they wait and are tried again every
second. When the queue is full, events are lost and counted, and the count is written as soon as there is
room (policy "drop and alarm"): the chain itself has no gap.
"""

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final

from portward.model.clock import Clock
from portward.telemetry.audit.chain import AuditEntry
from portward.telemetry.audit.checkpoint import (
    Checkpoint,
    CheckpointStore,
    FileCheckpoints,
    checkpoint_path,
)
from portward.telemetry.audit.file import KEPT, DailyAuditFile, audit_files
from portward.telemetry.audit.tail import betrays
from portward.telemetry.audit.writer import EVERY, KEPT_DAYS, AuditWriter, Mark, NewDay, Step
from portward.telemetry.events import Event
from portward.telemetry.fields import Tidy
from portward.telemetry.log import stamp
from portward.telemetry.worker_queue import RETRY, QueueThread

QUEUE: Final = 10_000
"""The most events that wait to be written."""
_STEPS: Final = 4
"""The most queue items that one event can add: a new day, its first line, a count of losses, itself."""


class AuditFile:
    """The target file of an audit.

    `key` comes from `keys.audit_key`. `checkpoints` is by default a small file beside it, and `name` is the
    file's name there; `every` is the number of lines between checkpoints. The constructor opens the file and
    reads its end; an `AuditLog` does the rest.

    Raises:
        AuditError: the file cannot be opened, or another process writes it.
    """

    def __init__(
        self,
        path: Path,
        key: bytes,
        clock: Clock,
        *,
        checkpoints: CheckpointStore | None = None,
        name: str = "",
        every: int = EVERY,
        capacity: int = QUEUE,
        retry: float = RETRY,
    ) -> None:
        self.path = path
        self.name = name or path.name
        now = datetime.fromtimestamp(clock.time(), UTC)
        journal = DailyAuditFile(path, key, now)
        journal.prune(now.date() - KEPT_DAYS)
        self.fresh = journal.empty
        self.day = journal.found.day or now.date()
        self.entries = journal.found.entries
        self.end = journal.found.link
        """The end of the chain when the file was opened."""
        self._key = key
        store = checkpoints or FileCheckpoints(checkpoint_path(path))
        self.scribe = AuditWriter(journal, key, store, self.name, every)
        self.drain: QueueThread[Step] = QueueThread(
            self.scribe.handle, name="portward-audit", capacity=capacity, retry=retry
        )

    @property
    def failures(self) -> int:
        """The number of failed writes, and of events lost by an internal error."""
        return self.scribe.failures + self.drain.broken

    def contradicts(self, checkpoint: Checkpoint) -> str:
        """Return the result of `tail.betrays`. It reads files: do not call it on the event loop.

        Raises:
            OSError: a file cannot be read.
        """
        return betrays(checkpoint, self.end, self._key, audit_files(self.path))

    def close(self, timeout: float) -> int:
        """Write the remaining lines; returns how many events were not written."""
        left = self.drain.close(timeout)
        if self.drain.stopped:
            self.scribe.close()
        return left


class AuditLog:
    """The security events of one gateway: the newest in memory, and all of them in `file`."""

    def __init__(self, clock: Clock, file: AuditFile | None = None) -> None:
        self.listeners: list[Callable[[AuditEntry], None]] = []
        """Functions called with each event on the event loop; they must return at once and never raise."""
        self._clock = clock
        self._file = file
        self._recent: deque[AuditEntry] = deque(maxlen=KEPT)
        self._seq = 0
        self._lost = 0
        self._unsaid = 0
        self._closed = False
        if file is not None:
            self._recent.extend(file.entries)
            self._seq = file.scribe.last
        self.began = self._seq
        """Number of the last event of an earlier run."""
        if file is not None:
            self._begin(file)

    @property
    def file(self) -> AuditFile | None:
        """The file that the events are written to."""
        return self._file

    @property
    def last(self) -> int:
        """Number of the newest event, written or not."""
        return self._seq

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The newest checkpoint of this run; the lines before it are on the disk."""
        return None if self._file is None else self._file.scribe.checkpoint

    @property
    def mended(self) -> list[Tidy]:
        """The problems of the file when it was opened; they are also in it as `audit.mend`."""
        return [] if self._file is None else self._file.scribe.notes

    @property
    def failures(self) -> int:
        """The number of failed writes and lost events."""
        return self._lost + (0 if self._file is None else self._file.failures)

    @property
    def lost(self) -> int:
        """The number of lost events."""
        return self._lost

    @property
    def trouble(self) -> str:
        """The reason why the last write failed: the name of an error, such as `ENOSPC`."""
        return "" if self._file is None else self._file.scribe.trouble

    def append(self, event: Event, fields: Tidy) -> None:
        """Record an event; `fields` are already sanitized. Returns at once, never raises."""
        now = self._clock.time()
        if self._file is not None:
            if not self._file.drain.room(_STEPS):
                self._lost += 1
                self._unsaid += 1
                return
            self._turn(self._file, now)
        self._report_losses()
        self._add(now, event, fields)

    def recent(self, limit: int = 100, since: int | None = None) -> list[AuditEntry]:
        """Return events from memory, oldest first: the newest, or the first after number `since`."""
        if since is None:
            newest = list(islice(reversed(self._recent), limit))
            return newest[::-1]
        return list(islice((entry for entry in self._recent if entry.seq > since), limit))

    def mark(self) -> None:
        """Request a checkpoint of everything recorded so far; `flush` waits until it is made."""
        if self._file is not None:
            self._file.drain.put(Mark())

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait until everything is written. Returns False after the timeout."""
        return self._file is None or self._file.drain.flush(timeout)

    def close(self, timeout: float = 2.0) -> None:
        """Write the remaining lines, make a checkpoint, and close the file."""
        if self._file is not None and not self._closed:
            self._report_losses()
            self._lost += self._file.close(timeout)
        self._closed = True

    def _begin(self, file: AuditFile) -> None:
        now = self._clock.time()
        if file.fresh:
            self._add(now, Event.AUDIT_OPEN, {"file": file.path.name})
        for note in file.scribe.notes:
            self._add(now, Event.AUDIT_MEND, note)

    def _turn(self, file: AuditFile, now: float) -> None:
        """Start a new file when the day has ended. A clock that was set back starts none."""
        today = datetime.fromtimestamp(now, UTC).date()
        if today > file.day:
            file.drain.put(NewDay(file.day, today))
            file.day = today
            self._add(now, Event.AUDIT_OPEN, {"file": file.path.name})

    def _report_losses(self) -> None:
        """Record how many events were lost, once the queue has room."""
        if self._unsaid:
            lost, self._unsaid = self._unsaid, 0
            self._add(self._clock.time(), Event.AUDIT_FAIL, {"count": lost})

    def _add(self, now: float, event: Event, fields: Tidy) -> None:
        self._seq += 1
        entry = AuditEntry(self._seq, stamp(now), event.value, dict(fields))
        self._recent.append(entry)
        if self._file is not None:
            self._file.drain.put(entry)
        for listener in self.listeners:
            listener(entry)
