"""The nodes that run on the same store."""

import msgspec

from portward.engines.redis import codec
from portward.engines.redis.commands import RedisCommands
from portward.engines.redis.keys import Keys
from portward.engines.redis.scripts import script
from portward.engines.redis.streams import milliseconds
from portward.model.node import NodeInfo

_ANNOUNCE = script("announce_node")
_NODES = script("nodes")
_node = codec.decoder(NodeInfo)


class RedisNodes:
    """Implements `engines.port.Nodes`."""

    def __init__(self, commands: RedisCommands, keys: Keys) -> None:
        self._commands = commands
        self._keys = (keys.nodes, keys.nodes_until)

    async def register(self, node: NodeInfo, ttl: float) -> None:
        """Register a node."""
        await self._commands.run(
            _ANNOUNCE, self._keys, (node.uid, codec.encode(node), milliseconds(ttl))
        )

    async def withdraw(self, uid: str) -> None:
        """Remove a node."""
        for key, word in zip(self._keys, ("HDEL", "ZREM"), strict=True):
            await self._commands.send(key, word, key, uid)

    async def present(self) -> tuple[NodeInfo, ...]:
        """Every node; fields that a later version added are ignored."""
        found: list[NodeInfo] = []
        for kept in await self._commands.run(_NODES, self._keys, ()):
            try:
                found.append(_node.decode(kept))
            except msgspec.DecodeError:
                continue
        return tuple(sorted(found, key=lambda node: node.uid))
