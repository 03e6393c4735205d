"""A budget for all clients together, which those who take much share fairly when it is short.

While half of the budget is there anyone may take from it. Below that, a key may take only while what it
took in the last seconds is little against what is left: the emptier the budget, the less a key may have
taken. Keys that take often are thinned out to about the same rate, and a key that comes seldom finds
something left for it. A last part is kept for those that are known.
"""

from collections.abc import Hashable, Sequence
from math import e, exp, log, log1p
from typing import Final

from portward.model.limits import Rate
from portward.security.rate import CAPACITY

MEMORY: Final = 10.0
"""Seconds in which what a key took fades to a third (1/e)."""
PLENTY: Final = 0.5
"""The part of the budget above which nothing is shared out."""
KEPT: Final = 20
"""One part in so many is for those that are known alone."""
WEIGHTS: Final = (1.0, 1 / 16)
"""What one event counts for an IPv6 /64, and for the /48 around it."""
_SLACK: Final = 1e-6


class FairBudget:
    """Events at `rate`, for many keys, in bounded memory.

    A caller names a key with the wider ones around it, tightest first: an IPv6 /64 and its /48, whose
    use counts a sixteenth. When the table is full, the keys that took longest ago are forgotten.
    """

    __slots__ = ("_burst", "_capacity", "_interval", "_kept", "_scale", "_tat", "_used")

    def __init__(self, rate: Rate, capacity: int = CAPACITY) -> None:
        self._interval = rate.interval
        self._burst = max(rate.burst, 1)
        self._kept = self._burst // KEPT
        self._capacity = capacity
        self._tat = 0.0
        self._used: dict[Hashable, tuple[float, float]] = {}
        # What one key can have taken at most, as a logarithm: at `PLENTY` that much is allowed.
        busiest = MEMORY / self._interval if self._interval else e
        self._scale = PLENTY * self._burst / log(max(busiest, e))

    def __len__(self) -> int:
        return len(self._used)

    def peek(self, keys: Sequence[Hashable], now: float, *, known: bool = False) -> float:
        """What `take` would answer, without taking."""
        interval = self._interval
        if not interval:
            return 0.0
        left = self._burst - max(self._tat - now, 0.0) / interval
        needed = 1.0
        if left < PLENTY * self._burst:
            needed = max(needed, self._scale * log1p(self._usage(keys, now)))
        if not known:
            needed += self._kept
        wait = (needed - left) * interval
        return wait if wait > _SLACK else 0.0

    def take(self, keys: Sequence[Hashable], now: float, *, known: bool = False) -> float:
        """Take one: 0.0 when that is allowed, else seconds after which it would be if nobody else took.

        `known` is for those that proved something, now or before: they may take the last there is.
        """
        wait = self.peek(keys, now, known=known)
        if not wait and self._interval:
            self._tat = max(self._tat, now) + self._interval
            self._note(keys, now)
        return wait

    def _usage(self, keys: Sequence[Hashable], now: float) -> float:
        return max(self._faded(key, now) for key in keys)

    def _faded(self, key: Hashable, now: float) -> float:
        used = self._used.get(key)
        return used[0] * exp((used[1] - now) / MEMORY) if used is not None else 0.0

    def _note(self, keys: Sequence[Hashable], now: float) -> None:
        for weight, key in zip(WEIGHTS, keys, strict=False):
            usage = self._faded(key, now) + weight
            self._used.pop(key, None)  # what was used last goes to the end
            self._used[key] = usage, now
        if len(self._used) > self._capacity:
            for key in list(self._used)[: self._capacity // 4 + 1]:
                del self._used[key]
