"""The Engine.IO server, and what ten thousand idle sessions cost."""

import gc
import tracemalloc
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from portward.model.disconnects import Disconnect
from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.node.sessions.path_handler import Headers, RequestHandler
from portward.settings import Settings
from portward.settings.endpoint import AuthMode, EndpointSettings, TransportKind
from portward.settings.sections import GateSettings
from portward.testing.gateway import request
from portward.transports.engineio import engine_handlers
from portward.wire import message as wire
from tests.running_gateway import RunningGateway, run_gateway
from tests.transports.engineio.polling_listener import (
    PATH,
    POLL,
    SOCKET,
    PollingListener,
    run_polling,
)
from tests.transports.running_listener import BINARY, TEXT, handshake, masked, until

IDLE = 10_000
BYTES = 12 * 1024
"""Most bytes an idle session may hold: the session itself, its link and its pending poll."""


@pytest.fixture
async def running() -> AsyncIterator[PollingListener]:
    """A listener with one Engine.IO endpoint."""
    async with run_polling() as opened:
        yield opened


async def test_other_endpoints_pass_by(running: PollingListener) -> None:
    """What is not Engine.IO's goes to the gate as it came."""
    client = await running.client()
    await client.send(handshake("/ws"))
    assert (await client.head())[0] == "HTTP/1.1 101 Switching Protocols"
    await client.send(masked(TEXT, b"raw"))
    await until(lambda: running.gate.sessions[0].messages == [(b"raw", False)])
    assert running.router.find("/ws").target is running.gate.handlers["/ws"]
    assert running.router.find("/health").target is running.gate
    assert running.server.find("x") is None


@pytest.mark.parametrize("path", ["/app/k-1/engine.io", "/app/k-1/engine.io/"])
async def test_a_session_by_polling_has_the_parameters_of_its_path(path: str) -> None:
    """They are those that a session by WebSocket has."""
    echo = EndpointSettings(
        path="/app/{key}/engine.io",
        dialect="echo",
        transport=TransportKind.ENGINE_IO,
        auth=AuthMode.NONE,
    )
    async with run_gateway(Settings(endpoints={"engine": echo})) as running:
        head = replace(request(f"{path}?{POLL}"), headers={"host": ["localhost"]})
        handler = engine_handlers(running.gateway.engine_io)[echo.path]
        assert Waiting(handler.answer(head)).status == 200
        (session,) = running.gateway.node.registry
        assert session.handshake.path_parameters == (("key", "k-1"),)


async def test_a_session_that_begins_with_a_websocket(running: PollingListener) -> None:
    """It is told an id that opens nothing, and counts as any connection."""
    client = await running.socket()
    first, payload = await client.frame()
    assert (first, payload[:8]) == (0x81, b'0{"sid":')
    assert len(running.server.sessions) == 0
    session = running.gate.sessions[0]
    session.link.ping()
    assert await client.frame() == (0x81, b"2")
    await client.send(masked(TEXT, b"3") + masked(TEXT, b"6"))
    await until(lambda: len(session.controls) == 3)
    assert session.controls == [False, True, False]


@pytest.mark.parametrize(
    ("query", "frame"),
    [("", (0x82, b"\x01")), ("&b64=0", (0x82, b"\x01")), ("&b64=1", (0x81, b"bAQ=="))],
)
async def test_bytes_by_websocket(
    running: PollingListener, query: str, frame: tuple[int, bytes]
) -> None:
    """Bytes are binary frames, base64 text to a client that asks for it; both are heard from any."""
    client = await running.socket(SOCKET + query)
    await client.frame()
    session = running.gate.sessions[0]
    session.link.write(wire.ENGINE.binary(b"\x01"))
    assert await client.frame() == frame
    await client.send(masked(TEXT, b"bAQI=") + masked(BINARY, b"\x03") + masked(TEXT, b"b"))
    await until(lambda: len(session.messages) == 3)
    assert session.messages == [(b"\x01\x02", True), (b"\x03", True), (b"", True)]


@pytest.mark.parametrize("text", [b"bAQ", b"b!!!!", b"bA===", b"bAQ-_", b"b AQI"])
async def test_base64_that_is_none(running: PollingListener, text: bytes) -> None:
    """Text that is no base64 is no packet."""
    client = await running.socket()
    await client.frame()
    await client.send(masked(TEXT, text))
    assert await client.frame() == (0x81, b"1")
    assert (await client.closed())[0] == Disconnect.PROTOCOL_ERROR.code


