"""Messages that a client sends right before its close are handled, over real sockets and every store."""

import asyncio
import io
import json
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, cast

import pytest

from portward.app.gateway import Gateway
from portward.app.server import Server
from portward.engines.memory import MemoryEngine
from portward.engines.port import Engine
from portward.engines.redis import Prefixes, RedisEngine, parse_url
from portward.engines.sqlite import SqliteEngine
from portward.model.channel import Channel
from portward.model.publication import HistoryQuery
from portward.node.sessions.clock import LoopClock
from portward.protocols.socketio.server import Socket
from portward.settings import load
from portward.telemetry.telemetry import make_telemetry
from tests.e2e.delayed_engine import DelayedEngine
from tests.e2e.gateways import TOKENS, UNLIMITED, until
from tests.e2e.listeners import PATIENCE, uvicorn_server
from tests.engines.redis_servers import Server as RedisServer
from tests.engines.redis_servers import need_redis, servers
from tests.transports.running_listener import CLOSE, TEXT, Client, handshake, masked

LOBBY: Final = Channel.parse("rooms:lobby")
GOODBYE: Final = masked(CLOSE, b"\x03\xe8")
FAR: Final = 0.1
"""Seconds to a store that is far away."""


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis server."""
    need_redis()
    with servers(RedisServer(tmp_path_factory.mktemp("redis"), "--save", "")) as (server,):
        yield server


Made = Callable[[], Engine]


@pytest.fixture(params=["memory", "sqlite", "redis"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    """Each engine, not started."""
    if request.param == "memory":
        return lambda: cast(Engine, MemoryEngine(LoopClock()))
    if request.param == "sqlite":
        return lambda: cast(Engine, SqliteEngine(str(tmp_path / "portward.db"), LoopClock()))
    url: str = request.getfixturevalue("redis").url
    prefix = f"{secrets.token_hex(4)}:"
    return lambda: cast(Engine, RedisEngine(parse_url(url), LoopClock(), prefixes=Prefixes(prefix)))


class Place:
    """A gateway over a store that can be far away, and the port where it listens."""

    def __init__(self, gateway: Gateway, engine: DelayedEngine, port: int) -> None:
        self.gateway = gateway
        self.engine = engine
        self.port = port

    async def enter(self) -> Client:
        """A client that is authenticated and in the lobby."""
        client = await Client.to(self.port)
        await client.send(handshake("/rooms"))
        await client.head()
        await client.send(told("auth", token=self.gateway.token("ann", roles=["user"])))
        await client.send(told("join", roomId="lobby"))
        while json.loads((await client.frame())[1])["type"] != "room_joined":
            pass
        return client

    async def said(self) -> list[Any]:
        """What is kept in the lobby."""
        namespace = self.gateway.node.namespaces["rooms"]
        page = await self.engine.inner.streams.history(LOBBY, HistoryQuery(limit=100), namespace)
        return [each.data for each in page.publications]


def told(kind: str, **data: Any) -> bytes:
    """One envelope as a frame."""
    return masked(TEXT, json.dumps({"type": kind, "data": data, "timestamp": 0}).encode())


def gateway_over(engine: DelayedEngine) -> Gateway:
    """A gateway without limits."""
    flags = {"server.port": 0, "admin.enabled": False}
    given = load({}, "portward.toml", flags=flags, read=lambda _: TOKENS + UNLIMITED).settings
    telemetry = make_telemetry(given, LoopClock(), io.StringIO())
    return Gateway(given, engine=cast(Engine, engine), telemetry=telemetry)


@asynccontextmanager
async def own(made: Made) -> AsyncIterator[Place]:
    """Portward's own listener."""
    engine = DelayedEngine(made())
    async with gateway_over(engine) as running:
        server = Server(running)
        await server.start()
        try:
            yield Place(running, engine, server.public.addresses[0][1])
        finally:
            engine.seconds = 0.0
            await server.stop()


@asynccontextmanager
async def asgi(made: Made) -> AsyncIterator[Place]:
    """An ASGI server in front."""
    engine = DelayedEngine(made())
    running = gateway_over(engine)
    async with uvicorn_server(running.asgi) as port:
        try:
            yield Place(running, engine, port)
        finally:
            engine.seconds = 0.0


LISTENERS = {"own": own, "asgi": asgi}


async def leave(client: Client, said: bytes, way: str) -> None:
    """Say the last things in one segment and go."""
    match way:
        case "close":
            await client.send(said + GOODBYE)
        case "end of input":
            await client.send(said)
            client.sock.shutdown(1)
        case "gone":
            await client.send(said + GOODBYE)
            client.leave()


async def check(made: Made, runner: str, way: str, count: int, seconds: float) -> None:
    """All of `count` messages are kept, in order, and the client is gone."""
    async with LISTENERS[runner](made) as place:
        client = await place.enter()
        place.engine.seconds = seconds
        texts = [str(number) for number in range(count)]
        await leave(
            client, b"".join(told("message", roomId="lobby", content=t) for t in texts), way
        )
        await until(lambda: place.gateway.node.admission_control.inside == 0)
        assert await place.said() == texts
        if way != "gone":
            async with asyncio.timeout(PATIENCE):
                assert b"\x88" in await client.rest() or way == "end of input"
            client.leave()


