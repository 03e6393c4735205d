"""The delay before a worker is replaced."""

from typing import Final

FIRST: Final = 0.5
LONGEST: Final = 30.0
SOUND: Final = 60.0
"""Seconds of running after which the delay starts again at its minimum."""


class RestartBackoff:
    """A delay that doubles after each end of a worker; a worker that ran for a minute resets it."""

    def __init__(self) -> None:
        self._next = FIRST
        self.unready = 0
        """Ends in a row before the worker was ready."""

    def died(self, lived: float, *, ready: bool) -> float:
        """Record an end after `lived` seconds; returns the seconds to wait."""
        if lived >= SOUND:
            self._next = FIRST
        self.unready = 0 if ready else self.unready + 1
        delay, self._next = self._next, min(2 * self._next, LONGEST)
        return delay
