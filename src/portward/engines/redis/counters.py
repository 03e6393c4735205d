"""Limits over all nodes."""

from math import ceil

from portward.engines.redis.context import RedisContext
from portward.engines.redis.scripts import script
from portward.engines.redis.streams import milliseconds

_TAKE = script("take")
_COUNT = script("count")
_MICROSECONDS = 1_000_000


class RedisCounters:
    """Implements `engines.port.Counters`."""

    def __init__(self, context: RedisContext) -> None:
        self._commands, self._keys = context.commands, context.keys

    async def take(self, key: str, interval: float, burst: int, cost: float = 1.0) -> float:
        """Count one event; returns the seconds to wait, 0.0 when allowed."""
        if not interval:
            return 0.0
        step, most = max(1, ceil(interval * _MICROSECONDS)), max(burst, 1)
        paid = max(1, ceil(step * min(cost, most)))
        wait: int = await self._commands.run(_TAKE, (self._keys.rate(key),), (step, most, paid))
        return wait / _MICROSECONDS

    async def add(self, key: str, amount: int, ttl: float) -> int:
        """Add to a counter."""
        name = self._keys.sum(key)
        if not amount:
            return int(await self._commands.send(name, "GET", name) or 0)
        total: int = await self._commands.run(_COUNT, (name,), (amount, milliseconds(ttl)))
        return total
