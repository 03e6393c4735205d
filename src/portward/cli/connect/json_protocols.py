"""Alerts, live and relay at the terminal: messages are shown as they arrive, and lines sent as typed.

The client subscribes to what the command line names, reconnects after a failure and subscribes again. A
relay conversation ends with its connection.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from portward.cli.connect.loop import TerminalProtocol
from portward.cli.connect.options import ConnectOptions
from portward.cli.connect.screen import Screen
from portward.cli.terminal import UsageError
from portward.client import (
    AlertsClient,
    ConnectionLost,
    ConnectionOptions,
    Gap,
    LiveClient,
    RelayClient,
    StateChange,
    StoppedError,
)
from portward.client.codec import Incoming
from portward.client.endpoint import EndpointOptions
from portward.client.tokens import TokenProvider
from portward.client.transport import Payload, TransportClosed, WebSocketDialer, own_origin

JSON_PROTOCOLS: Final = ("alerts", "live", "relay")
_QUIET: Final = 1.0
_OVER: Final = frozenset({"stopped", "idle", "closed"})

Arrived = Payload | StateChange | Gap
Arrivals = asyncio.Queue[Arrived]
JsonClient = AlertsClient | LiveClient | RelayClient


class TerminalJson(TerminalProtocol):
    """A client of one of these endpoints."""

    quiet = _QUIET

    def __init__(self, client: JsonClient, arrivals: Arrivals, screen: Screen) -> None:
        super().__init__(screen)
        self._client = client
        self._arrivals = arrivals

    async def receive(self) -> Arrived | None:
        """Wait for a message or a change of the connection."""
        arrived = await self._arrivals.get()
        if not isinstance(arrived, StateChange) or arrived.state not in _OVER:
            return arrived
        error = arrived.error
        if error is None:
            return None
        code = error.close_code if isinstance(error, StoppedError | ConnectionLost) else None
        raise TransportClosed(code, str(error))

    async def show(self, message: Arrived) -> None:
        """Show what arrived."""
        if isinstance(message, StateChange):
            self._show_state(message)
        elif isinstance(message, Gap):
            self.screen.note(f"alerts of {message.channel} are lost")
        else:
            self.screen.payload(message)

    def _show_state(self, change: StateChange) -> None:
        if change.state == "ready":
            self.screen.note("connected")
        elif change.state == "waiting":
            wait = f"trying again in {change.retry_in or 0.0:.1f} s"
            self.screen.note(f"not connected: {change.error}; {wait}")

    async def send(self, line: str) -> bool:
        """Send a line, unless it is empty."""
        if line.strip():
            await (await self._client.ready_connection()).send(line)
        return True

    @property
    def waiting(self) -> bool:
        """Always: the protocols do not say which message answers a line."""
        return True

    async def close(self) -> None:
        """Close."""
        await self._client.close()


async def open_json(options: ConnectOptions, screen: Screen) -> TerminalJson:
    """Connect and subscribe.

    Raises:
        UsageError: the endpoint has nothing to subscribe to.
        ClientError: connecting or subscribing failed.
    """
    if options.protocol == "relay" and options.subscribe:
        raise UsageError("the relay has nothing to subscribe to")
    arrivals: Arrivals = asyncio.Queue()

    def observe(incoming: Incoming, answer: bool) -> None:
        # The alerts client asks for the history itself, to learn the positions of the calls.
        if not (answer and incoming.kind == "history"):
            arrivals.put_nowait(incoming.payload)

    dial = WebSocketDialer(headers=options.handshake, tls=options.tls)
    connection = ConnectionOptions(dial=dial, retry_first=False)
    credential = options.cookie if options.protocol == "live" else options.token
    tokens = TokenProvider(credential, connection.clock)
    client = _client(options, EndpointOptions(options.url, tokens, connection, observe))
    client.on("state", arrivals.put_nowait)
    try:
        await client.connect()
        await _subscribe(client, options.subscribe, arrivals)
    except BaseException:
        await client.close()
        raise
    return TerminalJson(client, arrivals, screen)


def _client(options: ConnectOptions, endpoint: EndpointOptions) -> JsonClient:
    if options.protocol == "alerts":
        return AlertsClient(endpoint)
    if options.protocol == "live":
        return LiveClient(endpoint, options.origin or own_origin(options.url))
    return RelayClient(endpoint)


async def _subscribe(client: JsonClient, names: Sequence[str], arrivals: Arrivals) -> None:
    """Subscribe; with callbacks nothing waits for an iteration."""
    if isinstance(client, AlertsClient):
        client.on("gap", arrivals.put_nowait)
        client.on("alert", _ignore)
        if names:
            await client.subscribe(names)
    elif isinstance(client, LiveClient):
        for topic in map(client.topic, names):
            topic.on("gap", _ignore)
            topic.on("data", _ignore)
            topic.subscribe()
    else:
        client.on("event", _ignore)


def _ignore(_: object) -> None:
    """Every message is shown as it is already."""