@pytest.mark.parametrize("count", [1, 16])
@pytest.mark.parametrize("way", ["close", "end of input", "gone"])
async def test_everything_said_before_the_end_is_kept(made: Made, way: str, count: int) -> None:
    """Messages and the end of the connection in one segment: all messages are kept."""
    await check(made, "own", way, count, 0.0)


@pytest.mark.parametrize("way", ["close", "end of input", "gone"])
async def test_behind_an_asgi_server(way: str) -> None:
    """Nothing else behind a server that closes by itself."""
    await check(lambda: cast(Engine, MemoryEngine(LoopClock())), "asgi", way, 16, 0.0)


@pytest.mark.parametrize("way", ["close", "end of input", "gone"])
async def test_a_store_that_is_far_away(made: Made, way: str) -> None:
    """A store whose every answer takes a tenth of a second keeps five last messages."""
    await check(made, "own", way, 5, FAR)


@pytest.mark.long
@pytest.mark.parametrize(
    "count", [1, 5, 8]
)  # within half of the two seconds that there are for them
@pytest.mark.parametrize("way", ["close", "end of input", "gone"])
@pytest.mark.parametrize("runner", list(LISTENERS))
async def test_every_end_of_a_far_store(made: Made, runner: str, way: str, count: int) -> None:
    """However many messages, however the connection ends, and whoever serves it."""
    await check(made, runner, way, count, FAR)


# -- Socket.IO


class Steps:
    """A gateway whose application takes its time over each event, and how far it came."""

    def __init__(self, place: Place, seconds: float) -> None:
        self.done: list[int] = []

        @place.gateway.workspaces.event("step")
        async def step(_: Socket, number: int) -> None:
            await asyncio.sleep(seconds)
            self.done.append(number)


def packet(number: int) -> str:
    """An event."""
    return f'42["step",{number}]'


async def enter_socket(place: Place) -> Client:
    """A Socket.IO client over WebSocket, in the root namespace."""
    client = await Client.to(place.port)
    await client.send(handshake("/socket.io/?EIO=4&transport=websocket"))
    await client.head()
    token = place.gateway.token("ann", roles=["user"], workspaceId="w1")
    await client.send(masked(TEXT, b"40" + json.dumps({"token": token}).encode()))
    while not (await client.frame())[1].startswith(b"40"):
        pass
    return client


@pytest.mark.parametrize("goodbye", ["disconnect", "packet", "close", "all"])
@pytest.mark.parametrize("count", [1, 16])
async def test_socketio_over_websocket(goodbye: str, count: int) -> None:
    """DISCONNECT, Engine.IO's close packet and the close frame each wait behind the events."""
    farewells = {
        "disconnect": masked(TEXT, b"41"),
        "packet": masked(TEXT, b"1"),
        "close": GOODBYE,
        "all": masked(TEXT, b"41") + masked(TEXT, b"1") + GOODBYE,
    }
    async with own(lambda: cast(Engine, MemoryEngine(LoopClock()))) as place:
        steps = Steps(place, 0.005)
        client = await enter_socket(place)
        events = b"".join(masked(TEXT, packet(n).encode()) for n in range(count))
        await client.send(events + farewells[goodbye])
        await until(lambda: len(steps.done) == count)
        assert steps.done == list(range(count))
        client.leave()
        await until(lambda: place.gateway.node.admission_control.inside == 0)


async def post(place: Place, sid: str, body: str) -> tuple[str, bytes]:
    """One post of a session that polls: its status line and what was answered."""
    client = await Client.to(place.port)
    head = (
        f"POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: text/plain\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    await client.send(head.encode() + body.encode())
    lines = await client.head()
    answer = await client.rest()
    client.leave()
    return lines[0], answer


async def poll(place: Place, sid: str = "") -> bytes:
    """One poll, and its answer."""
    client = await Client.to(place.port)
    given = f"&sid={sid}" if sid else ""
    await client.send(
        f"GET /socket.io/?EIO=4&transport=polling{given} HTTP/1.1\r\nHost: localhost\r\n"
        "Connection: close\r\n\r\n".encode()
    )
    await client.head()
    answer = await client.rest()
    client.leave()
    return answer


@pytest.mark.parametrize("goodbye", ["1", "41\x1e1"])
@pytest.mark.parametrize("count", [5, 16])
async def test_socketio_over_polling(goodbye: str, count: int) -> None:
    """Events and the goodbye in one post: all events are handled, and the session is gone."""
    async with own(lambda: cast(Engine, MemoryEngine(LoopClock()))) as place:
        steps = Steps(place, 0.005)
        sid: str = json.loads((await poll(place))[1:])["sid"]
        token = place.gateway.token("ann", roles=["user"], workspaceId="w1")
        status, _ = await post(place, sid, "40" + json.dumps({"token": token}))
        assert "200" in status
        assert (await poll(place, sid)).startswith(b"40")
        body = "\x1e".join([*map(packet, range(count)), goodbye])
        status, _ = await post(place, sid, body)
        assert "200" in status
        await until(lambda: len(steps.done) == count)
        assert steps.done == list(range(count))
        await until(lambda: place.gateway.node.admission_control.inside == 0)
