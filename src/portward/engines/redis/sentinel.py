"""Topology of one primary that Sentinels name.

Sentinels are asked before every connection and every few seconds: a primary that was replaced may still
answer clients that do not know it.
"""

from collections.abc import Hashable, Sequence
from typing import Any

from redis.asyncio.connection import Connection
from redis.exceptions import ReadOnlyError

from portward.engines.port import EngineUnavailable
from portward.engines.redis.connect import TROUBLE, Connector, ask, close_connection
from portward.engines.redis.options import Address, Timing
from portward.engines.redis.topology import SingleTopology


class SentinelTopology(SingleTopology):
    """Implements `Topology` with the primary of `service`."""

    def __init__(
        self, connector: Connector, sentinels: Sequence[Address], service: str, timing: Timing
    ) -> None:
        super().__init__(connector, sentinels[0], timing)
        self._sentinels = list(sentinels)
        self._service = service
        self._writing: Address | None = None
        self._listening: Address | None = None
        """The last servers of commands and of subscriptions."""

    async def _find(self) -> Connection:
        connection, address = await self._connect()
        before, self._writing = self._writing, address
        if before not in {None, address}:
            # The other connection may still be to the previous primary.
            self._server.disconnect()
        return connection

    async def _connect(self) -> tuple[Connection, Address]:
        primary = await self._named()
        connection = await self._connector.server(primary)
        try:
            role = (await ask(connection, "ROLE"))[0]
        except BaseException:
            await close_connection(connection)
            raise
        if role != b"master":
            await close_connection(connection)
            raise EngineUnavailable("the server that Sentinel names is no primary yet")
        return connection, primary

    async def _named(self) -> Address:
        for sentinel in tuple(self._sentinels):
            try:
                found = await self._ask(sentinel)
            except TROUBLE:
                continue
            if found is not None:
                # The Sentinel that answered is asked first the next time.
                self._sentinels.remove(sentinel)
                self._sentinels.insert(0, sentinel)
                return found
        raise EngineUnavailable("no Sentinel names a primary")

    async def _ask(self, sentinel: Address) -> Address | None:
        connection = await self._connector.sentinel(sentinel)
        try:
            # The limit of the dialer applies to connecting; the answer gets the same time.
            found = await self._connector.soon(
                ask(connection, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)
            )
        finally:
            await close_connection(connection)
        return Address(found[0].decode(), int(found[1])) if found else None

    async def send(self, key: str, command: Sequence[Any], *, bulk: bool = False) -> Any:
        """Carry out a command."""
        try:
            return await super().send(key, command, bulk=bulk)
        except ReadOnlyError:
            self._server.disconnect()
            raise EngineUnavailable("the primary was replaced") from None

    async def refresh(self) -> bool:
        """Find the primary again; connections to another server close. True when subscriptions must move."""
        now = await self._named()
        if self._writing not in {None, now}:
            self._writing = None
            self._server.disconnect()
        return self._listening not in {None, now}

    async def connect(self, _: Hashable) -> Connection:
        """Connect to the primary."""
        connection, self._listening = await self._connect()
        return connection
