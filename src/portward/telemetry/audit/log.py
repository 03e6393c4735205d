"""The audit: security events, numbered, chained and kept.

`AuditLog.append` runs on the event loop and only numbers an event, remembers it and puts it into a
bounded queue. A thread makes the lines and writes them; while it cannot, they wait and are tried
again every second. When the queue is full, events are lost, counted, and their number is written
down as soon as there is room again (policy "drop and alarm"): the chain itself has no gap.
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
"""Events waiting to be written."""
_STEPS: Final = 4
"""The most one event can bring with it: a new day, its opening line, a count of losses, itself."""


class AuditFile:
    """Where an audit is written.

    `key` is made by `keys.audit_key`. `checkpoints` is a small file beside it by default, and
    `name` is what the file is called there; `every` is the number of lines between checkpoints.
    The file is opened and the last of it read at once; an `AuditLog` does the rest.

    Raises:
        AuditError: the file cannot be opened, or another process is writing it.
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
        """Where the chain ended when it was opened."""
        self._key = key
        store = checkpoints or FileCheckpoints(checkpoint_path(path))
        self.scribe = AuditWriter(journal, key, store, self.name, every)
        self.drain: QueueThread[Step] = QueueThread(
            self.scribe.handle, name="portward-audit", capacity=capacity, retry=retry
        )

    @property
    def failures(self) -> int:
        """Writes that failed, and events lost by a mistake of ours."""
        return self.scribe.failures + self.drain.broken

    def contradicts(self, checkpoint: Checkpoint) -> str:
        """What `tail.betrays` finds. It reads files: not for the event loop.

        Raises:
            OSError: a file cannot be read.
        """
        return betrays(checkpoint, self.end, self._key, audit_files(self.path))

    def close(self, timeout: float) -> int:
        """Write what is left; return how many events were not written."""
        left = self.drain.close(timeout)
        if self.drain.stopped:
            self.scribe.close()
        return left


class AuditLog:
    """The security events of one gateway: the newest in memory, and all of them in `file`."""

    def __init__(self, clock: Clock, file: AuditFile | None = None) -> None:
        self.listeners: list[Callable[[AuditEntry], None]] = []
        """Told of each event on the event loop; they return at once and never raise."""
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
        """The file it is written to."""
        return self._file

    @property
    def last(self) -> int:
        """Number of the newest event, written or not."""
        return self._seq

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The newest checkpoint of this run; what it vouches for is on the disk."""
        return None if self._file is None else self._file.scribe.checkpoint

    @property
    def mended(self) -> list[Tidy]:
        """What was wrong with the file when it was opened; it stands there as `audit.mend` too."""
        return [] if self._file is None else self._file.scribe.notes

    @property
    def failures(self) -> int:
        """Writes that failed, and events that were lost."""
        return self._lost + (0 if self._file is None else self._file.failures)

    @property
    def lost(self) -> int:
        """Events that were lost."""
        return self._lost

    @property
    def trouble(self) -> str:
        """Why the last write failed: the name of an error, such as `ENOSPC`."""
        return "" if self._file is None else self._file.scribe.trouble

    def append(self, event: Event, fields: Tidy) -> None:
        """Record an event; `fields` are tidy. Returns at once, never raises."""
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
        """Events from memory, oldest first: the newest, or the first after number `since`."""
        if since is None:
            newest = list(islice(reversed(self._recent), limit))
            return newest[::-1]
        return list(islice((entry for entry in self._recent if entry.seq > since), limit))

    def mark(self) -> None:
        """Ask for a checkpoint of everything recorded so far; `flush` waits until it is made."""
        if self._file is not None:
            self._file.drain.put(Mark())

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait until everything is written. False when that took too long."""
        return self._file is None or self._file.drain.flush(timeout)

    def close(self, timeout: float = 2.0) -> None:
        """Write what is left, leave a checkpoint, let go of the file."""
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
        """Begin a new file when the day is over. A clock set back begins none."""
        today = datetime.fromtimestamp(now, UTC).date()
        if today > file.day:
            file.drain.put(NewDay(file.day, today))
            file.day = today
            self._add(now, Event.AUDIT_OPEN, {"file": file.path.name})

    def _report_losses(self) -> None:
        """Write down how many events were lost, once there is room to."""
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
