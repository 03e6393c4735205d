"""How long to wait before a worker is replaced."""

from typing import Final

FIRST: Final = 0.5
LONGEST: Final = 30.0
SOUND: Final = 60.0
"""Seconds of life after which what was before is forgotten."""


class RestartBackoff:
    """Doubles from death to death; a worker that lived for a minute begins anew."""

    def __init__(self) -> None:
        self._next = FIRST
        self.unready = 0
        """Deaths in a row before the worker was ready."""

    def died(self, lived: float, *, ready: bool) -> float:
        """Note a death after `lived` seconds; returns the seconds to wait."""
        if lived >= SOUND:
            self._next = FIRST
        self.unready = 0 if ready else self.unready + 1
        delay, self._next = self._next, min(2 * self._next, LONGEST)
        return delay
