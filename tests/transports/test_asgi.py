import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.node.handshake.closed_refusals import ClosedRefusal
from portward.node.sessions.clock import LoopClock
from portward.node.sessions.path_handler import HttpReply
from portward.testing.clock import FakeClock
from portward.transports.asgi import CLOSING, AsgiApp, head_of
from portward.transports.asgi_link import Event
from portward.transports.request_router import RequestRouter
from portward.wire import message as wire
from tests.transports.running_listener import FakeGate, FakeSession, until

SCOPE: dict[str, Any] = {
    "type": "websocket",
    "http_version": "1.1",
    "scheme": "ws",
    "path": "/ws",
    "raw_path": b"/ws",
    "query_string": b"a=1",
    "root_path": "",
    "headers": [(b"host", b"gate.example"), (b"X-Name", b" caf\xe9 ")],
    "client": ("192.0.2.7", 40000),
}
DENIAL: dict[str, Any] = {"extensions": {"websocket.http.response": {}}}


class Server:
    """An ASGI server whose events are a list."""

    def __init__(self, *events: Event) -> None:
        self.sent: list[Event] = []
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        for event in events:
            self.events.put_nowait(event)

    async def receive(self) -> Event:
        """The next event."""
        return await self.events.get()

    async def send(self, event: Event) -> None:
        """Remember an event."""
        self.sent.append(event)


def app(gate: FakeGate, **options: Any) -> AsgiApp:
    """An application in front of a gate."""
    clock = FakeClock()
    return AsgiApp(lambda: RequestRouter(gate), lambda: clock, random=lambda: 0.0, **options)


async def refused_with(gate: FakeGate, **scope: Any) -> list[Event]:
    """What a handshake is answered that is not let in."""
    server = Server({"type": "websocket.connect"})
    await app(gate)({**SCOPE, **scope}, server.receive, server.send)
    return server.sent


# -- the head


def test_a_scope_is_a_request_head() -> None:
    """Names are lower case, values stripped, bytes beyond ASCII survive."""
    head = head_of(SCOPE)

    assert (head.method, head.path, head.query) == ("GET", "/ws", "a=1")
    assert head.headers == {"host": ["gate.example"], "x-name": ["caf\xe9"]}
    assert (head.peer, head.secure, head.http_version) == ("192.0.2.7", False, "1.1")


def test_a_scope_may_say_little() -> None:
    """What is optional in ASGI may be missing."""
    head = head_of({"type": "websocket", "path": "/ws", "headers": []})

    assert (head.path, head.query, head.peer, head.http_version) == ("/ws", "", "unix:", "1.1")


@pytest.mark.parametrize(
    ("client", "peer"),
    [
        (("192.0.2.7", 1), "192.0.2.7"),
        (["192.0.2.7", 1], "192.0.2.7"),
        (None, "unix:"),
        (("", 0), "unix:"),
        (["", None], "unix:"),
        (("testclient", 50000), "testclient"),
    ],
)
def test_a_client_without_an_address_came_by_a_unix_socket(client: Any, peer: str) -> None:
    """Servers that listen on a Unix socket name no client."""
    assert head_of({**SCOPE, "client": client}).peer == peer


@pytest.mark.parametrize(
    ("raw", "path", "host"),
    [
        (b"http://other.example/ws", "/ws", "other.example"),
        (b"https://other.example:8443/ws/?a=1", "/ws/", "other.example:8443"),
        (b"http://other.example", "/", "other.example"),
        (b"http://user@other.example/ws", "http://user@other.example/ws", "gate.example"),
        (b"*", "*", "gate.example"),
        (b"", "", "gate.example"),
        (b"//ws", "//ws", "gate.example"),
    ],
)
def test_a_target_in_absolute_form_brings_its_own_host(raw: bytes, path: str, host: str) -> None:
    """Where the server hands it on, its authority stands in place of `Host`; nothing raises."""
    head = head_of({**SCOPE, "raw_path": raw})

    assert (head.path, head.all("host")) == (path, [host])