async def test_a_newcomer_that_never_arrives(running: PollingListener) -> None:
    """What was counted is given back."""
    entry = await running.path.admit(replace(request(PATH), query=SOCKET), upgrade_checked=True)
    entry.cancel()
    assert running.gate.admissions[0].cancelled == 1


async def test_the_path_is_the_endpoint_s_own(running: PollingListener) -> None:
    """The gate sees one spelling, in what it judges and in what it counts."""
    head = replace(request(PATH.rstrip("/")), query=SOCKET)
    (await running.path.admit(head, upgrade_checked=True)).cancel()
    running.path.refused(head, HandshakeRejected(HandshakeRejection.ORIGIN))
    running.path.refused(None, HandshakeRejected(HandshakeRejection.GLOBAL_CAP))
    assert running.gate.heads[0].path == PATH
    refused = [each for each, _ in running.gate.refusals]
    assert refused == [head, None]


async def test_polls_come_through_a_full_house(running: PollingListener) -> None:
    """At the cap those who are inside can still be heard; newcomers meet it when they are judged."""
    query, session = await running.begin()
    running.gate.full = HandshakeRejection.GLOBAL_CAP
    assert (await running.post(query, b"4a")).body == b"ok"
    running.gate.refuse = HandshakeRejected(HandshakeRejection.GLOBAL_CAP)
    assert (await running.ask("GET", POLL)).status == 503
    session.link.abort()
    await until(lambda: len(running.server.sessions) == 0)
    assert running.router.has_capacity() is HandshakeRejection.GLOBAL_CAP


async def test_ids_are_long_and_new(running: PollingListener) -> None:
    """An id has more than 128 random bits, and is none of the gate's own."""
    ids = {(await running.begin())[0] for _ in range(20)}
    assert len(ids) == 20
    assert all(len(each.rpartition("=")[2]) >= 22 for each in ids)


class Waiting:
    """Somebody whose poll is pending. Implements `node.sessions.ResponseSender`."""

    __slots__ = ("status", "visit")

    def __init__(self, visit: RequestHandler | None) -> None:
        assert visit is not None
        self.status = 0
        self.visit = visit
        visit.begin(self)

    def answer(self, status: int, headers: Headers, body: bytes) -> None:  # noqa: ARG002 - the port
        """Note the status."""
        self.status = status

    def unsent(self) -> int:
        """Everything is taken at once."""
        return 0


def crowd(running: RunningGateway) -> list[Waiting]:
    """Ten thousand clients, each with a session and a pending poll, from addresses of their own."""
    server, polls = running.gateway.engine_io, []
    path = engine_handlers(server)[PATH]
    for number in range(IDLE):
        if number % 500 == 0:
            running.clock.advance(1)  # the gate takes no more in a second
        head = request(f"{PATH}?{POLL}", peer=f"10.0.{number // 250}.{number % 250}")
        head = replace(head, headers={"host": ["localhost"]})
        assert Waiting(path.answer(head)).status == 200
        sid = next(reversed(server.sessions))
        polls.append(Waiting(path.answer(replace(head, query=f"{POLL}&sid={sid}"))))
    return polls


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_ten_thousand_idle_polls() -> None:
    """Ten thousand sessions that poll are cheap, each ends in its time, and nothing of them is left."""
    echo = EndpointSettings(
        path=PATH, dialect="echo", transport=TransportKind.ENGINE_IO, auth=AuthMode.NONE
    )
    given = Settings(endpoints={"engine": echo}, gate=GateSettings(max_connections=IDLE))
    async with run_gateway(given) as running:
        node, server = running.gateway.node, running.gateway.engine_io
        gc.collect()
        tracemalloc.start()
        polls = crowd(running)
        gc.collect()
        each = tracemalloc.get_traced_memory()[0] / IDLE
        tracemalloc.stop()
        print(f"bytes of an idle session: {each:.0f}")  # noqa: T201 - a figure to look at
        assert running.inside() == (IDLE, 0, IDLE)
        assert not any(poll.status for poll in polls)
        assert each < BYTES

        for _ in range(10):
            await running.advance(10)
        assert all(poll.status == 200 for poll in polls)
        assert running.inside() == (0, 0, 0)
        assert len(server.sessions) == len(server._closing) == len(server._probes) == 0
        assert len(node.admission_control._by_address) == 0
