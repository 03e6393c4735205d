"""A limit of log lines per event and second, so that a flood of events does not flood the log."""

from collections.abc import Callable
from typing import Final

from portward.telemetry.events import Event

WINDOW: Final = 1.0
"""The length of the window in seconds."""


class _Window:
    __slots__ = ("count", "start", "suppressed")

    def __init__(self, start: float) -> None:
        self.start = start
        self.count = 0
        self.suppressed = 0


class Sampler:
    """Admits `limit` lines of each event per second and counts the rest. One entry per event."""

    __slots__ = ("_limit", "_now", "_over", "_windows")

    def __init__(self, limit: int, now: Callable[[], float]) -> None:
        self._limit = limit
        self._now = now
        self._windows: dict[Event, _Window] = {}
        self._over: dict[Event, int] = {}

    def admits(self, event: Event) -> bool:
        """Return whether a line may be written for this event now."""
        now = self._now()
        window = self._windows.get(event)
        if window is None or now - window.start >= WINDOW:
            if window is not None:
                self._close(event, window)
            window = self._windows[event] = _Window(now)
        window.count += 1
        if window.count <= self._limit:
            return True
        window.suppressed += 1
        return False

    def over(self, *, everything: bool = False) -> dict[Event, int]:
        """Return and reset the counts of dropped lines of past seconds; with `everything`, up to now."""
        now = self._now()
        for event, window in self._windows.items():
            if everything or now - window.start >= WINDOW:
                self._close(event, window)
        found, self._over = self._over, {}
        return found

    def _close(self, event: Event, window: _Window) -> None:
        if window.suppressed:
            self._over[event] = self._over.get(event, 0) + window.suppressed
            window.suppressed = 0
