"""The same gateway behind each of its listeners: its own, and three kinds of ASGI application."""

import asyncio
import io
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount
from websockets.asyncio.client import ClientConnection

from portward.app.gateway import Gateway
from portward.app.server import Server
from portward.node.sessions.clock import LoopClock
from portward.settings import Settings, load
from portward.telemetry.telemetry import make_telemetry

GatewayRunner = Callable[[], AbstractAsyncContextManager[tuple[Gateway, str]]]
PATIENCE = 30.0


def settings() -> Settings:
    """Development, on free ports."""
    return load({}, flags={"server.port": 0, "admin.enabled": False}).settings


def gateway() -> Gateway:
    """A gateway whose log goes nowhere."""
    given = settings()
    return Gateway(given, telemetry=make_telemetry(given, LoopClock(), io.StringIO()))


@asynccontextmanager
async def own_listener() -> AsyncIterator[tuple[Gateway, str]]:
    """Portward's own listener."""
    async with gateway() as running:
        server = Server(running)
        await server.start()
        host, port = server.public.addresses[0]
        try:
            yield running, f"ws://{host}:{port}/rooms"
        finally:
            await server.stop()


@asynccontextmanager
async def uvicorn_server(app: Any) -> AsyncIterator[int]:
    """Serve an ASGI application on a free port."""
    sock = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="critical", ws="websockets-sansio", lifespan="on")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve([sock]))
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield sock.getsockname()[1]
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def starlette_mount() -> AsyncIterator[tuple[Gateway, str]]:
    """Mounted in Starlette, which starts it."""
    running = gateway()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with running:
            yield

    app = Starlette(routes=[Mount("/ws", running.asgi)], lifespan=lifespan)
    async with uvicorn_server(app) as port:
        yield running, f"ws://127.0.0.1:{port}/ws/rooms"


@asynccontextmanager
async def fastapi_mount() -> AsyncIterator[tuple[Gateway, str]]:
    """Mounted in FastAPI, which starts it."""
    running = gateway()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with running:
            yield

    app = FastAPI(lifespan=lifespan)
    app.mount("/ws", running.asgi)
    async with uvicorn_server(app) as port:
        yield running, f"ws://127.0.0.1:{port}/ws/rooms"


@asynccontextmanager
async def asgi_root() -> AsyncIterator[tuple[Gateway, str]]:
    """Served by an ASGI server as its only application."""
    running = gateway()
    async with uvicorn_server(running.asgi) as port:
        yield running, f"ws://127.0.0.1:{port}/rooms"


LISTENERS: dict[str, GatewayRunner] = {
    "own listener": own_listener,
    "starlette": starlette_mount,
    "fastapi": fastapi_mount,
    "asgi root": asgi_root,
}


class EnvelopeClient:
    """A client that speaks envelopes, on any WebSocket library."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def hear(self) -> dict[str, Any]:
        """The next message."""
        message: dict[str, Any] = json.loads(await asyncio.wait_for(self.socket.recv(), PATIENCE))
        return message

    async def hear_until(self, kind: str) -> dict[str, Any]:
        """The next message of a type."""
        while True:
            message = await self.hear()
            if message["type"] == kind:
                return message

    async def say(self, kind: str, identifier: str | None = None, **data: Any) -> None:
        """Send one envelope."""
        envelope: dict[str, Any] = {"type": kind, "data": data, "timestamp": 0}
        if identifier is not None:
            envelope["id"] = identifier
        await self.socket.send(json.dumps(envelope))

    async def ask(self, kind: str, **data: Any) -> dict[str, Any]:
        """Send one envelope with an id, and return its answer."""
        await self.say(kind, "q", **data)
        while True:
            message = await self.hear()
            if message.get("id") == "q":
                return message
