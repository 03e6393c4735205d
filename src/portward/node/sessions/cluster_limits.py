"""Limits over all nodes: after a node's own table allows an event, the engine's shared counter is checked.

While the store is unavailable, each node enforces its share: the limit divided by the number of nodes.
An event without a reply of the store is never exempt from the limit.
"""

from msgspec.structs import replace

from portward.engines.port import Engine
from portward.model.errors import Unavailable
from portward.model.limits import LimitName
from portward.node.sessions.limits import WEIGHTS, Limiter
from portward.security.rate import RateTable


class ClusterRateLimiter:
    """Counts events in the shared store. `nodes` is the last known number of nodes."""

    def __init__(self, engine: Engine) -> None:
        self._meter = engine.counters
        self.enabled = engine.shared_by_nodes
        """Whether the engine can be shared with other nodes."""
        self._nodes = 1
        self._local_shares: dict[tuple[str, LimitName], RateTable] = {}

    @property
    def nodes(self) -> int:
        """The number of nodes that share the store."""
        return self._nodes

    def count(self, nodes: int) -> None:
        """Set the number of nodes."""
        if nodes != self._nodes:
            self._nodes = max(1, nodes)
            self._local_shares.clear()

    async def wait(
        self, limiter: Limiter, keys: tuple[str, ...], now: float, cost: float = 1.0
    ) -> float:
        """Count an event that the node's own table allows; return seconds to wait, 0.0 when allowed."""
        if not self.enabled or not limiter.rate.interval:
            return 0.0
        try:
            wait = await self._take(limiter, keys, cost)
        except Unavailable:
            wait = self._local_share(limiter, keys, now, cost)
        return wait if wait and limiter.record_refusal() else 0.0

    async def check(
        self, limiter: Limiter, keys: tuple[str, ...], now: float, cost: float = 1.0
    ) -> None:
        """Count an event that the node's own table allows.

        Raises:
            CommandError: over the limit; `retry_after` is the wait in milliseconds.
        """
        wait = await self.wait(limiter, keys, now, cost)
        if wait:
            raise limiter.fault(wait)

    async def _take(self, limiter: Limiter, keys: tuple[str, ...], cost: float) -> float:
        rate = limiter.rate
        for weight, key in zip(WEIGHTS, keys, strict=False):
            name = f"{limiter.scope} {limiter.name} {key}"
            burst = max(1, round(rate.burst / weight))
            more = () if cost == 1.0 else (min(cost, max(rate.burst, 1)),)
            wait = await self._meter.take(name, rate.interval * weight, burst, *more)
            if wait:
                return wait
        return 0.0

    def _local_share(
        self, limiter: Limiter, keys: tuple[str, ...], now: float, cost: float
    ) -> float:
        """Count an event against this node's share of the limit; return seconds to wait."""
        name = limiter.scope, limiter.name
        table = self._local_shares.get(name)
        if table is None:
            rate, nodes = limiter.rate, self._nodes
            local = replace(rate, count=rate.count / nodes, burst=max(1, rate.burst // nodes))
            table = self._local_shares[name] = RateTable(local)
        for weight, key in zip(WEIGHTS, keys, strict=False):
            wait = table.take(key, now, weight * cost)
            if wait:
                return wait
        return 0.0