@pytest.mark.parametrize(("scheme", "secure"), [("wss", True), ("https", True), ("http", False)])
def test_tls_is_told_by_the_scheme(scheme: str, secure: bool) -> None:
    """The server knows whether its client speaks TLS."""
    assert head_of({**SCOPE, "scheme": scheme}).secure is secure


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        ({"path": "/app/ws", "raw_path": b"/app/ws", "root_path": "/app"}, "/ws"),
        ({"path": "/app/ws", "raw_path": None, "root_path": "/app"}, "/ws"),
        ({"path": "/ws", "raw_path": b"/ws", "root_path": "/app"}, "/ws"),
        ({"path": "/app", "raw_path": b"/app", "root_path": "/app"}, "/"),
        ({"path": "/app/", "raw_path": b"/app/", "root_path": "/app/"}, "/"),
        ({"path": "/apple/ws", "raw_path": b"/apple/ws", "root_path": "/app"}, "/apple/ws"),
        ({"path": "/a/ws", "raw_path": b"/%61/ws", "root_path": ""}, "/%61/ws"),
        ({"path": "/w/s", "raw_path": b"/w%2Fs", "root_path": ""}, "/w%2Fs"),
        ({"path": "/wé", "raw_path": None, "root_path": ""}, "/w%C3%A9"),
        ({"path": "/é/ws", "raw_path": b"/%C3%A9/ws", "root_path": "/é"}, "/ws"),
        ({"path": "/ws", "raw_path": b"/ws?a=1", "root_path": ""}, "/ws"),
    ],
)
def test_the_path_is_seen_from_the_mount(scope: dict[str, Any], path: str) -> None:
    """Below its mount the application has its own paths, undecoded."""
    assert head_of({**SCOPE, **scope}).path == path


# -- WebSocket


