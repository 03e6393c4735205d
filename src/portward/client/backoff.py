"""The wait before the next attempt: random, in a range that grows."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_STEPS: Final = 32
_SHORTEST: Final = 0.05
_SHARE: Final = 0.25
_LEAST_SPREAD: Final = 0.5


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full jitter: the wait before attempt n is anything up to `first * 2**n`, at most `longest`.

    Times are seconds. Clients that lost their connections together do not reconnect together.
    `draw` gives a number from 0 up to 1.
    """

    first: float = 0.5
    longest: float = 30.0
    draw: Callable[[], float] = random.random

    def wait(self, attempt: int, named: float | None) -> float:
        """The wait before an attempt, after an error that names a time or does not."""
        return self.delay(attempt) if named is None else self.after(named)

    def delay(self, attempt: int) -> float:
        """The wait before an attempt; the first has the number 0."""
        widest: float = min(self.longest, self.first * 2 ** min(attempt, _STEPS))
        return max(_SHORTEST, self.draw() * widest)

    def after(self, named: float) -> float:
        """The wait when the gateway named one: never shorter, and spread by a quarter of it."""
        return named + self.draw() * max(_SHARE * named, _LEAST_SPREAD)
