"""A common budget of events for all clients, shared fairly between keys when it is short.

While at least half of the budget is left, every key may take from it. Below that, a key may take only
while its own use in the last seconds is small compared with what is left: the less is left, the less a
key may have used. Keys that take often are slowed to about the same rate, and keys that take seldom still
get through. The last part of the budget is reserved for known clients.
"""

from collections.abc import Hashable, Sequence
from math import e, exp, log, log1p
from typing import Final

from portward.model.limits import Rate
from portward.security.rate import CAPACITY

MEMORY: Final = 10.0
"""Seconds after which the counted use of a key has decayed to 1/e (about a third)."""
PLENTY: Final = 0.5
"""The part of the budget above which every key may take."""
KEPT: Final = 20
"""The divisor of the burst that gives the part reserved for known clients."""
WEIGHTS: Final = (1.0, 1 / 16)
"""The weights of one event for an IPv6 /64 and for the /48 around it."""
_SLACK: Final = 1e-6


class FairBudget:
    """A budget of events at `rate`, for many keys, in bounded memory.

    A caller passes a key with the wider keys around it, the narrowest first: an IPv6 /64 and its /48, for
    which an event counts a sixteenth. When the table is full, the keys that took longest ago are dropped.
    """

    __slots__ = ("_burst", "_capacity", "_interval", "_kept", "_scale", "_tat", "_used")

    def __init__(self, rate: Rate, capacity: int = CAPACITY) -> None:
        self._interval = rate.interval
        self._burst = max(rate.burst, 1)
        self._kept = self._burst // KEPT
        self._capacity = capacity
        self._tat = 0.0
        self._used: dict[Hashable, tuple[float, float]] = {}
        # The logarithm of the highest possible use of one key; `_scale` lets that key take at `PLENTY`.
        busiest = MEMORY / self._interval if self._interval else e
        self._scale = PLENTY * self._burst / log(max(busiest, e))

    def __len__(self) -> int:
        return len(self._used)

    def peek(self, keys: Sequence[Hashable], now: float, *, known: bool = False) -> float:
        """Return what `take` would return, without taking."""
        interval = self._interval
        if not interval:
            return 0.0
        left = self._burst - max(self._tat - now, 0.0) / interval
        needed = 1.0
        if left < PLENTY * self._burst:
            # The more a key has used, the more must be left; the busiest key needs `PLENTY`.
            needed = max(needed, self._scale * log1p(self._usage(keys, now)))
        if not known:
            needed += self._kept
        wait = (needed - left) * interval
        return wait if wait > _SLACK else 0.0

    def take(self, keys: Sequence[Hashable], now: float, *, known: bool = False) -> float:
        """Take one event; returns 0.0 when allowed, else the seconds to wait if no other key takes.

        `known` is for clients that presented a valid credential, now or before: they may use the
        reserved part.
        """
        wait = self.peek(keys, now, known=known)
        if not wait and self._interval:
            self._tat = max(self._tat, now) + self._interval
            used = self._used
            for weight, key in zip(WEIGHTS, keys, strict=False):
                before = used.pop(key, None)  # the first keys are the least recently used
                faded = before[0] * exp((before[1] - now) / MEMORY) if before is not None else 0.0
                used[key] = faded + weight, now
            if len(used) > self._capacity:
                self._forget_some()
        return wait

    def _usage(self, keys: Sequence[Hashable], now: float) -> float:
        """Return the highest use of the keys in the last seconds."""
        records = (self._used.get(key) for key in keys)
        return max(
            record[0] * exp((record[1] - now) / MEMORY) if record is not None else 0.0
            for record in records
        )

    def _forget_some(self) -> None:
        for key in list(self._used)[: self._capacity // 4 + 1]:
            del self._used[key]
