"""A listener that speaks Engine.IO on real sockets; its gate lets everyone in, its time stands still."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from portward.hub.encoder import Encoder
from portward.node.sessions.endpoint import ActiveEndpoint
from portward.protocols.echo import EchoProtocol
from portward.security.origin import OriginPolicy
from portward.settings import Settings, resolve
from portward.settings.endpoint import EndpointSettings
from portward.testing.clock import FakeClock
from portward.transports.engineio import EngineServer, engine_handlers
from portward.transports.listener import Listener
from portward.transports.listener_state import ListenerState
from portward.transports.request_router import RequestRouter
from portward.wire import message as wire
from tests.transports.running_listener import (
    Client,
    FakeGate,
    FakePath,
    FakeSession,
    handshake,
    masked,
    until,
)

PATH = "/engine.io/"
POLL = "EIO=4&transport=polling"
SOCKET = "EIO=4&transport=websocket"


def endpoint(
    framing: wire.FrameBuilder = wire.ENGINE, path: str = PATH, **rules: Any
) -> ActiveEndpoint:
    """An endpoint as far as a transport looks at it."""
    dialect = EchoProtocol()
    voice = Encoder("engine", dialect, framing.text, lambda: 0)
    return ActiveEndpoint(
        rules=resolve(
            Settings(endpoints={"engine": EndpointSettings(path=path, **rules)})
        ).endpoints["engine"],
        protocol=dialect,
        namespace=None,
        origins=OriginPolicy(production=False),
        limits={},
        framing=framing,
        plain=voice,
        deflated=voice,
    )


class Answer:
    """One HTTP answer."""

    def __init__(self, head: list[str], body: bytes) -> None:
        self.status = int(head[0].split(" ")[1])
        self.headers = dict(line.lower().split(": ", 1) for line in head[1:])
        self.body = body

    @property
    def told(self) -> tuple[int, bytes]:
        """Status and body."""
        return self.status, self.body

    @property
    def code(self) -> int:
        """The code of an error of the protocol."""
        return int(json.loads(self.body)["code"])


class PollingListener:
    """A listener that serves, and the hands to reach in."""

    def __init__(self, gate: FakeGate, clock: FakeClock, server: EngineServer) -> None:
        self.paths = engine_handlers(server)
        self.path = self.paths[PATH]
        self.router = RequestRouter(gate, self.paths, server.sessions)
        self.gate = gate
        self.clock = clock
        self.server = server
        self.listener_state = ListenerState(self.router, clock, random=lambda: 0.0)
        self.listener = Listener(self.listener_state, "127.0.0.1", 0)
        self.clients: list[Client] = []

    async def client(self, **options: Any) -> Client:
        """A client that has said nothing yet."""
        client = await Client.to(self.listener.addresses[0][1], **options)
        self.clients.append(client)
        return client

    async def request(
        self, method: str, query: str, body: bytes | None = None, *, length: int | None = None
    ) -> Client:
        """A client that has asked, and not heard the answer."""
        client = await self.client()
        lines = [f"{method} {PATH}?{query} HTTP/1.1", "Host: gate.example"]
        if body is not None:
            lines.append(f"Content-Length: {len(body) if length is None else length}")
        await client.send("\r\n".join([*lines, "", ""]).encode() + (body or b""))
        return client

    async def answer(self, client: Client) -> Answer:
        """The answer to what a client asked; then it leaves."""
        head = await client.head()
        body = await client.rest()
        client.leave()
        return Answer(head, body)

    async def ask(self, method: str, query: str, body: bytes | None = None) -> Answer:
        """Ask and hear."""
        return await self.answer(await self.request(method, query, body))

    async def begin(self, more: str = "") -> tuple[str, FakeSession]:
        """A session by polling: its query, and its receiver."""
        answer = await self.ask("GET", POLL + more)
        sid = json.loads(answer.body[1:])["sid"]
        return f"{POLL}&sid={sid}", self.gate.sessions[-1]

    async def poll(self, query: str) -> Client:
        """A client whose poll is pending."""
        client = await self.request("GET", query)
        entrance = self.server.find(query.partition("&sid=")[2].partition("&")[0])
        assert entrance is not None
        await until(lambda: entrance.polling._poll is not None)
        return client

    async def post(self, query: str, body: bytes) -> Answer:
        """Bring packets."""
        return await self.ask("POST", query, body)

    async def socket(self, query: str = SOCKET) -> Client:
        """A WebSocket that was let in."""
        client = await self.client()
        await client.send(handshake(f"{PATH}?{query}"))
        assert (await client.head())[0] == "HTTP/1.1 101 Switching Protocols"
        return client

    async def probed(self, query: str) -> Client:
        """A WebSocket that may take the session over."""
        client = await self.socket(query.replace("polling", "websocket"))
        await client.send(masked(1, b"2probe"))
        assert await client.frame() == (0x81, b"3probe")
        return client


@asynccontextmanager
async def run_polling(gate: FakeGate | None = None, **rules: Any) -> AsyncIterator[PollingListener]:
    """Serve on a free port of this machine."""
    gate, clock = gate or FakeGate(), FakeClock()
    gate.handlers[PATH] = FakePath(gate, endpoint(**rules))
    gate.handlers["/ws"] = FakePath(gate, endpoint(wire.PLAIN, "/ws"))
    server = EngineServer(gate, clock, random=lambda: 0.0)
    running = PollingListener(gate, clock, server)
    await running.listener.start()
    try:
        yield running
    finally:
        for client in running.clients:
            client.leave()
        running.listener.close()
        for session in gate.sessions:
            session.link.abort()
        await until(lambda: running.listener_state.sockets == 0 and not server.sessions)
        server.close()