async def test_a_handshake_is_judged_and_accepted() -> None:
    """The server has checked the form of the handshake; the gate checks the rest."""
    gate = FakeGate()
    gate.options = {"subprotocol": "chat"}
    server = Server({"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1001})
    await app(gate)(SCOPE, server.receive, server.send)

    assert server.sent == [{"type": "websocket.accept", "subprotocol": "chat"}]
    assert gate.checked == [True]
    assert gate.sessions[0].losses == [1001]


async def test_a_refusal_is_answered_in_full_where_the_server_can() -> None:
    """With the denial extension the client gets status, headers and an empty body."""
    gate = FakeGate()
    gate.refuse = HandshakeRejected(HandshakeRejection.RATE)

    assert await refused_with(gate, **DENIAL) == [
        {
            "type": "websocket.http.response.start",
            "status": 429,
            "headers": [(b"retry-after", b"5"), (b"content-length", b"0")],
        },
        {"type": "websocket.http.response.body", "body": b""},
    ]
    assert gate.reasons == [HandshakeRejection.RATE]


async def test_a_refusal_is_a_close_where_the_server_cannot() -> None:
    """Without the extension the server answers 403, whatever the reason."""
    gate = FakeGate()
    gate.refuse = HandshakeRejected(HandshakeRejection.ORIGIN)

    assert await refused_with(gate) == [{"type": "websocket.close", "code": 1000}]


def closed() -> ClosedRefusal:
    """A refusal that is sent as a close."""
    refused = HandshakeRejected(HandshakeRejection.RATE)
    return ClosedRefusal(refused, (3013, "too many requests"), (wire.text(b'{"a":1}'),), "realtime")


async def test_a_refusal_may_be_a_close_after_the_handshake() -> None:
    """Accepted, told, closed: and logged as the refusal it is."""
    gate = FakeGate()
    gate.refuse = closed()

    assert await refused_with(gate, **DENIAL) == [
        {"type": "websocket.accept", "subprotocol": "realtime"},
        {"type": "websocket.send", "text": '{"a":1}'},
        {"type": "websocket.close", "code": 3013, "reason": "too many requests"},
    ]
    assert gate.reasons == [HandshakeRejection.RATE]
    assert gate.sessions == []


async def test_few_refusals_are_closes_at_a_time() -> None:
    """While the server is slow to close the first ones, further ones get their status."""
    gate = FakeGate()
    gate.refuse = closed()
    served, slow = app(gate), asyncio.Event()

    async def held(_: Event) -> None:
        await slow.wait()

    servers = [Server({"type": "websocket.connect"}) for _ in range(CLOSING)]
    scope = {**SCOPE, **DENIAL}
    tasks = [asyncio.ensure_future(served(scope, each.receive, held)) for each in servers]
    await asyncio.sleep(0)
    late = Server({"type": "websocket.connect"})
    await served(scope, late.receive, late.send)
    assert late.sent[0]["status"] == 429
    slow.set()
    await asyncio.gather(*tasks)
    last = Server({"type": "websocket.connect"})
    await served(scope, last.receive, last.send)
    assert last.sent[0]["type"] == "websocket.accept"


async def test_a_full_house_refuses_before_it_judges() -> None:
    """The global cap holds here, too."""
    gate = FakeGate()
    gate.full = HandshakeRejection.GLOBAL_CAP

    assert (await refused_with(gate, **DENIAL))[0]["status"] == 503
    assert gate.heads == []


async def test_a_client_that_is_gone_before_it_is_accepted_is_counted_out() -> None:
    """When the server cannot accept, the admission is given back."""
    gate = FakeGate()
    server = Server({"type": "websocket.connect"})

    async def fail(_: Event) -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await app(gate)(SCOPE, server.receive, fail)

    assert [admission.cancelled for admission in gate.admissions] == [1]
    assert gate.sessions == []


# -- HTTP


@pytest.mark.parametrize(
    ("path", "status", "body"), [("/health", 200, b'{"status":"ok"}'), ("/other", 404, b"")]
)
async def test_plain_http_gets_a_small_answer_or_404(path: str, status: int, body: bytes) -> None:
    """What the gate does not answer is not here."""
    server = Server()
    gate = FakeGate()
    gate.answers["/health"] = HttpReply(200, body, (("Content-Type", "application/json"),))
    scope = {**SCOPE, "type": "http", "method": "GET", "path": path, "raw_path": path.encode()}
    await app(gate)(scope, server.receive, server.send)

    start, rest = server.sent
    assert (start["type"], start["status"]) == ("http.response.start", status)
    assert (b"content-length", str(len(body)).encode()) in start["headers"]
    assert rest == {"type": "http.response.body", "body": body}
    assert gate.reasons == ([HandshakeRejection.UNKNOWN_PATH] if status == 404 else [])


# -- life


async def test_the_root_application_lives_and_ends() -> None:
    """Start-up and shutdown enter and leave what was given for it."""
    calls = []

    @asynccontextmanager
    async def life() -> AsyncIterator[None]:
        calls.append("start")
        yield
        calls.append("stop")

    server = Server({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    await app(FakeGate(), lifespan=life())({"type": "lifespan"}, server.receive, server.send)

    assert calls == ["start", "stop"]
    assert [event["type"] for event in server.sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


@pytest.mark.parametrize("phase", ["startup", "shutdown"])
async def test_a_failure_to_start_or_stop_is_told(phase: str) -> None:
    """The server learns the kind of error, never its words."""

    @asynccontextmanager
    async def life() -> AsyncIterator[None]:
        if phase == "startup":
            raise ZeroDivisionError("a secret")
        yield
        raise ZeroDivisionError("a secret")

    server = Server({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    with pytest.raises(ZeroDivisionError):
        await app(FakeGate(), lifespan=life())({"type": "lifespan"}, server.receive, server.send)

    assert server.sent[-1] == {"type": f"lifespan.{phase}.failed", "message": "ZeroDivisionError"}


async def test_an_unknown_scope_is_an_error() -> None:
    """ASGI asks applications to refuse what they do not know."""
    server = Server()
    with pytest.raises(ValueError, match="unknown scope"):
        await app(FakeGate())({"type": "telepathy"}, server.receive, server.send)


# -- behind a real server


@asynccontextmanager
async def uvicorn_server(gate: FakeGate) -> AsyncIterator[int]:
    """The application behind uvicorn; gives the port."""
    clock = LoopClock()
    application = AsgiApp(lambda: RequestRouter(gate), lambda: clock)
    config = uvicorn.Config(application, port=0, log_level="critical", ws="websockets-sansio")
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server.serve())
    await until(lambda: server.started)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving


async def test_behind_uvicorn_messages_pass_and_both_sides_close() -> None:
    """A real server and a real client: text, binary, and the close of either side."""
    gate = FakeGate()

    def begin(session: FakeSession) -> None:
        session.link.authenticated()
        session.echo = True

    gate.on_open = begin
    async with uvicorn_server(gate) as port:
        async with connect(f"ws://127.0.0.1:{port}/ws") as client:
            await client.send("hello")
            await client.send(bytes(60_000))
            assert await client.recv() == "hello"
            assert await client.recv() == bytes(60_000)
        await until(lambda: gate.sessions[0].losses == [1000])
        async with connect(f"ws://127.0.0.1:{port}/ws") as client:
            gate.sessions[1].link.close(3503, "force disconnect")
            await client.wait_closed()
            assert (client.close_code, client.close_reason) == (3503, "force disconnect")
        await until(lambda: gate.sessions[1].losses)


async def test_behind_uvicorn_a_refusal_has_its_status() -> None:
    """The denial extension of a real server carries the outcome table."""
    gate = FakeGate()
    gate.refuse = HandshakeRejected(HandshakeRejection.UNAUTHENTICATED)
    async with uvicorn_server(gate) as port:
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"ws://127.0.0.1:{port}/ws")

    assert caught.value.response.status_code == 401
    assert caught.value.response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
