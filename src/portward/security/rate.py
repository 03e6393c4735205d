"""Limits: the generic cell rate algorithm (ITU-T I.371), which keeps one number a key.

The number is the *theoretical arrival time*: when the key will have paid its debt. An event moves
it `interval` seconds into the future; an event that would move it further than `burst` intervals
ahead of now is refused.
"""

from typing import Final

from portward.model.limits import Rate

CAPACITY: Final = 65_536
"""Keys a table holds unless told otherwise: a few megabytes when full."""
_SLACK: Final = 1e-6
"""Seconds of rounding forgiven, so that a client who waits as long as it was told gets through."""
_ROOM: Final = 1024
_SAMPLE: Final = 4096


def gcra(tat: float, now: float, interval: float, burst: float) -> tuple[float, float]:
    """Count one event against a state the caller keeps: returns (new state, seconds to wait).

    A wait of 0.0 means allowed; otherwise the state comes back unchanged. Start with any time not
    in the future. An `interval` of 0 is no limit.
    """
    new = (tat if tat > now else now) + interval  # noqa: FURB136 - max() would double the cost
    wait = new - now - interval * burst
    if wait > _SLACK:
        return tat, wait
    return new, 0.0


class RateTable:
    """One limit for many keys, in bounded memory.

    When the table is full, keys whose debt is paid are dropped first, then those that come closest
    to it; a key at its limit is the last to be forgotten.
    """

    __slots__ = ("_burst", "_capacity", "_interval", "_sweep_at", "_tats", "rate")

    def __init__(self, rate: Rate, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._tats: dict[str, float] = {}
        self._sweep_at = min(_ROOM, capacity)
        self.rate = rate
        self._interval = rate.interval
        self._burst = max(rate.burst, 1)

    def take(self, key: str, now: float, cost: float = 1.0) -> float:
        """Count an event: 0.0 when it is allowed, else seconds until the same call would be.

        A refused event costs nothing. More than the whole bucket is never asked of a key: a larger
        `cost` needs a full one.
        """
        interval = self._interval
        if not interval:
            return 0.0
        tats = self._tats
        tat = tats.get(key)
        step = interval if cost == 1.0 else interval * min(cost, self._burst)
        new = (now if tat is None or tat < now else tat) + step
        wait = new - now - interval * self._burst
        if wait > _SLACK:
            return wait
        if tat is None and len(tats) >= self._sweep_at:
            self.sweep(now)
        self._tats[key] = new
        return 0.0

    def peek(self, key: str, now: float, cost: float = 1.0) -> float:
        """What `take` would answer, without counting."""
        if not self._interval:
            return 0.0
        debt = max(self._tats.get(key, now) - now, 0.0)
        wait = debt + self._interval * (min(cost, self._burst) - self._burst)
        return wait if wait > _SLACK else 0.0

    def sweep(self, now: float) -> None:
        """Drop the keys that owe nothing. It runs by itself as the table grows."""
        kept = {key: tat for key, tat in self._tats.items() if tat > now}
        if len(kept) >= self._capacity:
            _drop_quarter(kept)
        self._tats = kept
        self._sweep_at = min(2 * len(kept) + _ROOM, self._capacity)

    def __len__(self) -> int:
        return len(self._tats)


def _drop_quarter(tats: dict[str, float]) -> None:
    """Forget the least indebted keys, among equals the oldest.

    A quarter at once, so that a flood of new keys pays for one pass in many; judged by a sample, so
    that the pass stays short.
    """
    sample = sorted(list(tats.values())[:: len(tats) // _SAMPLE + 1])
    edge = sample[len(sample) // 4]
    quota = len(tats) // 4 + 1
    for key in [key for key, tat in tats.items() if tat <= edge][:quota]:
        del tats[key]


class ConcurrencyTable:
    """How many of something each key holds at this moment."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[str, int] = {}

    def acquire(self, key: str, limit: int) -> bool:
        """Hold one more, unless that would be more than `limit` (0: no limit)."""
        held = self._held.get(key, 0)
        if limit and held >= limit:
            return False
        self._held[key] = held + 1
        return True

    def release(self, key: str) -> None:
        """Give one back. A key that holds nothing stays at nothing."""
        held = self._held.get(key, 0)
        if held > 1:
            self._held[key] = held - 1
        else:
            self._held.pop(key, None)

    def count(self, key: str) -> int:
        """How many the key holds."""
        return self._held.get(key, 0)

    def __len__(self) -> int:
        return len(self._held)
