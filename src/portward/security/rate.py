"""Rate limits by the generic cell rate algorithm (ITU-T I.371), which stores one number per key.

The number is the *theoretical arrival time*: the time when the burst of the key is fully restored. Each
event moves it `interval` seconds into the future; an event that would move it more than `burst` intervals
ahead of now is refused.
"""

from typing import Final

from portward.model.limits import Rate

CAPACITY: Final = 65_536
"""The default size of a table, in keys: a few megabytes when full."""
_SLACK: Final = 1e-6
"""Tolerated rounding in seconds, so that a client that waits for the given time is allowed."""
_ROOM: Final = 1024
_SAMPLE: Final = 4096


def gcra(tat: float, now: float, interval: float, burst: float) -> tuple[float, float]:
    """Count one event against a state that the caller stores; returns (new state, seconds to wait).

    A wait of 0.0 means allowed; otherwise the state is returned unchanged. The first state is any time that
    is not in the future. An `interval` of 0 is no limit.
    """
    new = (tat if tat > now else now) + interval  # noqa: FURB136 - max() would double the cost
    wait = new - now - interval * burst
    if wait > _SLACK:
        return tat, wait
    return new, 0.0


class RateTable:
    """One limit for many keys, in bounded memory.

    When the table is full, the keys whose state is not in the future are dropped first, then those
    nearest to it; a key at its limit is dropped last.
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
        """Count an event; returns 0.0 when it is allowed, else the seconds until the same call would be.

        A refused event costs nothing. A `cost` larger than the burst needs a full burst, not more.
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
        """Return what `take` would return, without counting."""
        if not self._interval:
            return 0.0
        debt = max(self._tats.get(key, now) - now, 0.0)
        wait = debt + self._interval * (min(cost, self._burst) - self._burst)
        return wait if wait > _SLACK else 0.0

    def sweep(self, now: float) -> None:
        """Drop the keys without recent events. It runs by itself as the table grows."""
        kept = {key: tat for key, tat in self._tats.items() if tat > now}
        if len(kept) >= self._capacity:
            _drop_quarter(kept)
        self._tats = kept
        self._sweep_at = min(2 * len(kept) + _ROOM, self._capacity)

    def __len__(self) -> int:
        return len(self._tats)


def _drop_quarter(tats: dict[str, float]) -> None:
    """Drop a quarter of the keys, those with the lowest state first, among equals the oldest.

    A whole quarter, so that a flood of new keys causes one pass for many of them; the limit comes from a
    sample, so that the pass stays short.
    """
    sample = sorted(list(tats.values())[:: len(tats) // _SAMPLE + 1])
    edge = sample[len(sample) // 4]
    quota = len(tats) // 4 + 1
    for key in [key for key, tat in tats.items() if tat <= edge][:quota]:
        del tats[key]


class ConcurrencyTable:
    """The number of items that each key holds now, such as connections."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[str, int] = {}

    def acquire(self, key: str, limit: int) -> bool:
        """Count one more item, unless the key would exceed `limit` (0: no limit)."""
        held = self._held.get(key, 0)
        if limit and held >= limit:
            return False
        self._held[key] = held + 1
        return True

    def release(self, key: str) -> None:
        """Release one item. A key without items stays at zero."""
        held = self._held.get(key, 0)
        if held > 1:
            self._held[key] = held - 1
        else:
            self._held.pop(key, None)

    def count(self, key: str) -> int:
        """Return the number of items that the key holds."""
        return self._held.get(key, 0)

    def __len__(self) -> int:
        return len(self._held)
