"""A clock for tests: time passes only when a test advances it."""

import heapq
from collections.abc import Callable
from itertools import count

START = 1_700_000_000.0


class FakeTimer:
    """One scheduled call of a :class:`FakeClock`."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Forget the call."""
        self.callback = None


class FakeClock:
    """Implements `model.clock.Clock`. `wall` is the Unix time it starts at."""

    def __init__(self, wall: float = START) -> None:
        self._now = 1000.0
        self._offset = wall - self._now
        self._order = count()
        self._timers: list[tuple[float, int, FakeTimer]] = []

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return self._now

    def time(self) -> float:
        """Unix seconds."""
        return self._now + self._offset

    def call_later(self, delay: float, callback: Callable[[], None]) -> FakeTimer:
        """Run `callback` when the clock has leapt over `delay` more seconds."""
        timer = FakeTimer(callback)
        heapq.heappush(self._timers, (self._now + max(delay, 0.0), next(self._order), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Leap, and run what falls due on the way, in order, each at its own moment."""
        until = self._now + seconds
        while self._timers and self._timers[0][0] <= until:
            due, _, timer = heapq.heappop(self._timers)
            self._now = max(self._now, due)
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback()
        self._now = until

    def stall(self, seconds: float) -> None:
        """Leap without waking anybody, as when the loop itself is held up."""
        self._now += seconds

    def set_wall(self, wall: float) -> None:
        """Move the wall clock alone, as an administrator would."""
        self._offset = wall - self._now

    @property
    def pending(self) -> int:
        """Calls that are scheduled and not cancelled."""
        return sum(timer.callback is not None for _, _, timer in self._timers)
