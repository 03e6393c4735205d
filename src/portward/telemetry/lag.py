"""How late the event loop runs, and whether the wall clock was moved."""

from collections.abc import Callable
from typing import Final

from portward.model.clock import Clock, Timer

INTERVAL: Final = 0.5
"""Seconds between two looks."""
BOUND: Final = 0.25
"""Seconds late that are worth a warning."""
JUMP: Final = 2.0
"""Seconds the wall clock may drift from the monotonic one between two looks."""


class LoopLag:
    """Asks to be woken every `INTERVAL` seconds and sees how late that was.

    `tick` is called each time with the lag in seconds and with the jump of the wall clock, 0.0 when
    it made none.
    """

    def __init__(self, clock: Clock, tick: Callable[[float, float], None]) -> None:
        self.last = 0.0
        """Seconds the loop was late when it last looked."""
        self._clock = clock
        self._tick = tick
        self._timer: Timer | None = None
        self._due = 0.0
        self._offset = 0.0

    def start(self) -> None:
        """Look from now on. Harmless when repeated."""
        if self._timer is None:
            self._offset = self._clock.time() - self._clock.monotonic()
            self._schedule()

    def stop(self) -> None:
        """Look no longer. Harmless when repeated."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self) -> None:
        self._due = self._clock.monotonic() + INTERVAL
        self._timer = self._clock.call_later(INTERVAL, self._look)

    def _look(self) -> None:
        self.last = max(0.0, self._clock.monotonic() - self._due)
        self._schedule()
        self._tick(self.last, self._jump())

    def _jump(self) -> float:
        offset = self._clock.time() - self._clock.monotonic()
        jump = offset - self._offset
        self._offset = offset
        return jump if abs(jump) > JUMP else 0.0
