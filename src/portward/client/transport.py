"""One WebSocket connection of the client."""

import os
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from typing import Any, Final, Literal, Protocol
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.uri import parse_uri

from portward.client.errors import ConnectFailed, HandshakeRefused

Payload = str | bytes
"""A text or binary message."""

_KEEPALIVE: Final = 1011
"""The code with which `websockets` closes when its pings are not answered: a broken connection."""
_CLOSE_TIME: Final = 2.0
_MAX_MESSAGE: Final = 17 * 1024 * 1024
"""A message of the relay's upstream may have 16 MiB; those of other endpoints are much smaller."""
_ERRNO: Final = re.compile(r"\[Errno (\d+)\]")


class TransportClosed(Exception):  # noqa: N818 - an outcome
    """The connection has ended: with a close code, or with None when it broke."""

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class ClientTransport(Protocol):
    """A connection. It can be replaced, as tests do."""

    async def send(self, message: Payload) -> None:
        """Send a message; raises TransportClosed."""

    async def receive(self) -> Payload:
        """Wait for a message; raises TransportClosed."""

    async def close(self, code: int = 1000) -> None:
        """Close, and wait a moment for the answer."""

    def abort(self) -> None:
        """Abort the connection; `receive` then raises TransportClosed."""


Dial = Callable[[str, Mapping[str, str]], Awaitable[ClientTransport]]
"""Connects to an address with headers. Raises ConnectFailed or HandshakeRefused."""


class _Connect(connect):
    """Follows no redirect: the secret that is sent next is only for the given host."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class WebSocketClientTransport:
    """Implements `ClientTransport` on `websockets`."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, message: Payload) -> None:
        """Send a text or binary message."""
        try:
            await self._socket.send(message)
        except ConnectionClosed as closed:
            raise _ended(closed) from None

    async def receive(self) -> Payload:
        """Wait for a message."""
        try:
            return await self._socket.recv()
        except ConnectionClosed as closed:
            raise _ended(closed) from None

    async def close(self, code: int = 1000) -> None:
        """Close."""
        await self._socket.close(code)

    def abort(self) -> None:
        """Abort the connection without the closing handshake."""
        self._socket.transport.abort()


def _ended(closed: ConnectionClosed) -> TransportClosed:
    sent = closed.sent if closed.sent is not None and closed.sent.code != _KEEPALIVE else None
    close = closed.rcvd or sent
    return TransportClosed(close.code, close.reason) if close else TransportClosed(None, "")


class WebSocketDialer:
    """Implements `Dial` on `websockets`; `timeout` bounds the handshake, in seconds.

    A proxy of the environment is used, except to this machine. Redirects are not followed. Without
    `ping_interval` no pings are sent here: the client detects silence itself.
    """

    def __init__(
        self,
        *,
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        timeout: float = 10.0,
        max_message: int = _MAX_MESSAGE,
        ping_interval: float | None = None,
    ) -> None:
        self._ping_interval = ping_interval
        self._headers = dict(headers or {})
        self._tls = tls
        self._timeout = timeout
        self._max_message = max_message

    async def __call__(self, url: str, headers: Mapping[str, str]) -> ClientTransport:
        """Connect.

        Raises:
            ConnectFailed: there is no WebSocket server, or no answer in time.
            HandshakeRefused: the answer is another HTTP status than 101.
        """
        socket, uri = split_address(url)
        parts = urlsplit(uri)
        place: dict[str, Any] = {} if socket is None else {"unix": True, "path": socket}
        direct = socket is not None or is_loopback(parts.hostname or "")
        proxy: Literal[True] | None = None if direct else True
        attempt = _Connect(
            uri,
            additional_headers={**self._headers, **headers},
            # Without a context of its own a wss:// address gets the system's default one.
            ssl=self._tls or True if parts.scheme == "wss" else None,
            proxy=proxy,
            open_timeout=self._timeout,
            close_timeout=_CLOSE_TIME,
            ping_interval=self._ping_interval,
            max_size=self._max_message,
            **place,
        )
        try:
            return WebSocketClientTransport(await attempt)
        except InvalidStatus as refused:
            raise refusal_of(refused) from None
        except TimeoutError:
            raise ConnectFailed("no answer in time") from None
        except OSError as error:
            raise ConnectFailed(reason_of(error)) from None
        except (InvalidHandshake, EOFError, ImportError) as error:
            raise ConnectFailed(f"no WebSocket connection: {error}") from None


def split_address(url: str) -> tuple[str | None, str]:
    """Return the path of the Unix socket and the WebSocket address inside it.

    An address of a Unix socket is `ws+unix:/path/of/the/socket:/path/of/the/endpoint`. Any other address
    is returned as it is, with None.
    """
    scheme, plus, rest = url.partition("+unix:")
    if not plus or scheme not in {"ws", "wss"}:
        return None, url
    place, mark, query = rest.partition("?")
    socket, _, path = place.removeprefix("//").partition(":")
    return socket, f"{scheme}://localhost{path}{mark}{query}"


def endpoint_address(base: str, path: str) -> str:
    """Return the address of the endpoint with a path at a gateway."""
    _, mark, after = base.partition("+unix:")
    colon = ":" if mark and ":" not in after else ""
    return f"{base.rstrip('/')}{colon}{path}"


def checked_address(url: str) -> str:
    """Return a WebSocket address, as it was given.

    Raises:
        ValueError: it is none.
    """
    socket, uri = split_address(url)
    try:
        host = parse_uri(uri).host
        known = socket is None or (socket.startswith("/") and host == "localhost")
    except InvalidURI:
        known = False
    if not known:
        raise ValueError("not a WebSocket address: it begins with ws://, wss:// or ws+unix:/")
    return url


def refusal_of(refused: InvalidStatus) -> HandshakeRefused:
    """Return the error for an HTTP status, with the seconds of `Retry-After`."""
    response = refused.response
    wait = response.headers.get("Retry-After", "")
    seconds = float(wait) if wait.isascii() and wait.isdecimal() else None
    return HandshakeRefused(response.status_code, seconds)


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def reason_of(error: OSError) -> str:
    """Return the text of the operating system; asyncio puts addresses around it, several in one."""
    if isinstance(error, ssl.SSLError):
        reasons = (getattr(error, name, "") for name in ("verify_message", "reason"))
        return f"TLS: {next(filter(None, reasons), 'failed').lower()}"
    number = _ERRNO.search(str(error))
    if number:
        return os.strerror(int(number[1])).lower()
    return (error.strerror or str(error) or "failed").lower()


def own_origin(url: str) -> str:
    """Return the origin of pages that the gateway itself would serve."""
    parts = urlsplit(split_address(url)[1])
    return f"{'https' if parts.scheme == 'wss' else 'http'}://{parts.netloc.rpartition('@')[2]}"
