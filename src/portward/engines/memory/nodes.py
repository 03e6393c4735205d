"""Who runs on this store: nobody but the process that has it."""

from portward.model.node import NodeInfo


class MemoryNodes:
    """Implements `engines.port.Nodes`."""

    def __init__(self) -> None:
        self._nodes: dict[str, NodeInfo] = {}

    async def announce(self, node: NodeInfo, ttl: float) -> None:  # noqa: ARG002 - it cannot die alone
        """Be one of them."""
        self._nodes[node.uid] = node

    async def withdraw(self, uid: str) -> None:
        """Be one of them no longer."""
        self._nodes.pop(uid, None)

    async def present(self) -> tuple[NodeInfo, ...]:
        """Every node."""
        return tuple(self._nodes[uid] for uid in sorted(self._nodes))
