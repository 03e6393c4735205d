"""Live topics, as the application handles them: published, and their connections at hand."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from portward.model.channel import Channel
from portward.model.commands import Publish
from portward.model.position import Position
from portward.node.connection_handle import ConnectionHandle
from portward.node.node import Node
from portward.node.ports import Hooks

MessageHandler = Callable[[ConnectionHandle, Any], Awaitable[None]]
CloseHandler = Callable[[ConnectionHandle, str], Awaitable[None]]

H = TypeVar("H")


class Live:
    """`gateway.live`: the topics of one namespace, and the connections of its endpoints."""

    def __init__(self, node: Callable[[], Node], hooks: Hooks, namespace: str = "live") -> None:
        """`node` is asked for each time: handlers are set before the gateway runs."""
        self._node = node
        self._hooks = hooks
        self._namespace = namespace

    # -- handlers

    @property
    def on_message(self) -> MessageHandler | None:
        """`async def handler(connection, message)`, in place of what clients may ask otherwise.

        It is given every message that is JSON, parsed, one at a time for each connection. Set it when
        you like, also while the gateway runs; None puts the subscriptions back. One that raises is
        recorded; its client is told to try again, and nothing of what was raised.
        """
        return self._hooks.takeover.get(self._namespace)

    @on_message.setter
    def on_message(self, handler: MessageHandler | None) -> None:
        """Set it, or with None take it away."""
        _put(self._hooks.takeover, self._namespace, handler)

    @property
    def on_close(self) -> CloseHandler | None:
        """`async def handler(connection, reason)`, told of every end; `reason` is the ending's name."""
        return self._hooks.closed.get(self._namespace)

    @on_close.setter
    def on_close(self, handler: CloseHandler | None) -> None:
        """Set it, or with None take it away."""
        _put(self._hooks.closed, self._namespace, handler)

    # -- topics and connections

    def channel(self, topic: str) -> Channel:
        """The channel behind a topic.

        Raises:
            ValueError: it cannot be a topic.
        """
        return Channel.parse(f"{self._namespace}:{topic}")

    async def publish(
        self, topic: str, data: Any, *, key: str | None = None, idempotency_key: str | None = None
    ) -> Position:
        """Publish any JSON value, at most 64 KiB of it.

        The last one under each `key` is what a new subscriber is sent first. A repeated
        `idempotency_key` within five minutes publishes nothing and returns the first position.

        Raises:
            ValueError: `topic` cannot be a topic.
            Fault: the data is no JSON, or too large.
            EngineUnavailable: nothing was stored; try again.
        """
        command = Publish(
            channel=self.channel(topic), data=data, key=key, idempotency_key=idempotency_key
        )
        return (await self._node().operations.publish(command)).position

    def connections(self) -> list[ConnectionHandle]:
        """Every open connection of this process that proved who it is."""
        return [
            ConnectionHandle(session)
            for session in self._node().registry
            if session.identity is not None
            and session.endpoint.namespace is not None
            and session.endpoint.namespace.name == self._namespace
        ]


def _put(handlers: dict[str, H], namespace: str, handler: H | None) -> None:
    if handler is None:
        handlers.pop(namespace, None)
    else:
        handlers[namespace] = handler
