"""A gateway that echoes over Engine.IO, behind its own listener and behind an ASGI server."""

import asyncio
import io
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import httpx
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.routing import Mount
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from portward.app.gateway import Gateway
from portward.app.server import Server
from portward.model.disconnects import Disconnect
from portward.node.sessions.clock import LoopClock
from portward.settings import Settings, load
from portward.settings.endpoint import AuthMode, CredentialSource, EndpointSettings, TransportKind
from portward.telemetry.events import Event
from portward.telemetry.telemetry import make_telemetry
from tests.e2e.listeners import PATIENCE, uvicorn_server

PATH = "/engine.io/"
ORIGIN = "http://localhost:3000"


class Peer:
    """A client that speaks Engine.IO by hand: raw packets, over HTTP and over WebSocket."""

    def __init__(self, gateway: Gateway, base: str, log: io.StringIO) -> None:
        self.gateway = gateway
        self.base = base
        self.log = log
        self.scheme = ""
        self.http = httpx.AsyncClient(timeout=PATIENCE)

    def url(self, transport: str = "polling", sid: str = "", **query: str) -> str:
        """The address of a request."""
        given = {"EIO": "4", "transport": transport, "sid": sid} | query
        pairs = "&".join(f"{name}={value}" for name, value in given.items() if value)
        scheme = ("ws" if transport == "websocket" else "http") + self.scheme
        return f"{scheme}://{self.base}?{pairs}"

    async def open(self, **headers: str) -> str:
        """Begin a session by polling; its id."""
        response = await self.http.get(self.url(), headers=headers)
        assert response.status_code == 200, response.text
        told: dict[str, Any] = json.loads(response.text[1:])
        return str(told["sid"])

    async def poll(self, sid: str, **headers: str) -> httpx.Response:
        """Ask what there is."""
        return await self.http.get(self.url(sid=sid), headers=headers)

    def polling(self, sid: str) -> "asyncio.Task[httpx.Response]":
        """Ask, and do not wait for the answer."""
        return asyncio.create_task(self.poll(sid))

    async def post(self, sid: str, body: str | bytes, **headers: str) -> httpx.Response:
        """Bring packets."""
        return await self.http.post(self.url(sid=sid), content=body, headers=headers)

    async def say(self, sid: str, body: str) -> None:
        """Bring packets that are taken."""
        response = await self.post(sid, body)
        assert (response.status_code, response.text) == (200, "ok")

    async def hear(self, sid: str) -> list[str]:
        """The packets of the next answer."""
        response = await self.poll(sid)
        assert response.status_code == 200, response.text
        return response.text.split("\x1e")

    def socket(self, sid: str = "", **options: Any) -> connect:
        """A WebSocket, for a new session or for one there is."""
        return connect(self.url("websocket", sid), open_timeout=PATIENCE, **options)

    def is_polling(self, sid: str) -> bool:
        """Whether a poll of the session is pending."""
        found = self.gateway.engine_io.find(sid)
        return found is not None and found.polling._poll is not None

    def end(self, ending: Disconnect) -> None:
        """Let the gateway end every session."""
        for session in list(self.gateway.node.registry):
            session.end(ending, "test")

    def events(self, event: Event) -> float:
        """How often something was recorded."""
        registry = self.gateway.telemetry.metrics.registry
        labels = {"event": event.value}
        return registry.get_sample_value("portward_events_total", labels) or 0.0

    def inside(self) -> tuple[int, int]:
        """How many are inside: connections of the gate, and sessions that began by polling."""
        return self.gateway.node.admission_control.inside, len(self.gateway.engine_io.sessions)

    async def until_inside(self, expected: tuple[int, int]) -> None:
        """Wait until so many are."""
        await until(lambda: self.inside() == expected)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until the condition holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what others do has no event here
            await asyncio.sleep(0.002)


async def heard(socket: ClientConnection) -> str | bytes:
    """The next message."""
    return await asyncio.wait_for(socket.recv(), PATIENCE)


async def rest(socket: ClientConnection) -> list[str | bytes]:
    """Everything up to the close."""
    async with asyncio.timeout(PATIENCE):
        return [message async for message in quietly(socket)]


async def quietly(socket: ClientConnection) -> AsyncIterator[str | bytes]:
    """Messages until the connection is closed, by whatever code."""
    with suppress(ConnectionClosed):
        async for message in socket:
            yield message


def engine(**changes: Any) -> Settings:
    """Settings with an Engine.IO echo; `changes` are those of its endpoint."""
    given = load({}, flags={"server.port": 0, "admin.enabled": False}).settings
    echo = EndpointSettings(
        path=PATH, dialect="echo", transport=TransportKind.ENGINE_IO, auth=AuthMode.NONE
    )
    return replace(given, endpoints={"engine": replace(echo, **changes)})


def guarded(**changes: Any) -> Settings:
    """The same where a token is wanted."""
    credentials = (CredentialSource.HEADER,)
    return engine(auth=AuthMode.TOKEN, credentials=credentials, **changes)


@asynccontextmanager
async def own_listener(
    settings: Settings, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Peer]:
    """Portward's own listener."""
    log = io.StringIO()
    async with Gateway(settings, telemetry=make_telemetry(settings, LoopClock(), log)) as running:
        server = Server(running)
        server.listener_state.tls = tls
        await server.start()
        host, port = server.public.addresses[0]
        peer = Peer(running, f"{host}:{port}{PATH}", log)
        try:
            yield peer
        finally:
            await peer.http.aclose()
            await server.stop()


@asynccontextmanager
async def mounted(settings: Settings) -> AsyncIterator[Peer]:
    """Mounted in Starlette, behind uvicorn."""
    log = io.StringIO()
    running = Gateway(settings, telemetry=make_telemetry(settings, LoopClock(), log))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with running:
            yield

    app = Starlette(routes=[Mount("/ws", running.asgi)], lifespan=lifespan)
    async with uvicorn_server(app) as port:
        peer = Peer(running, f"127.0.0.1:{port}/ws{PATH}", log)
        try:
            yield peer
        finally:
            await peer.http.aclose()


LISTENERS: dict[str, Callable[[Settings], AbstractAsyncContextManager[Peer]]] = {
    "own listener": own_listener,
    "asgi": mounted,
}
