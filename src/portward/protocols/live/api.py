"""The application's interface to live topics: publish, and access to their connections."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from portward.model.channel import Channel
from portward.model.commands import Publish
from portward.model.position import Position
from portward.node.node import Node
from portward.node.sessions import ConnectionHandle, Hooks
from portward.protocols.live.service import TAKEOVER

MessageHandler = Callable[[ConnectionHandle, Any], Awaitable[None]]
CloseHandler = Callable[[ConnectionHandle, str], Awaitable[None]]

H = TypeVar("H")
K = TypeVar("K")


class Live:
    """`gateway.live`: the topics of one namespace, and the connections of its endpoints."""

    def __init__(self, node: Callable[[], Node], hooks: Hooks, namespace: str = "live") -> None:
        """`node` returns the node; it is called at each use: handlers are set before the gateway runs."""
        self._node = node
        self._hooks = hooks
        self._namespace = namespace

    # -- handlers

    @property
    def on_message(self) -> MessageHandler | None:
        """`async def handler(connection, message)`, which replaces the built-in commands of clients.

        It gets every JSON message, parsed, one at a time for each connection. It can be set at any time,
        also while the gateway runs; None restores the built-in commands. An exception in it is recorded; the
        client gets an error to try again, without the text of the exception.
        """
        return self._hooks.handlers.get((TAKEOVER, self._namespace))

    @on_message.setter
    def on_message(self, handler: MessageHandler | None) -> None:
        """Set the handler, or remove it with None."""
        _put(self._hooks.handlers, (TAKEOVER, self._namespace), handler)

    @property
    def on_close(self) -> CloseHandler | None:
        """`async def handler(connection, reason)`, called at each close; `reason` names the disconnect."""
        return self._hooks.closed.get(self._namespace)

    @on_close.setter
    def on_close(self, handler: CloseHandler | None) -> None:
        """Set the handler, or remove it with None."""
        _put(self._hooks.closed, self._namespace, handler)

    # -- topics and connections

    def channel(self, topic: str) -> Channel:
        """Return the channel of a topic.

        Raises:
            ValueError: the topic is not valid.
        """
        return Channel.parse(f"{self._namespace}:{topic}")

    async def publish(
        self, topic: str, data: Any, *, key: str | None = None, idempotency_key: str | None = None
    ) -> Position:
        """Publish any JSON value of at most 64 KiB.

        A new subscriber first gets the last publication of each `key`. A repeated `idempotency_key` within
        five minutes publishes nothing and returns the first position.

        Raises:
            ValueError: `topic` is not valid.
            CommandError: the data is no JSON, or too large.
            EngineUnavailable: the store did not answer; with Redis it may have stored the message.
        """
        command = Publish(
            channel=self.channel(topic), data=data, key=key, idempotency_key=idempotency_key
        )
        return (await self._node().operations.publish(command)).position

    def connections(self) -> list[ConnectionHandle]:
        """Return every open and authenticated connection of this process."""
        return [
            ConnectionHandle(session)
            for session in self._node().registry
            if session.identity is not None
            and session.endpoint.namespace is not None
            and session.endpoint.namespace.name == self._namespace
        ]


def _put(handlers: dict[K, H], key: K, handler: H | None) -> None:
    if handler is None:
        handlers.pop(key, None)
    else:
        handlers[key] = handler
