"""The audit: security events, numbered on the event loop and kept in memory.

`AuditLog.append` adds an event to the bounded queue of the file's thread. When the queue is full, events are
lost and counted, and the count is written as soon as there is room (policy "drop and alarm"): the chain
itself has no gap.
"""

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from portward.model.clock import Clock
from portward.telemetry.audit.chain import AuditEntry
from portward.telemetry.audit.file import KEPT
from portward.telemetry.audit.writer import AuditFile, NewDay
from portward.telemetry.events import Event
from portward.telemetry.fields import Tidy
from portward.telemetry.log import stamp

_STEPS: Final = 4
"""The most queue items that one event can add: a new day, its first line, a count of losses, itself."""


class AuditLog:
    """The security events of one gateway: the newest in memory, and all of them in `file`."""

    def __init__(self, clock: Clock, file: AuditFile | None = None) -> None:
        self.listeners: list[Callable[[AuditEntry], None]] = []
        """Functions called with each event on the event loop; they must return at once and never raise."""
        self._clock = clock
        self.file = file
        """The file that the events are written to."""
        self._recent: deque[AuditEntry] = deque(maxlen=KEPT)
        self.last = 0
        """Number of the newest event, written or not."""
        self.lost = 0
        """The number of lost events."""
        self._unreported = 0
        self._closed = False
        if file is not None:
            self._recent.extend(file.entries)
            self.last = file.last
        self.began = self.last
        """Number of the last event of an earlier run."""
        if file is not None:
            self._begin(file)

    @property
    def failures(self) -> int:
        """The number of failed writes and lost events."""
        return self.lost + (0 if self.file is None else self.file.failures)

    def append(self, event: Event, fields: Tidy) -> None:
        """Record an event; `fields` are already sanitized. Returns at once, never raises."""
        now = self._clock.time()
        if self.file is not None:
            if not self.file.queue.room(_STEPS):
                self.lost += 1
                self._unreported += 1
                return
            self._turn(self.file, now)
        self._report_losses()
        self._add(now, event, fields)

    def recent(self, limit: int = 100, since: int | None = None) -> list[AuditEntry]:
        """Return events from memory, oldest first: the newest, or the first after number `since`."""
        if since is None:
            newest = list(islice(reversed(self._recent), limit))
            return newest[::-1]
        return list(islice((entry for entry in self._recent if entry.seq > since), limit))

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait until everything is written. Returns False after the timeout."""
        return self.file is None or self.file.queue.flush(timeout)

    def close(self, timeout: float = 2.0) -> None:
        """Write the remaining lines, make a checkpoint, and close the file."""
        if self.file is not None and not self._closed:
            self._report_losses()
            self.lost += self.file.close(timeout)
        self._closed = True

    def _begin(self, file: AuditFile) -> None:
        now = self._clock.time()
        if file.fresh:
            self._add(now, Event.AUDIT_OPEN, {"file": file.path.name})
        for note in file.problems:
            self._add(now, Event.AUDIT_MEND, note)

    def _turn(self, file: AuditFile, now: float) -> None:
        """Start a new file when the day has ended. A clock that was set back starts none."""
        today = datetime.fromtimestamp(now, UTC).date()
        if today > file.day:
            file.queue.put(NewDay(file.day, today))
            file.day = today
            self._add(now, Event.AUDIT_OPEN, {"file": file.path.name})

    def _report_losses(self) -> None:
        """Record how many events were lost, once the queue has room."""
        if self._unreported:
            lost, self._unreported = self._unreported, 0
            self._add(self._clock.time(), Event.AUDIT_FAIL, {"count": lost})

    def _add(self, now: float, event: Event, fields: Tidy) -> None:
        self.last += 1
        entry = AuditEntry(self.last, stamp(now), event.value, dict(fields))
        self._recent.append(entry)
        if self.file is not None:
            self.file.queue.put(entry)
        for listener in self.listeners:
            listener(entry)
