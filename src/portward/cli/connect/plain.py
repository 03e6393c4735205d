"""A terminal client for alerts, live and relay: messages are shown as they arrive, and sent as typed.

The client subscribes to what the command line names, reconnects after a failure and subscribes again. A
relay conversation ends with its connection.
"""

import asyncio
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from portward.cli.connect.keyboard import Keyboard
from portward.cli.connect.screen import Screen
from portward.cli.errors import CommandRefused, UsageError
from portward.client import ClientError, ConnectionLost, StateChange, StoppedError
from portward.client.alerts import AlertsClient
from portward.client.codec import Incoming
from portward.client.endpoint import EndpointOptions
from portward.client.live import LiveClient
from portward.client.relay import RelayClient

DIALECTS: Final = ("alerts", "live", "relay")
_QUIET: Final = 1.0
"""Seconds without a message after which the last answer is considered received."""
_LAST_WORDS: Final = 5.0


def own_origin(url: str) -> str:
    """Return the gateway's own origin: cookies need an origin, and a page of the same site would send it."""
    parts = urlsplit(url)
    return f"{'https' if parts.scheme == 'wss' else 'http'}://{parts.netloc}"


class _Shown:
    """Shows every message except the answers to the client's own requests."""

    screen: Screen
    came: asyncio.Event

    def observe(self, incoming: Incoming, answer: bool) -> None:
        """Show a message."""
        if answer and incoming.kind == "history":
            return
        payload = incoming.payload
        self.screen.plain(payload if isinstance(payload, str) else f"<{len(payload)} bytes>")
        self.came.set()


class ShownAlerts(_Shown, AlertsClient):
    """An alerts client that shows its messages."""


class ShownLive(_Shown, LiveClient):
    """A live client that shows its messages."""


class ShownRelay(_Shown, RelayClient):
    """A relay client that shows its messages."""


class Plain:
    """A terminal client for one of these endpoints."""

    def __init__(
        self,
        dialect: str,
        options: EndpointOptions,
        screen: Screen,
        wanted: Sequence[str],
        origin: str,
    ) -> None:
        """Prepare the client without a connection.

        Raises:
            UsageError: the endpoint has nothing to subscribe to.
        """
        if dialect == "relay" and wanted:
            raise UsageError("the relay has nothing to subscribe to")
        client: ShownAlerts | ShownLive | ShownRelay
        if dialect == "alerts":
            client = ShownAlerts(options)
        elif dialect == "live":
            client = ShownLive(options, origin)
        else:
            client = ShownRelay(options)
        client.screen, client.came = screen, asyncio.Event()
        self._client = client
        self._screen = screen
        self._wanted = list(wanted)
        self._over: asyncio.Future[ClientError | None]
        self._over = asyncio.get_running_loop().create_future()
        client.on("state", self._changed)

    async def start(self) -> None:
        """Connect and subscribe.

        Raises:
            ClientError: connecting or subscribing failed.
        """
        client = self._client
        await client.connect()
        if isinstance(client, ShownAlerts):
            client.on("gap", lambda gap: self._screen.note(f"alerts of {gap.channel} are lost"))
            client.on("alert", lambda _: None)
            if self._wanted:
                await client.subscribe(self._wanted)
        elif isinstance(client, ShownLive):
            for name in self._wanted:
                topic = client.topic(name)
                topic.on("gap", lambda _: None)
                topic.on("data", lambda _: None)
                topic.subscribe()
        elif isinstance(client, ShownRelay):
            client.on("event", lambda _: None)

    async def listen(self) -> None:
        """Show messages until the connection is closed for good.

        Raises:
            CommandRefused: the gateway closed the connection.
        """
        error = await self._over
        if error is not None:
            known = (
                isinstance(error, StoppedError | ConnectionLost) and error.close_code is not None
            )
            code = f" ({error.close_code})" if known else ""  # type: ignore[attr-defined]
            raise CommandRefused(f"the connection is over: {error}{code}")

    async def type(self, keyboard: Keyboard) -> None:
        """Send the typed lines."""
        try:
            while (line := await keyboard.line()) is not None:
                if line.strip():
                    connection = await self._client.ready_connection()
                    await connection.send(line)
        except ClientError:
            return  # `listen` reports how the connection ended

    async def leave(self) -> None:
        """Wait for the last answers, and close."""
        try:
            async with asyncio.timeout(_LAST_WORDS):
                while True:
                    self._client.came.clear()
                    await asyncio.wait_for(self._client.came.wait(), _QUIET)
        except TimeoutError:
            pass
        await self._client.close()

    async def close(self) -> None:
        """Close at once."""
        await self._client.close()

    def _changed(self, change: StateChange) -> None:
        error = change.error
        if change.state == "ready":
            self._screen.note("connected")
        elif change.state == "waiting" and error is not None:
            wait = f"trying again in {change.retry_in or 0.0:.1f} s"
            self._screen.note(f"not connected: {error}; {wait}")
        elif change.state in ("stopped", "idle", "closed") and not self._over.done():
            self._over.set_result(error)
