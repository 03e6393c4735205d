"""One WebSocket connection, as the client sees it: texts in, texts out, and how it ended."""

import os
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from typing import Final, Literal, Protocol
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    InvalidURI,
)
from websockets.frames import Close
from websockets.uri import parse_uri

from portward.client.errors import ConnectFailed, HandshakeRefused

_CLOSE_TIME: Final = 2.0
_MAX_MESSAGE: Final = 4 * 1024 * 1024
"""A room_joined with all the messages it may carry, each as long as it may be, fits twice."""
_KEEPALIVE: Final = 1011
"""What `websockets` closes with when its own pings stay unanswered: a link that broke."""
_WRONG_DATA: Final = 1003
_ERRNO: Final = re.compile(r"\[Errno (\d+)\]")


class LinkClosed(Exception):  # noqa: N818 - an outcome
    """The connection is over: with a close code, or with None when it just broke."""

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Link(Protocol):
    """A connection. Another one than `websockets` can be put in its place, as tests do."""

    async def send(self, text: str) -> None:
        """Send a message; raises LinkClosed."""

    async def receive(self) -> str:
        """Wait for a message; raises LinkClosed."""

    async def close(self) -> None:
        """Close with 1000, and wait a moment for the answer."""


Dial = Callable[[], Awaitable[Link]]
"""Makes a connection. Raises ConnectFailed or HandshakeRefused."""


class _Connect(connect):
    """Follows no redirect: what is said next is a secret, and only for who was named."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


Textual = Callable[[bytes], str]
"""How a binary message is handed on where texts are expected."""


class WebSocketLink:
    """Implements `Link` on `websockets`."""

    def __init__(self, socket: ClientConnection, textual: Textual | None = None) -> None:
        self._socket = socket
        self._textual = textual

    async def send(self, text: str) -> None:
        """Send a text message."""
        try:
            await self._socket.send(text)
        except ConnectionClosed as closed:
            raise _ended(closed) from None

    async def receive(self) -> str:
        """Wait for a text message; a binary one ends the connection where it means nothing."""
        try:
            message = await self._socket.recv()
        except ConnectionClosed as closed:
            raise _ended(closed) from None
        if isinstance(message, str):
            return message
        if self._textual is not None:
            return self._textual(message)
        await self._socket.close(_WRONG_DATA)
        raise LinkClosed(_WRONG_DATA, "a binary message")

    async def close(self) -> None:
        """Close with 1000."""
        await self._socket.close()


def _ended(closed: ConnectionClosed) -> LinkClosed:
    came: Close | None = closed.rcvd
    sent = closed.sent if closed.sent is not None and closed.sent.code != _KEEPALIVE else None
    close = came or sent
    return LinkClosed(close.code, close.reason) if close else LinkClosed(None, "connection lost")


def dialer(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
    timeout: float = 10.0,
    textual: Textual | None = None,
) -> Dial:
    """Make what connects to `url` (`ws://` or `wss://`), giving up after `timeout` seconds.

    With `textual` binary messages are welcome, and received as the text it makes of them.
    A proxy of the environment is used, except to this machine. Redirects are not followed.

    Raises:
        ValueError: it is no such address.
    """
    try:
        parse_uri(url)
    except InvalidURI:
        raise ValueError("not a WebSocket address: it begins with ws:// or wss://") from None
    proxy: Literal[True] | None = None if _is_here(urlsplit(url).hostname or "") else True

    # Without a context of its own a wss:// address gets the system's default one.
    security = tls or True if urlsplit(url).scheme == "wss" else None

    async def dial() -> Link:
        attempt = _Connect(
            url,
            additional_headers=headers,
            ssl=security,
            proxy=proxy,
            open_timeout=timeout,
            close_timeout=_CLOSE_TIME,
            max_size=_MAX_MESSAGE,
        )
        try:
            return WebSocketLink(await attempt, textual)
        except InvalidStatus as refused:
            raise _refused(refused) from None
        except TimeoutError:
            raise ConnectFailed("no answer in time") from None
        except OSError as error:
            raise ConnectFailed(_why(error)) from None
        except (InvalidHandshake, EOFError, ImportError) as error:
            raise ConnectFailed(f"no WebSocket connection: {error}") from None

    return dial


def _refused(refused: InvalidStatus) -> HandshakeRefused:
    response = refused.response
    wait = response.headers.get("Retry-After", "")
    return HandshakeRefused(response.status_code, float(wait) if wait.isdecimal() else None)


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _why(error: OSError) -> str:
    """The operating system's own words; asyncio wraps them in addresses, several in one."""
    if isinstance(error, ssl.SSLError):
        reasons = (getattr(error, name, "") for name in ("verify_message", "reason"))
        return f"TLS: {next(filter(None, reasons), 'failed').lower()}"
    number = _ERRNO.search(str(error))
    if number:
        return os.strerror(int(number[1])).lower()
    return (error.strerror or str(error) or "failed").lower()
