"""The application's hooks on alerts and on connections that subscribe to them."""

from asyncio import ensure_future
from collections.abc import Callable
from inspect import isawaitable
from typing import Any, Final, TypeVar

from portward.node.node import Node
from portward.node.ports import ConnectionInfo, Hooks
from portward.protocols.alerts.record import Alert

Hook = TypeVar("Hook", bound=Callable[..., Any])

CONNECTED: Final = "subscriber_connected"
DISCONNECTED: Final = "subscriber_disconnected"
EMITTED: Final = "alert_emitted"


class SubscriptionListeners:
    """The application's hooks on the alerts of one namespace. A hook that raises is recorded."""

    def __init__(self, node: Callable[[], Node], hooks: Hooks, namespace: str) -> None:
        self._node = node
        self._hooks = hooks
        self._namespace = namespace
        self._emitted: list[Callable[..., Any]] = []
        self._endpoints: frozenset[str] | None = None
        self._add: Final = {
            CONNECTED: self._connected,
            DISCONNECTED: self._disconnected,
            EMITTED: self._emitted.append,
        }

    def on(self, event: str, hook: Hook | None) -> Hook | Callable[[Hook], Hook]:
        """Add a hook, or return a decorator that adds one.

        Raises:
            ValueError: the event does not exist.
        """
        add = self._add.get(event)
        if add is None:
            raise ValueError(f"an event is one of {', '.join(self._add)}")

        def register(hook: Hook) -> Hook:
            add(hook)
            return hook

        return register if hook is None else register(hook)

    @property
    def heed_alerts(self) -> bool:
        """Whether there is a hook on alerts."""
        return bool(self._emitted)

    def emitted(self, node: Node, alert: Alert) -> None:
        """Call the hooks for an alert, in the background."""
        for hook in self._emitted:
            node.background.run(_tell(node, hook, alert))

    def endpoints(self) -> frozenset[str]:
        """The names of the endpoints that serve these alerts."""
        return frozenset(
            endpoint.name
            for endpoint in self._node().endpoints.values()
            if endpoint.namespace is not None and endpoint.namespace.name == self._namespace
        )

    def stopping(self) -> None:
        """Store the endpoints: their last connections close when the node can no longer be asked."""
        self._endpoints = self.endpoints()

    def _ours(self, connection: ConnectionInfo) -> bool:
        ours = self.endpoints() if self._endpoints is None else self._endpoints
        return connection.endpoint in ours

    def _connected(self, hook: Callable[..., Any]) -> None:
        async def opened(connection: ConnectionInfo) -> None:
            if self._ours(connection):
                await _call(hook, connection)

        self._hooks.opened.append(opened)

    def _disconnected(self, hook: Callable[..., Any]) -> None:
        async def closed(connection: ConnectionInfo, ending: str) -> None:
            if self._ours(connection):
                await _call(hook, connection, ending)

        self._hooks.disconnect.append(closed)


async def _call(hook: Callable[..., Any], *told: Any) -> None:
    answer = hook(*told)
    if isawaitable(answer):
        await ensure_future(answer)


async def _tell(node: Node, hook: Callable[..., Any], alert: Alert) -> None:
    try:
        await _call(hook, alert)
    except Exception as error:  # noqa: BLE001 - the application's code may raise anything
        node.telemetry.failure(error)
