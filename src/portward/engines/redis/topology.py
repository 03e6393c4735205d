"""The ways to servers. A road finds the one that has a key, and carries commands there.

Road
|- SingleRoad     one server (here)
|- SentinelRoad   the primary that Sentinels name (sentinel.py)
`- ClusterRoad    the primary that has the key's slot (cluster.py)
"""

import asyncio
from collections.abc import Hashable, Sequence
from typing import Any, Protocol

from redis.asyncio.connection import Connection

from portward.engines.redis.connect import Connector
from portward.engines.redis.connection import MultiplexedConnection
from portward.engines.redis.options import Address, Timing


class Topology(Protocol):
    """A way to the servers of one store."""

    publish: str
    subscribe: str
    unsubscribe: str
    """The words for announcing and listening."""
    whole: bool
    """Whether one server has everything: when it is away, nothing can be had."""

    async def send(self, key: str, command: Sequence[Any], *, bulk: bool = False) -> Any:
        """Carry out a command where `key` is. What is `bulk` does not hold up the rest.

        Raises:
            redis.ResponseError: the server says no.
            EngineUnavailable: it does not answer.
        """

    async def servers(self) -> list["ServerConnections"]:
        """Every primary.

        Raises:
            EngineUnavailable: nobody who knows answers.
        """

    async def refresh(self) -> bool:
        """Look again where the servers are. True when announcements now come from elsewhere.

        Raises:
            EngineUnavailable: nobody who knows answers.
        """

    def channel_owner(self, name: str) -> Hashable:
        """Which server announces `name`; two names with equal homes can share a connection."""

    async def connect(self, home: Hashable) -> Connection:
        """A connection to a home.

        Raises:
            redis.RedisError, OSError, TimeoutError, EngineUnavailable: there is nobody.
        """

    async def close(self) -> None:
        """Close every connection."""


class ServerConnections:
    """The two connections to one server: for small answers, and for those that take their time."""

    def __init__(self, dial: Any, timing: Timing) -> None:
        self._quick = MultiplexedConnection(dial, timing)
        self._bulk = MultiplexedConnection(dial, timing)

    def request(self, *commands: Sequence[Any], bulk: bool = False) -> asyncio.Future[Any]:
        """Give commands; see `MultiplexedConnection.request`."""
        return (self._bulk if bulk else self._quick).request(*commands)

    def disconnect(self) -> None:
        """Give both connections up."""
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

    def __init__(self, dialer: Connector, address: Address, timing: Timing) -> None:
        self._dialer = dialer
        self._address = address
        self._lines = ServerConnections(self._find, timing)

    async def _find(self) -> Connection:
        return await self._dialer.server(self._address)

    async def send(self, _: str, command: Sequence[Any], *, bulk: bool = False) -> Any:
        """Carry out a command."""
        return await self._lines.request(command, bulk=bulk)

    async def servers(self) -> list[ServerConnections]:
        """The one server."""
        return [self._lines]

    async def refresh(self) -> bool:
        """It does not move."""
        return False

    def channel_owner(self, _: str) -> Hashable:
        """The one server."""
        return None

    async def connect(self, _: Hashable) -> Connection:
        """A connection to it."""
        return await self._find()

    async def close(self) -> None:
        """Close every connection."""
        await self._lines.close()
