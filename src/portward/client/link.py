"""A connection for text messages, without reconnects: for tools, and for the older client."""

import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from portward.client.transport import (
    ClientTransport,
    Dial,
    Payload,
    TransportClosed,
    WebSocketDialer,
    checked_address,
)

_WRONG_DATA: Final = 1003
_PING_INTERVAL: Final = 20.0

LinkClosed = TransportClosed
Textual = Callable[[bytes], str]
"""Makes the text of a binary message where texts are expected."""


class Link(Protocol):
    """A connection. It can be replaced, as tests do."""

    async def send(self, text: str) -> None:
        """Send a message; raises LinkClosed."""

    async def receive(self) -> str:
        """Wait for a message; raises LinkClosed."""

    async def close(self) -> None:
        """Close with 1000, and wait a moment for the answer."""


LinkDial = Callable[[], Awaitable[Link]]
"""Makes a connection. Raises ConnectFailed or HandshakeRefused."""


class TextLink:
    """Implements `Link` on a transport."""

    def __init__(self, transport: ClientTransport, textual: Textual | None = None) -> None:
        self._transport = transport
        self._textual = textual

    async def send(self, text: str) -> None:
        """Send a text message."""
        await self._transport.send(text)

    async def receive(self) -> str:
        """Wait for a text message; a binary one ends the connection, unless `textual` is given."""
        message = await self._transport.receive()
        if isinstance(message, str):
            return message
        if self._textual is not None:
            return self._textual(message)
        await self._transport.close(_WRONG_DATA)
        raise LinkClosed(_WRONG_DATA, "a binary message")

    async def close(self) -> None:
        """Close with 1000."""
        await self._transport.close()


def dialer(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
    timeout: float = 10.0,
    textual: Textual | None = None,
) -> LinkDial:
    """Return a function that connects to `url` within `timeout` seconds.

    With `textual`, binary messages are accepted, and received as the text that it returns.
    A proxy of the environment is used, except to this machine. Redirects are not followed.

    Raises:
        ValueError: it is no WebSocket address.
    """
    address = checked_address(url)
    connect = WebSocketDialer(
        headers=headers, tls=tls, timeout=timeout, ping_interval=_PING_INTERVAL
    )

    async def dial() -> Link:
        return TextLink(await connect(address, {}), textual)

    return dial


class _LinkTransport:
    """Implements `ClientTransport` on a link of the application."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def send(self, message: Payload) -> None:
        await self._link.send(message if isinstance(message, str) else message.decode())

    async def receive(self) -> Payload:
        return await self._link.receive()

    async def close(self, code: int = 1000) -> None:  # noqa: ARG002 - a link knows one code
        await self._link.close()

    def abort(self) -> None:
        """A link cannot be aborted; it is closed when the client closes it."""


def link_dialer(dial: LinkDial) -> Dial:
    """Return a `Dial` that uses a function that makes a link."""

    async def connect(_: str, __: Mapping[str, str]) -> ClientTransport:
        return _LinkTransport(await dial())

    return connect
