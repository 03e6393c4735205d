"""Counters in a map. Rates are left to the node: with one process its own limit counts everything."""

from typing import Final

from portward.model.clock import Clock

MAX_COUNTERS: Final = 100_000


class MemoryCounters:
    """Implements `engines.port.Counters`. Of too many counters the oldest one is removed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counters: dict[str, tuple[int, float]] = {}

    async def take(self, key: str, interval: float, burst: int, cost: float = 1.0) -> float:  # noqa: ARG002 - the port
        """Allow."""
        return 0.0

    async def add(self, key: str, amount: int, ttl: float) -> int:
        """Add to a counter."""
        now = self._clock.monotonic()
        value, until = self._counters.get(key, (0, 0.0))
        if until <= now:
            self._counters.pop(key, None)
            value, until = 0, now + ttl
        if not amount:
            return value
        self._counters[key] = (value + amount, until)
        if len(self._counters) > MAX_COUNTERS:
            del self._counters[next(iter(self._counters))]
        return value + amount

    def sweep(self) -> None:
        """Remove what has expired."""
        now = self._clock.monotonic()
        self._counters = {k: kept for k, kept in self._counters.items() if kept[1] > now}
