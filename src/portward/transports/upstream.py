"""Opens connections to the upstream of the relay, one for each client, with the key no client sees.

Nothing is followed and nothing is taken from the environment, the address is judged before it is
connected to, and no text of an error says more than which step failed.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Any, Final, cast
from urllib.parse import quote, urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, InvalidURI, WebSocketException
from websockets.uri import WebSocketURI, parse_uri

from portward.model.faults import Unavailable
from portward.transports.upstream_address import find
from portward.transports.upstream_link import CLOSE_TIME, MAX_MESSAGE, Socket, UpstreamConnection

TIMEOUT: Final = 10.0
PING: Final = 20.0
_MODEL: Final = "{model}"
_SILENT: Final = logging.Logger(  # noqa: LOG001 - beside the tree: no level set elsewhere wakes it
    "portward.upstream", logging.CRITICAL + 1
)
"""`websockets` logs handshakes with all their headers, the key among them. Nothing comes of it here."""


class _Connect(connect):
    """Follows no redirect: the key is for the host that was configured."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class UpstreamClient:
    """Implements `node.ports.Upstream`.

    `url` is a `ws://` or `wss://` address; `{model}` in its path or query is replaced. `api_key` is asked
    for the key at each connection. `timeout` are the seconds an attempt may take from the first question
    to the DNS to the end of the handshake. `tls` says which certificates are good; None: those the system
    trusts.

    Raises:
        ValueError: the address cannot be used.
    """

    def __init__(
        self,
        url: str,
        api_key: Callable[[], str],
        *,
        allow_private: bool,
        timeout: float = TIMEOUT,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._target = _parse(url)
        self._url = url
        self._key = api_key
        self._allow_private = allow_private
        self._timeout = timeout
        secure = self._target.secure
        self._tls = (tls or ssl.create_default_context()) if secure else None

    async def open(self, model: str) -> UpstreamConnection:
        """Connect for one client.

        Raises:
            Unavailable: which step failed.
        """
        # A task of its own: timeouts need one, and whoever asks may have none yet.
        attempt = asyncio.ensure_future(self._open(model))
        try:
            return await attempt
        except BaseException:
            # It may have ended well in the very turn in which it was given up.
            attempt.cancel()
            attempt.add_done_callback(_drop)
            raise

    async def _open(self, model: str) -> UpstreamConnection:
        url = self._url.replace(_MODEL, quote(model, safe="", errors="replace"))
        try:
            async with asyncio.timeout(self._timeout):
                socket = await self._reach(url, _headers(self._key()))
        except (OSError, WebSocketException, EOFError) as error:
            raise Unavailable(_cause(error)) from None
        socket.forget()
        return UpstreamConnection(socket)

    async def _reach(self, url: str, headers: dict[str, str]) -> Socket:
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

    async def _connect(self, url: str, address: str, headers: dict[str, str]) -> Socket:
        named: dict[str, Any] = (
            {} if self._tls is None else {"ssl": self._tls, "server_hostname": self._target.host}
        )
        connection = await _Connect(
            url,
            host=address,
            port=self._target.port,
            additional_headers=headers,
            user_agent_header="portward",
            compression=None,
            proxy=None,
            open_timeout=None,
            ping_interval=PING,
            ping_timeout=PING,
            close_timeout=CLOSE_TIME,
            max_size=MAX_MESSAGE,
            # Reading stops at the first whole frame that nobody has asked for.
            max_queue=0,
            logger=_SILENT,
            create_connection=Socket,
            **named,
        )
        return cast(Socket, connection)


def _parse(url: str) -> WebSocketURI:
    try:
        target = parse_uri(url.replace(_MODEL, "model"))
        placed = _MODEL not in urlsplit(url).netloc
    except (InvalidURI, ValueError):
        raise ValueError("not a WebSocket address: it begins with ws:// or wss://") from None
    if target.user_info is not None or not placed:
        raise ValueError("the upstream's address has a name or a model before its path")
    return target


def _headers(key: str) -> dict[str, str]:
    if not (key.isascii() and key.isprintable() and key.strip()):
        raise Unavailable("upstream key cannot be sent")
    return {"Authorization": f"Bearer {key}"}


def _cause(error: Exception) -> str:
    """What the log may know: no address, no header, nothing of an answer but its status."""
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
