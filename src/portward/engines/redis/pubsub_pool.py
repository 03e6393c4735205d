"""Pub/Sub connections by server, with every name on the connection to its server."""

import asyncio
from collections.abc import Callable, Hashable
from contextlib import suppress
from functools import partial

from portward.engines.port import EngineUnavailable
from portward.engines.redis.context import RedisContext
from portward.engines.redis.pubsub_connection import PubSubConnection, PubSubListener
from portward.engines.redis.timeouts import bound


class PubSubPool(PubSubListener):
    """A `PubSubListener` whose subclass handles the messages. `interrupted` reports a possible loss."""

    def __init__(self, context: RedisContext, interrupted: Callable[[], None]) -> None:
        self._commands, self._topology, self._keys, self._uid, self._timing, self._clock = context
        self._interrupted = interrupted
        self._connections: dict[Hashable, PubSubConnection] = {}
        self._leaving: list[PubSubConnection] = []
        """Connections without names, which will end soon."""
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        self._probes: set[asyncio.Task[None]] = set()

    # -- subscribing

    async def add_name(self, name: str, seconds: float | None = None) -> None:
        """Subscribe to a name; returns when that is confirmed, within `seconds`.

        Raises:
            EngineUnavailable: not in time. It is subscribed to all the same, as soon as that is possible.
        """
        connection = self._where(name)
        if connection is None:
            connection = self._connection(self._topology.channel_owner(name), name)
            connection.add(name)
        elif connection.is_subscribed(name):
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(name, [])
        waiting.append(future)
        future.add_done_callback(lambda _: self._waited(name, future))
        seconds = self._timing.command if seconds is None else seconds
        bound(future, seconds, EngineUnavailable("redis does not confirm"))
        await future

    def remove_name(self, name: str) -> None:
        """Unsubscribe from a name."""
        connection = self._where(name)
        if connection is not None:
            connection.remove(name)

    def is_subscribed(self, name: str) -> bool:
        """Whether messages at `name` arrive."""
        connection = self._where(name)
        return connection is not None and connection.is_subscribed(name)

    def _waited(self, name: str, future: "asyncio.Future[None]") -> None:
        waiting = self._waiting.get(name, [])
        if future in waiting:
            waiting.remove(future)
        if not waiting:
            self._waiting.pop(name, None)

    def _where(self, name: str) -> PubSubConnection | None:
        return next(
            (connection for connection in self._connections.values() if name in connection.names),
            None,
        )

    def _connection(self, home: Hashable, name: str) -> PubSubConnection:
        connection = self._connections.get(home)
        if connection is None:
            words = (self._topology.subscribe, self._topology.unsubscribe)
            dial = partial(self._topology.connect, home)
            connection = self._connections[home] = PubSubConnection(
                dial, words, self, self._timing, self._clock
            )
            connection.probe = self._keys.probe(name, self._uid)
        return connection

    # -- callbacks of the connections

    def on_confirmed(self, connection: PubSubConnection, name: str) -> None:
        """Wake the callers that wait for a name, which is subscribed now."""
        for future in tuple(self._waiting.get(name, ())):
            if not future.done():
                future.set_result(None)
        if connection.missed and not connection.pending:
            connection.missed = False
            self._interrupted()

    async def on_lost(self, connection: PubSubConnection) -> None:
        """Find the server of each name again, and move the names that moved."""
        with suppress(EngineUnavailable):
            await self._topology.refresh()
        self._settle(connection)

    def _settle(self, connection: PubSubConnection) -> None:
        home = next((home for home, each in self._connections.items() if each is connection), None)
        for name in tuple(connection.names):
            now = self._topology.channel_owner(name)
            if now not in {home, None}:
                del connection.names[name]
                connection.pending.discard(name)
                other = self._connection(now, name)
                other.missed = True
                other.add(name)
        if not connection.names:
            self._connections.pop(home, None)
            self._leaving = [each for each in (*self._leaving, connection) if not each.over]
        else:
            connection.probe = self._keys.probe(next(iter(connection.names)), self._uid)

    def probe_name(self, connection: PubSubConnection) -> None:
        """Send a probe to the connection itself."""
        task = asyncio.get_running_loop().create_task(self._send_probes(connection.probe))
        self._probes.add(task)
        task.add_done_callback(self._probes.discard)

    async def _send_probes(self, name: str) -> None:
        with suppress(EngineUnavailable):
            await self._commands.send(name, self._topology.publish, name, "")

    def drop(self) -> None:
        """Close all connections and connect again."""
        for connection in tuple(self._connections.values()):
            connection.drop()

    async def close(self) -> None:
        """Close all connections."""
        for task in tuple(self._probes):
            task.cancel()
        if self._probes:
            await asyncio.wait(tuple(self._probes))
        pool = (*self._connections.values(), *self._leaving)
        self._connections.clear()
        for connection in pool:
            await connection.close()
