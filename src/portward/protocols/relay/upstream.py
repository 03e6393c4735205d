"""Opens the connections to the upstream of the relay, one per client, with a key no client sees.

No redirect is followed and no proxy is read from the environment, the address is checked before
connecting, and the text of an error names only the step that failed.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Any, Final, TypeAlias, cast
from urllib.parse import quote, urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, InvalidURI, WebSocketException
from websockets.uri import WebSocketURI, parse_uri

from portward.model.errors import Unavailable
from portward.protocols.relay.upstream_address import find
from portward.protocols.relay.upstream_link import (
    CLOSE_TIME,
    MAX_MESSAGE,
    UpstreamConnection,
    UpstreamSocket,
)
from portward.security.redaction import redacted

Parameters: TypeAlias = tuple[tuple[str, str], ...]

TIMEOUT: Final = 10.0
_MODEL: Final = "{model}"
_SILENT: Final = logging.Logger(  # noqa: LOG001 - outside the logger tree: no level set elsewhere enables it
    "portward.upstream", logging.CRITICAL + 1
)
"""`websockets` logs handshakes with all their headers, the key among them. This logger drops them."""


class _UpstreamConnect(connect):
    """Follows no redirect: the key is for the configured host."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class UpstreamClient:
    """Implements `UpstreamPort`.

    `url` is a `ws://` or `wss://` address; `{model}` in its path or query is replaced. `api_key` returns
    the key for each connection; it is sent in the header that `auth` names, after its second word,
    unless that is empty. `timeout` is in seconds, from the first DNS query to the end of the handshake.
    `tls` has the certificates that are trusted; None: those of the system.

    Raises:
        ValueError: the address cannot be used.
    """

    def __init__(
        self,
        url: str,
        api_key: Callable[[], str],
        *,
        allow_private: bool,
        auth: tuple[str, str] = ("Authorization", "Bearer"),
        timeout: float = TIMEOUT,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._target = _parse(url)
        self._url = url
        self._key = api_key
        self._header, self._scheme = auth
        self._allow_private = allow_private
        self._timeout = timeout
        secure = self._target.secure
        self._tls = (tls or ssl.create_default_context()) if secure else None

    async def open(
        self, model: str, parameters: Parameters = (), *, named: bool = True
    ) -> UpstreamConnection:
        """Connect for one client, see `UpstreamPort.open`.

        Raises:
            Unavailable: with the step that failed.
        """
        # A task of its own: timeouts need one, and the caller may run in none yet.
        attempt = asyncio.ensure_future(self._open(self._address(model, parameters, named=named)))
        try:
            return await attempt
        except BaseException:
            # It may have finished in the same turn of the loop in which it was cancelled.
            attempt.cancel()
            attempt.add_done_callback(_drop)
            raise

    def _address(self, model: str, parameters: Parameters, *, named: bool) -> str:
        base, _, query = self._url.partition("?")
        pairs = [pair for pair in query.split("&") if pair and (named or _MODEL not in pair)]
        pairs = [pair.replace(_MODEL, _quoted(model)) for pair in pairs]
        pairs += [f"{_quoted(name)}={_quoted(value)}" for name, value in parameters]
        return "?".join(filter(None, (base.replace(_MODEL, _quoted(model)), "&".join(pairs))))

    def _headers(self) -> dict[str, str]:
        key = self._key()
        if not (key.isascii() and key.isprintable() and key.strip()):
            raise Unavailable("upstream key cannot be sent")
        return {self._header: f"{self._scheme} {key}" if self._scheme else key}

    async def _open(self, url: str) -> UpstreamConnection:
        headers = self._headers()
        try:
            async with asyncio.timeout(self._timeout):
                socket = await self._reach(url, headers)
        except (OSError, WebSocketException, EOFError) as error:
            raise Unavailable(_cause(error)) from None
        socket.forget()
        socket.watch()
        return UpstreamConnection(socket, lambda text: redacted(text, (self._key(),)))

    async def _reach(self, url: str, headers: dict[str, str]) -> UpstreamSocket:
        """Try one address after the other, each with its share of the time that is left."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._timeout
        host, port = self._target.host, self._target.port
        addresses = await find(host, port, allow_private=self._allow_private)
        while True:
            address = addresses.pop(0)
            share = (until - loop.time()) / (len(addresses) + 1)
            try:
                async with asyncio.timeout(share):
                    return await self._connect(url, address, headers)
            except OSError:
                if not addresses:
                    raise

    async def _connect(self, url: str, address: str, headers: dict[str, str]) -> UpstreamSocket:
        named: dict[str, Any] = (
            {} if self._tls is None else {"ssl": self._tls, "server_hostname": self._target.host}
        )
        connection = await _UpstreamConnect(
            url,
            host=address,
            port=self._target.port,
            additional_headers=headers,
            user_agent_header="portward",
            compression=None,
            proxy=None,
            open_timeout=None,
            # `UpstreamSocket` pings by itself: it counts any byte of the upstream, not only a pong.
            ping_interval=None,
            close_timeout=CLOSE_TIME,
            max_size=MAX_MESSAGE,
            # Reading stops at the first whole frame that nothing waits for.
            max_queue=0,
            logger=_SILENT,
            create_connection=UpstreamSocket,
            **named,
        )
        return cast(UpstreamSocket, connection)


def _parse(url: str) -> WebSocketURI:
    try:
        target = parse_uri(url.replace(_MODEL, "model"))
        placed = _MODEL not in urlsplit(url).netloc
    except (InvalidURI, ValueError):
        raise ValueError("not a WebSocket address: it begins with ws:// or wss://") from None
    if target.user_info is not None or not placed:
        raise ValueError("the upstream's address has a name or a model before its path")
    return target


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="replace")


def _cause(error: Exception) -> str:
    """Text for the log: no address, no header, and of an answer only its status."""
    match error:
        case InvalidStatus():
            return f"upstream answered {error.response.status_code}"
        case TimeoutError():
            return "upstream timed out"
        case ssl.SSLError():
            return "upstream failed the TLS handshake"
        case OSError():
            return "upstream cannot be reached"
        case _:
            return "upstream did not open a WebSocket"


def _drop(attempt: asyncio.Task[UpstreamConnection]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().drop()
