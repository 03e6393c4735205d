"""The nodes of this store: only the process that has it."""

from portward.model.node import NodeInfo


class MemoryNodes:
    """Implements `engines.port.Nodes`."""

    def __init__(self) -> None:
        self._nodes: dict[str, NodeInfo] = {}

    async def register(self, node: NodeInfo, ttl: float) -> None:  # noqa: ARG002 - the store ends with the node
        """Register a node."""
        self._nodes[node.uid] = node

    async def withdraw(self, uid: str) -> None:
        """Remove a node."""
        self._nodes.pop(uid, None)

    async def present(self) -> tuple[NodeInfo, ...]:
        """Every node."""
        return tuple(self._nodes[uid] for uid in sorted(self._nodes))
