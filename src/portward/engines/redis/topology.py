"""Topologies of servers. Each finds the server that has a key, and sends commands there.

Topology
|- SingleTopology     one server (here)
|- SentinelTopology   the primary that Sentinels name (sentinel.py)
`- ClusterTopology    the primary that has the key's slot (cluster.py)
"""

import asyncio
from collections.abc import Hashable, Sequence
from typing import Any, Protocol

from redis.asyncio.connection import Connection

from portward.engines.redis.connect import Connector
from portward.engines.redis.connection import MultiplexedConnection
from portward.engines.redis.options import Address, Timing


class Topology(Protocol):
    """Connections to the servers of one store."""

    publish: str
    subscribe: str
    unsubscribe: str
    """Commands of Pub/Sub."""
    whole: bool
    """Whether one server has everything: when it is away, the whole store is."""

    async def send(self, key: str, command: Sequence[Any], *, bulk: bool = False) -> Any:
        """Carry out a command on the server of `key`. With `bulk` it does not delay the others.

        Raises:
            redis.ResponseError: the server answers with an error.
            EngineUnavailable: it does not answer.
        """

    async def servers(self) -> list["ServerConnections"]:
        """Every primary.

        Raises:
            EngineUnavailable: no server that knows them answers.
        """

    async def refresh(self) -> bool:
        """Find the servers again. True when subscriptions must move to another server.

        Raises:
            EngineUnavailable: no server that knows them answers.
        """

    def channel_owner(self, name: str) -> Hashable:
        """The server of the Pub/Sub channel `name`; names with equal owners can share a connection."""

    async def connect(self, home: Hashable) -> Connection:
        """Connect to an owner.

        Raises:
            redis.RedisError, OSError, TimeoutError, EngineUnavailable: no server answers.
        """

    async def close(self) -> None:
        """Close every connection."""


class ServerConnections:
    """The two connections to one server: one for small answers, one for large or slow ones."""

    def __init__(self, dial: Any, timing: Timing) -> None:
        self._quick = MultiplexedConnection(dial, timing)
        self._bulk = MultiplexedConnection(dial, timing)

    def request(self, *commands: Sequence[Any], bulk: bool = False) -> asyncio.Future[Any]:
        """Send commands; see `MultiplexedConnection.request`."""
        return (self._bulk if bulk else self._quick).request(*commands)

    def disconnect(self) -> None:
        """Close both connections; the next command connects again."""
        self._quick.drop()
        self._bulk.drop()

    async def close(self) -> None:
        """Close both connections."""
        await self._quick.close()
        await self._bulk.close()


class SingleTopology:
    """Implements `Topology` with one server."""

    publish, subscribe, unsubscribe = "PUBLISH", "SUBSCRIBE", "UNSUBSCRIBE"
    whole = True

    def __init__(self, connector: Connector, address: Address, timing: Timing) -> None:
        self._connector = connector
        self._address = address
        self._server = ServerConnections(self._find, timing)

    async def _find(self) -> Connection:
        return await self._connector.server(self._address)

    async def send(self, _: str, command: Sequence[Any], *, bulk: bool = False) -> Any:
        """Carry out a command."""
        return await self._server.request(command, bulk=bulk)

    async def servers(self) -> list[ServerConnections]:
        """The connections to the server."""
        return [self._server]

    async def refresh(self) -> bool:
        """False: the server does not move."""
        return False

    def channel_owner(self, _: str) -> Hashable:
        """The same for every name: there is one server."""
        return None

    async def connect(self, _: Hashable) -> Connection:
        """Connect to the server."""
        return await self._find()

    async def close(self) -> None:
        """Close every connection."""
        await self._server.close()
