"""Topology of a Redis Cluster: finds the primary of a key's slot, as the specification describes.

Slots move while the cluster is changed, and servers replace each other. A server without the requested
slot names the server that has it; a moved slot is recorded, and the whole map is read again soon after.
"""

import asyncio
from collections.abc import Hashable, Iterable, Sequence
from functools import partial
from typing import Any, Final

from redis.asyncio.connection import Connection
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import AskError, ClusterDownError, MovedError, ReadOnlyError, TryAgainError

from portward.engines.port import EngineUnavailable
from portward.engines.redis.connect import TROUBLE, Connector, ask, close_connection
from portward.engines.redis.options import Address, Timing
from portward.engines.redis.topology import ServerConnections

_REDIRECTIONS: Final = 5
_PAUSE: Final = 0.05
"""Seconds before a server that has only some of a command's keys is tried again."""


class ClusterTopology:
    """Implements `Topology` with the primaries of a cluster, which are found by way of `seeds`."""

    publish, subscribe, unsubscribe = "SPUBLISH", "SSUBSCRIBE", "SUNSUBSCRIBE"
    whole = False

    def __init__(self, connector: Connector, seeds: Sequence[Address], timing: Timing) -> None:
        self._connector = connector
        self._seeds = tuple(seeds)
        self._timing = timing
        self._slots: list[Address | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        self._servers: dict[Address, ServerConnections] = {}
        self._looking: asyncio.Task[None] | None = None

    # -- commands

    async def send(self, key: str, command: Sequence[Any], *, bulk: bool = False) -> Any:
        """Carry out a command where the slot of `key` is."""
        slot = key_slot(key.encode())
        commands: tuple[Sequence[Any], ...] = (command,)
        address = self._slots[slot] or await self._seek(slot)
        for _ in range(_REDIRECTIONS):
            try:
                return await self._connections_to(address).request(*commands, bulk=bulk)
            except MovedError as moved:
                address = self._slots[slot] = _named(moved, address)
                commands = (command,)
                self._look_soon()
            except AskError as elsewhere:
                address = _named(elsewhere, address)
                commands = (("ASKING",), command)
            except (TryAgainError, ClusterDownError):
                await asyncio.sleep(_PAUSE)
            except ReadOnlyError:
                self._look_soon()
                break
            except EngineUnavailable:
                self._look_soon()
                raise
        raise EngineUnavailable("the cluster is being changed")

    async def _seek(self, slot: int) -> Address:
        await self.refresh()
        address = self._slots[slot]
        if address is None:
            raise EngineUnavailable("no server has this part of the store")
        return address

    def _connections_to(self, address: Address) -> ServerConnections:
        connections = self._servers.get(address)
        if connections is None:
            connections = self._servers[address] = ServerConnections(
                partial(self._connector.server, address), self._timing
            )
        return connections

    async def servers(self) -> list[ServerConnections]:
        """Every primary that has slots."""
        if not any(self._slots):
            await self.refresh()
        return [self._connections_to(address) for address in self._primaries()]

    def _primaries(self) -> list[Address]:
        return sorted({address for address in self._slots if address is not None})

    # -- the map

    def _look_soon(self) -> asyncio.Task[None]:
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look())
            self._looking.add_done_callback(self._looked)
        return self._looking

    def _looked(self, task: asyncio.Task[None]) -> None:
        self._looking = None
        if not task.cancelled():
            task.exception()

    async def refresh(self) -> bool:
        """Read the map of slots. False: servers themselves end the subscriptions of a moved slot."""
        await asyncio.shield(self._look_soon())
        return False

    async def _look(self) -> None:
        for address in dict.fromkeys((*self._primaries(), *self._seeds)):
            try:
                parts = await self._parts(address)
            except TROUBLE:
                continue
            self._slots = _map(parts, address)
            await self._forget()
            return
        raise EngineUnavailable("no server of the cluster answers")

    async def _parts(self, address: Address) -> Any:
        """Read the map on a new connection: the others may be waiting for a server that is gone."""
        connection = await self._connector.server(address)
        try:
            return await self._connector.soon(ask(connection, "CLUSTER", "SLOTS"))
        finally:
            await close_connection(connection)

    async def _forget(self) -> None:
        """Close the connections to servers without slots."""
        kept = set(self._primaries())
        for address in [address for address in self._servers if address not in kept]:
            await self._servers.pop(address).close()

    def channel_owner(self, name: str) -> Hashable:
        """The server that has the slot of `name`."""
        return self._slots[key_slot(name.encode())]

    async def connect(self, home: Hashable) -> Connection:
        """Connect to a primary."""
        if not isinstance(home, Address):
            raise EngineUnavailable("no server has this part of the store")
        return await self._connector.server(home)

    async def close(self) -> None:
        """Close every connection."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait((self._looking,))
        for connections in self._servers.values():
            await connections.close()


def _named(moved: AskError, asked: Address) -> Address:
    """The server that an answer names; without a host it is the one that was asked, at another port."""
    return Address(moved.host or asked.host, moved.port)


def _map(parts: Iterable[Any], asked: Address) -> list[Address | None]:
    """Parse the answer to `CLUSTER SLOTS`: rows of first slot, last slot, primary, replicas."""
    slots: list[Address | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
    for first, last, primary, *_ in parts:
        host = primary[0].decode() if primary[0] else asked.host
        address = Address(host, int(primary[1]))
        slots[first : last + 1] = [address] * (last + 1 - first)
    return slots
