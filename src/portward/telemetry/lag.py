"""Measurement of the event loop's lag, and detection of jumps of the wall clock."""

from collections.abc import Callable
from functools import partial
from typing import Final

from portward.model.clock import Clock, Timer

INTERVAL: Final = 0.5
"""Seconds between two measurements."""
BOUND: Final = 0.25
"""Seconds of lag from which a warning is logged."""
JUMP: Final = 2.0
"""Seconds that the wall clock may differ from the monotonic clock between two measurements."""


class LoopLag:
    """Schedules a call every `INTERVAL` seconds and measures how late it runs."""

    def __init__(self, clock: Clock) -> None:
        self.last = 0.0
        """The last measured lag in seconds."""
        self._clock = clock
        self._timer: Timer | None = None
        self._due = 0.0
        self._offset = 0.0

    def start(self, tick: Callable[[float, float], None]) -> None:
        """Start the measurements. Does nothing when already started.

        `tick` is called each time with the lag in seconds and the jump of the wall clock in seconds, 0.0
        without a jump.
        """
        if self._timer is None:
            self._offset = self._clock.time() - self._clock.monotonic()
            self._schedule(tick)

    def stop(self) -> None:
        """Stop the measurements. Does nothing when already stopped."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self, tick: Callable[[float, float], None]) -> None:
        self._due = self._clock.monotonic() + INTERVAL
        self._timer = self._clock.call_later(INTERVAL, partial(self._measure, tick))

    def _measure(self, tick: Callable[[float, float], None]) -> None:
        self.last = max(0.0, self._clock.monotonic() - self._due)
        self._schedule(tick)
        tick(self.last, self._jump())

    def _jump(self) -> float:
        offset = self._clock.time() - self._clock.monotonic()
        jump = offset - self._offset
        self._offset = offset
        return jump if abs(jump) > JUMP else 0.0
