"""Health, readiness and metrics, as the admin listener answers for them."""

import asyncio
from typing import Protocol

from portward.node.node import Node


class GatewayStatus(Protocol):
    """Health, readiness and metrics of a gateway."""

    async def health(self) -> str:
        """`ok` while it takes connections, else why not."""

    async def ready(self) -> str:
        """`ready` when it can do its work, else why not."""

    async def metrics(self) -> str:
        """The metrics in Prometheus' text format."""


class NodeStatus:
    """Implements `GatewayStatus` for one node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def health(self) -> str:
        """`ok` until the node drains."""
        return "draining" if self._node.draining else "ok"

    async def ready(self) -> str:
        """`ready` while the node does not drain and its engine answers."""
        if self._node.draining:
            return "draining"
        if not self._node.engine.healthy:
            return "engine unavailable"
        return "engine may drop keys" if self._node.engine.may_evict else "ready"

    async def metrics(self) -> str:
        """Render in a thread: it takes milliseconds, during which the event loop must deliver messages."""
        return (await asyncio.to_thread(self._node.telemetry.metrics.render)).decode()
