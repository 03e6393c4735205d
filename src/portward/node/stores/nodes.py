"""The nodes that run on the same store: a lease each."""

from contextlib import suppress
from typing import Final

from portward.engines.json_codec import MALFORMED, decoder, encode
from portward.engines.port import Key, KeyValue, LeaseKey
from portward.model.node import NodeInfo

_NODES: Final = LeaseKey(Key(":until", "nodes"), Key(":info", "nodes"))
_node = decoder(NodeInfo)


class Nodes:
    """Nodes by id."""

    def __init__(self, kv: KeyValue) -> None:
        self._kv = kv

    async def register(self, node: NodeInfo, ttl: float) -> None:
        """Register a node for the next `ttl` seconds."""
        await self._kv.lease(_NODES, {node.uid: encode(node)}, ttl)

    async def withdraw(self, uid: str) -> None:
        """Remove a node."""
        await self._kv.release(_NODES, (uid,))

    async def present(self) -> tuple[NodeInfo, ...]:
        """Every node, ordered by id; one that cannot be read is left out."""
        found: list[NodeInfo] = []
        for kept in (await self._kv.leased(_NODES)).values():
            with suppress(*MALFORMED):
                found.append(_node.decode(kept))
        return tuple(sorted(found, key=lambda node: node.uid))
