"""A stand-in for a realtime API (OpenAI's), so that the relay can be tried without the paid one.

A WebSocket server on this machine, at `/v1/realtime?model=...` (or `?intent=transcription`, or
`?call_id=...`), that wants its key as a bearer token, or in `api-key` as Azure's does. It speaks the
same events, and can be told to fail: to refuse, to stall, to drop, to close, to flood.
"""

import asyncio
import hmac
import logging
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Final
from urllib.parse import parse_qs, urlsplit

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from portward.demo.listener import HOST
from portward.demo.upstream_peer import Naps, UpstreamPeer
from portward.demo.upstream_session import UpstreamSession
from portward.model.clock import Clock
from portward.settings import Settings, SettingsError

MODELS: Final = ("gpt-realtime", "gpt-realtime-mini")
CANARY: Final = "stand-in-canary-5e0c"
"""Part of every refusal. It is the upstream's own business: no client of a relay may ever read it."""
PATH: Final = "/v1/realtime"
_LAST: Final = "/realtime"
CLOSE_TIME: Final = 1.0
MAX_MESSAGE: Final = 16 * 1024 * 1024
_REMEMBERED: Final = 1000
_REFUSED: Final = 4000
_HEADERS: Final = {"authorization": "Bearer ", "api-key": ""}
"""Headers that may carry the key, with the word before it."""
_SILENT: Final = logging.Logger(  # noqa: LOG001 - beside the tree: `websockets` would log the key
    "portward.demo.upstream", logging.CRITICAL + 1
)


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a client sent to connect: the target, and its headers with their names as they came."""

    target: str
    headers: list[tuple[str, str]] = field(repr=False)


class StandInUpstream:
    """Serves while it is entered; `url` is then what a gateway's `upstream.url` should be.

    `settings` are those of the gateway that will use it. `port` 0 is any. The switches take effect at
    once: `refuse` and `slow_handshake` for new connections, `stall` for open ones too. `pace` are the
    seconds between two events of a response, by `clock`.

    Raises:
        SettingsError: that gateway runs in production.
        OSError: on entering, the port cannot be had.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        key: str,
        port: int = 0,
        models: tuple[str, ...] = MODELS,
    ) -> None:
        if settings.production:
            raise SettingsError(
                "environment: the stand-in upstream is for the demo and never serves production;"
                " set upstream.url to the real one"
            )
        self.refuse: int | None = None
        """The HTTP status every handshake is answered with."""
        self.slow_handshake = 0.0
        """Seconds, by the clock, before a handshake is answered."""
        self.pace = 0.0
        self.handshakes: deque[Handshake] = deque(maxlen=_REMEMBERED)
        self.received: deque[str | bytes] = deque(maxlen=_REMEMBERED)
        """Messages of all clients, as they came."""
        self._clock = clock
        self._key = key
        self._port = port
        self._models = models
        self.flooded = 0
        """Bytes of floods that clients took."""
        self._peers: set[UpstreamPeer] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._slow = Naps(clock)
        self._server: Server | None = None

    async def __aenter__(self) -> "StandInUpstream":
        self._server = await serve(
            self._serve,
            HOST,
            self._port,
            process_request=self._admit,
            compression=None,
            server_header=None,
            open_timeout=None,
            ping_interval=None,
            close_timeout=CLOSE_TIME,
            max_size=MAX_MESSAGE,
            max_queue=1,
            logger=_SILENT,
        )
        self._port = next(iter(self._server.sockets)).getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        assert self._server is not None  # noqa: S101 - for the type checker: it was entered
        self.stall = False
        self._slow.wake()
        self._server.close()
        for _ in range(2):
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIME):
                    await self._server.wait_closed()
            # Whoever reads nothing hears of no close either.
            self.drop()

    @property
    def base_url(self) -> str:
        """What the official SDK wants as its `websocket_base_url`."""
        return f"ws://{HOST}:{self._port}{PATH.removesuffix(_LAST)}"

    @property
    def url(self) -> str:
        """The address, with `{model}` where the model belongs."""
        return f"{self.base_url}{_LAST}?model={{model}}"

    @property
    def open(self) -> int:
        """Connections that are open."""
        return len(self._peers)

    @property
    def stall(self) -> bool:
        """Whether it answers nothing and reads nothing, though it still accepts."""
        return not self._flowing.is_set()

    @stall.setter
    def stall(self, on: bool) -> None:
        """Stall from now on, or go on where it stopped."""
        for peer in list(self._peers):
            peer.stop() if on else peer.go_on()
        self._flowing.clear() if on else self._flowing.set()

    def drop(self) -> None:
        """Cut every connection now, without a close frame."""
        for peer in list(self._peers):
            peer.drop()

    async def close(self, code: int, reason: str = "") -> None:
        """Close every connection with a code."""
        await asyncio.gather(*(peer.close(code, reason) for peer in self._peers))

    async def flood(self, bytes_per_message: int, count: int) -> None:
        """Send everybody `count` messages, as fast as they are taken; `flooded` grows meanwhile."""
        peers = list(self._peers)
        await asyncio.gather(*(peer.flood(bytes_per_message, count, self._took) for peer in peers))

    def _took(self, size: int) -> None:
        self.flooded += size

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        headers = list(request.headers.raw_items())
        self.handshakes.append(Handshake(request.path, headers))
        if self.slow_handshake:
            await self._slow.nap(self.slow_handshake)
        if self.refuse is not None:
            return _refusal(connection, self.refuse, "server_error")
        if urlsplit(request.path).path != PATH:
            return _refusal(connection, 404, "not_found")
        given = [(name.lower(), value) for name, value in headers if name.lower() in _HEADERS]
        if len(given) != 1 or not self._is_key(*given[0]):
            return _refusal(connection, 401, "invalid_api_key")
        return None

    def _is_key(self, header: str, value: str) -> bool:
        expected = f"{_HEADERS[header]}{self._key}".encode()
        return hmac.compare_digest(value.encode(errors="surrogateescape"), expected)

    async def _serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None  # noqa: S101 - for the type checker: it was admitted
        asked = parse_qs(urlsplit(connection.request.path).query)
        naps = Naps(self._clock)
        peer = UpstreamPeer(
            connection, self._flowing, naps, lambda: self.pace, self.received.append
        )
        self._peers.add(peer)
        if self.stall:
            peer.stop()
        try:
            await self._converse(peer, asked)
        finally:
            self._peers.discard(peer)

    async def _converse(self, peer: UpstreamPeer, asked: dict[str, list[str]]) -> None:
        model = asked.get("model", [None])[0]
        if asked.get("intent") == ["transcription"]:
            if model is not None:
                text = "You must not provide a model parameter for transcription sessions."
                await _turn_away(peer, "invalid_parameter", text)
                return
            await peer.run(UpstreamSession(None, self._clock.time()))
            return
        if model is None and asked.get("call_id"):
            model = self._models[0]  # of the call, which was begun elsewhere
        if model is None or model not in self._models:
            text = "The model does not exist or you do not have access to it."
            await _turn_away(peer, "model_not_found", text)
            return
        await peer.run(UpstreamSession(model, self._clock.time()))


async def _turn_away(peer: UpstreamPeer, code: str, text: str) -> None:
    """Say over the connection what is wrong with the address, and end it."""
    kind = "invalid_request_error"
    error = {"type": kind, "code": code, "message": text, "param": None, "event_id": None}
    with suppress(ConnectionClosed):
        await peer.say({"type": "error", "error": error})
        await peer.close(_REFUSED, f"{kind}.{code}")


def _refusal(connection: ServerConnection, status: int, code: str) -> Response:
    text = f"This request was refused ({CANARY})."
    error = {"message": text, "type": "invalid_request_error", "param": None, "code": code}
    body = msgspec.json.encode({"error": error}).decode()
    response = connection.respond(HTTPStatus(status), body)
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = "application/json"
    return response
