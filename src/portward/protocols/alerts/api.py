"""The application's interface to alerts: publish, read the history, connect call-analysis engines."""

from collections.abc import AsyncIterable, AsyncIterator, Callable
from functools import partial
from typing import Any, Protocol, overload, runtime_checkable

import portward.protocols.alerts.analysis as analysis
import portward.protocols.alerts.record as record
from portward.model.channel import Channel
from portward.model.commands import Publish, ReadHistory
from portward.node.node import Node
from portward.node.sessions import Hooks
from portward.protocols.alerts.engine_connection import EngineConnection
from portward.protocols.alerts.engine_sources import EmitterConnection, IteratorConnection
from portward.protocols.alerts.hooks import Hook, adder, alert_of
from portward.protocols.alerts.record import Alert
from portward.telemetry.events import Event


@runtime_checkable
class Emitter(Protocol):
    """An engine with callbacks, as pyee's `EventEmitter`."""

    def on(self, event: str, handler: Callable[..., Any], /) -> Any:
        """Register `handler(payload)` for `event`."""


class Alerts:
    """`gateway.alerts`: the alerts of one namespace."""

    def __init__(self, node: Callable[[], Node], hooks: Hooks, namespace: str = "alerts") -> None:
        """`node` returns the node; it is called at each use: hooks are added before the gateway runs."""
        self._node = node
        self._hooks = hooks
        self._namespace = namespace

    # -- alerts

    async def publish(
        self,
        call_id: str,
        type: str,  # noqa: A002 - the name in the protocol
        severity: str,
        data: dict[str, Any],
        *,
        idempotency_key: str | None = None,
    ) -> Alert:
        """Publish one alert: `severity` is low, medium, high or critical, `data` at most 64 KiB of JSON.

        A repeated `idempotency_key` within five minutes publishes nothing and returns the first alert.

        Raises:
            ValueError: a part of the alert is not valid; the message names it.
            CommandError: the data is no JSON, or too large.
            EngineUnavailable: the store did not answer; with Redis it may have stored the message.
        """
        command = record.write(
            self._namespace, call_id, type, severity, data, idempotency_key=idempotency_key
        )
        return await _publish(self._node(), command)

    async def analyse(self, event: str, payload: Any) -> list[Alert]:
        """Publish the alerts of one report of a call-analysis engine, as `connect_engine` does for all.

        Raises:
            ValueError: nothing in the report can be parsed; the message has the reason.
            CommandError: a part of it is too large.
            EngineUnavailable: not all of it was stored.
        """
        node = self._node()
        try:
            reading = analysis.read(self._namespace, event, payload)
        except ValueError as error:
            node.telemetry.record(Event.ANALYSIS_MALFORMED, count=1, detail=str(error))
            raise
        if reading.malformed:
            node.telemetry.record(
                Event.ANALYSIS_MALFORMED, count=reading.malformed, detail=reading.reason
            )
        return [await _publish(node, command) for command in reading.alerts]

    async def history(self, limit: int = 50, call_id: str | None = None) -> list[Alert]:
        """Return the newest alerts of a call, or of all calls, oldest first; at most 100.

        Raises:
            ValueError: `call_id` is no valid id of a call.
            EngineUnavailable: the store is unavailable.
        """
        node = self._node()
        channel = (
            Channel.combined(self._namespace)
            if call_id is None
            else record.channel(self._namespace, call_id)
        )
        return await _read(node, ReadHistory(channel=channel, limit=limit, reverse=True))

    async def stats(self) -> dict[str, int]:
        """Return `activeSubscribers` (connections of this process) and `alertHistorySize` (stored alerts).

        Raises:
            EngineUnavailable: the store is unavailable.
        """
        node = self._node()
        namespaces = (session.endpoint.namespace for session in node.registry)
        active = sum(each is not None and each.name == self._namespace for each in namespaces)
        command = ReadHistory(channel=Channel.combined(self._namespace), limit=1)
        page = await node.operations.history(command)
        kept = sum(page.position.offset - each.offset + 1 for each in page.publications)
        return {"activeSubscribers": active, "alertHistorySize": kept}

    # -- engines

    def connect_engine(self, engine: Emitter | AsyncIterable[tuple[str, Any]]) -> EngineConnection:
        """Publish the reports of a call-analysis engine, from now until the gateway stops.

        An engine has `on(event, handler)`, or is an asynchronous iterable of (event, payload). The events are
        `result`, `events` and `anomalies`; see docs/endpoints/alerts.md for their payloads. A report that
        cannot be parsed is logged and counted; the connection goes on.

        Raises:
            RuntimeError: the gateway is not running.
            TypeError: the engine has neither form.
        """
        node = self._node()

        send = partial(_publish, node)
        connection: EngineConnection
        if isinstance(engine, Emitter):
            connection = EmitterConnection(node, self._namespace, send, engine)
        elif isinstance(engine, AsyncIterable):
            source: AsyncIterator[Any] = aiter(engine)
            connection = IteratorConnection(node, self._namespace, send, source)
        else:
            raise TypeError("an engine has on(event, handler), or is an asynchronous iterable")
        node.before_stop.add(connection.close)
        task = connection.start()
        task.add_done_callback(lambda _: node.before_stop.discard(connection.close))
        return connection

    # -- hooks

    @overload
    def on(self, event: str, hook: None = None) -> Callable[[Hook], Hook]: ...

    @overload
    def on(self, event: str, hook: Hook) -> Hook: ...

    def on(self, event: str, hook: Hook | None = None) -> Hook | Callable[[Hook], Hook]:
        """Call `hook`, a function or a coroutine function, at an event; without `hook`, return a decorator.

        `subscriber_connected` passes the connection, `subscriber_disconnected` the connection and the name of
        the disconnect, `alert_emitted` the alert, after this process has published it.

        Raises:
            ValueError: the event does not exist.
        """
        add = adder(event)

        def register(hook: Hook) -> Hook:
            add(self._hooks, self._namespace, hook)
            return hook

        return register if hook is None else register(hook)


async def _read(node: Node, command: ReadHistory) -> list[Alert]:
    page = await node.operations.history(command)
    epoch = page.position.epoch
    return [record.read(command.channel, each, epoch) for each in page.publications]


async def _publish(node: Node, command: Publish) -> Alert:
    stored = await node.operations.publish(command)
    alert = alert_of(command, stored, int(node.clock.time() * 1000))
    if not stored.duplicate:
        return alert
    # The first alert may have had other content, so read it; the history may have dropped it.
    before = stored.position.offset - 1
    first = ReadHistory(channel=command.channel, since=before, limit=1)
    found = await _read(node, first)
    return found[0] if found and found[0].id == alert.id else alert
