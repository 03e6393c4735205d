"""A limit of log lines per event and second, so that a flood of events does not flood the log."""

from collections.abc import Callable
from typing import Final

from portward.telemetry.events import Event

WINDOW: Final = 1.0
"""The length of the window in seconds."""


class Sampler:
    """Admits `limit` lines of each event per second and counts the rest. One entry per event."""

    __slots__ = ("_limit", "_now", "_over", "_windows")

    def __init__(self, limit: int, now: Callable[[], float]) -> None:
        self._limit = limit
        self._now = now
        self._windows: dict[Event, tuple[float, int]] = {}
        """The start of the last second of each event, and the number of its lines since then."""
        self._over: dict[Event, int] = {}

    def admits(self, event: Event) -> bool:
        """Return whether a line may be written for this event now."""
        now = self._now()
        start, count = self._windows.get(event, (-WINDOW, 0))
        if now - start >= WINDOW:
            self._close(event)
            start, count = now, 0
        self._windows[event] = start, count + 1
        return count < self._limit

    def over(self, *, everything: bool = False) -> dict[Event, int]:
        """Return and reset the counts of dropped lines of past seconds; with `everything`, up to now."""
        now = self._now()
        for event, (start, _) in self._windows.items():
            if everything or now - start >= WINDOW:
                self._close(event)
        found, self._over = self._over, {}
        return found

    def _close(self, event: Event) -> None:
        """Add the dropped lines of a window to those to be reported."""
        start, count = self._windows.get(event, (0.0, 0))
        if count > self._limit:
            self._over[event] = self._over.get(event, 0) + count - self._limit
            self._windows[event] = start, self._limit
