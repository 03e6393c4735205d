import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from portward.model.handshake_errors import HandshakeRejection
from portward.wire.proxy_protocol import SIGNATURE
from tests.transports.running_listener import (
    TEXT,
    Client,
    FakeGate,
    RunningListener,
    handshake,
    masked,
    run_listener,
    until,
)

LINE = b"PROXY TCP4 203.0.113.7 127.0.0.1 51234 443\r\n"
FOUR = socket.inet_aton("203.0.113.7") + socket.inet_aton("10.0.0.1") + struct.pack("!HH", 5, 443)
TLS = b"\x20\x00\x05\x01\x00\x00\x00\x00"
BLOCK = SIGNATURE + struct.pack("!BBH", 0x21, 0x11, len(FOUR + TLS)) + FOUR + TLS
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
HEALTH = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"


@asynccontextmanager
async def proxied(
    trusts: Callable[[str], bool] = lambda _: True, **options: Any
) -> AsyncIterator[RunningListener]:
    """A listener whose peers are announced by a proxy."""
    async with run_listener(proxies=trusts, **options) as running:
        yield running


async def entered(running: RunningListener, start: bytes, *, pieces: int = 0) -> Client:
    """A WebSocket behind a header; with `pieces` every so many bytes are sent by themselves."""
    client = await running.client()
    data = start + handshake()
    step = pieces or len(data)
    for at in range(0, len(data), step):
        await client.send(data[at : at + step])
        if pieces:
            await asyncio.sleep(0)
    assert (await client.head())[0] == "HTTP/1.1 101 Switching Protocols"
    return client


async def silent(client: Client) -> None:
    """The connection ends without a byte in answer."""
    try:
        assert await client.rest() == b""
    except ConnectionResetError:
        assert client.data == b""


@pytest.mark.parametrize("pieces", [0, 1, 20])
@pytest.mark.parametrize(
    ("start", "peer", "scheme"),
    [
        (LINE, "203.0.113.7", None),
        (b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n", "2001:db8::7", None),
        (BLOCK, "203.0.113.7", "https"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1", None),
        (LOCAL, "127.0.0.1", None),
    ],
)
async def test_the_header_names_the_client(
    start: bytes, peer: str, scheme: str | None, pieces: int
) -> None:
    """Both versions, however they arrive; the conversation after it is as ever."""
    async with proxied() as running:
        client = await entered(running, start, pieces=pieces)
        (head,) = running.gate.heads
        assert (head.peer, head.via, head.scheme) == (peer, "127.0.0.1", scheme)
        running.gate.sessions[0].echo = True
        await client.send(masked(TEXT, b"hello"))
        assert await client.frame() == (0x81, b"hello")
        assert running.listener_state.sockets == 1


async def test_a_health_check_of_the_proxy_itself() -> None:
    """LOCAL and UNKNOWN are the proxy's own connections: they are answered."""
    async with proxied() as running:
        for start in (LOCAL, b"PROXY UNKNOWN\r\n"):
            client = await running.client()
            await client.send(start + HEALTH)
            assert b'{"status":"ok"}' in await client.rest()


async def test_tls_begins_after_the_header(
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    """The proxy passes TLS on: the header stands before its first byte, in the clear."""
    server, trusting = tls
    for start in (LINE, BLOCK):
        async with proxied(tls=server) as running:
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
            writer.write(start)
            await writer.start_tls(trusting, server_hostname="localhost")
            writer.write(handshake())
            assert b" 101 " in await reader.readline()
            assert (running.gate.heads[0].peer, running.gate.heads[0].secure) == (
                "203.0.113.7",
                True,
            )
            writer.close()


async def test_tls_and_the_header_in_one_segment(
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    """Not a byte of the client's hello is taken for the header's."""
    server, trusting = tls
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_side = trusting.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client_side.do_handshake()
    async with proxied(tls=server) as running:
        client = await running.client()
        await client.send(BLOCK + outgoing.read())
        while True:
            incoming.write(await client.take(1))
            try:
                client_side.do_handshake()
                break
            except ssl.SSLWantReadError:
                await client.send(outgoing.read())
        client_side.write(HEALTH)
        await client.send(outgoing.read())
        answer = b""
        while b'{"status":"ok"}' not in answer:
            incoming.write(await client.take(1))
            try:
                answer += client_side.read(4096)
            except ssl.SSLWantReadError:
                continue


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (HEALTH, "no header"),
        (handshake(), "no header"),
        (b"\x16\x03\x01\x02\x00\x01", "no header"),
        (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 999999\r\n" + HEALTH, "malformed line"),
        (b"PROXY TCP4 nobody-at-all 5.6.7.8 1 1\r\n" + HEALTH, "malformed address"),
        (b"PROXY UNKNOWN " + b"x" * 200 + b"\r\n" + HEALTH, "too long"),
        (SIGNATURE + b"\x21\x11\xff\xff" + b"\0" * 5000, "too long"),
        (SIGNATURE + b"\x2f\x11\x00\x0c" + FOUR + HEALTH, "command"),
        (SIGNATURE + b"\x21\x12\x00\x0c" + FOUR + HEALTH, "family"),
        (SIGNATURE + b"\x21\x11\x00\x0d" + FOUR + b"\x20" + HEALTH, "cut"),
    ],
)
async def test_what_is_wrong_is_closed_without_a_byte(data: bytes, why: str) -> None:
    """No fallback to HTTP, and the log has the reason."""
    async with proxied() as running:
        client = await running.client()
        await client.send(data)
        await silent(client)
        ((head, refused),) = running.gate.refusals
        assert (head, refused.refusal) == (None, HandshakeRejection.BAD_REQUEST)
        assert why in refused.detail
        assert "127.0.0.xxx" in refused.detail
        assert running.listener_state.sockets == 0


async def test_a_stranger_is_closed_without_a_byte() -> None:
    """A good header of a peer that is no trusted proxy counts for nothing."""
    asked: list[str] = []

    def nobody(peer: str) -> bool:
        asked.append(peer)
        return False

    async with proxied(nobody) as running:
        for data in (LINE + HEALTH, BLOCK + handshake(), HEALTH):
            client = await running.client()
            await client.send(data)
            await silent(client)
        assert asked == ["127.0.0.1"] * 3
        assert "no trusted proxy" in running.gate.refusals[0][1].detail
        assert running.gate.heads == []


@pytest.mark.parametrize("start", [b"", b"P", LINE[:-1], SIGNATURE, BLOCK[:-1]])
async def test_half_a_header_has_the_time_of_a_head(start: bytes) -> None:
    """It ends at the deadline, without a byte."""
    async with proxied() as running:
        client = await running.client()
        if start:
            await client.send(start)
        await until(lambda: len(running.listener_state.heads) == 1)
        running.clock.advance(4.9)
        assert running.gate.refusals == []
        running.clock.advance(0.2)
        await silent(client)
        assert running.gate.reasons == [HandshakeRejection.HEAD_TIMEOUT]
        assert (
            running.listener_state.sockets,
            len(running.listener_state.heads),
            running.listener_state.unadmitted,
        ) == (0, 0, set())


async def test_header_and_head_share_one_deadline() -> None:
    """A header at the last moment does not buy the request another five seconds."""
    async with proxied() as running:
        client = await running.client()
        await until(lambda: len(running.listener_state.heads) == 1)
        running.clock.advance(4.0)
        await client.send(LINE + b"GET /ws HT")
        await until(
            lambda: running.listener_state.unadmitted and running.listener_state.sockets == 1
        )
        await asyncio.sleep(0.05)
        running.clock.advance(1.1)
        assert (await client.head())[0] == "HTTP/1.1 408 Request Timeout"


async def test_a_whole_head_takes_the_deadline_off() -> None:
    """What was let in is not ended by it."""
    async with proxied() as running:
        client = await entered(running, LINE)
        assert len(running.listener_state.heads) == 0
        running.clock.advance(60.0)
        await client.send(masked(TEXT, b"hello"))
        await until(lambda: running.gate.sessions[0].messages)


async def test_a_peer_that_leaves_within_the_header() -> None:
    """By FIN or reset, nothing is left of it."""
    async with proxied() as running:
        for end in ("leave", "reset"):
            client = await running.client()
            await client.send(LINE[:10])
            await until(lambda: running.listener_state.sockets == 1)
            running.clients.remove(client)
            getattr(client, end)()
            await until(lambda: running.listener_state.sockets == 0)
        assert running.listener_state.unadmitted == set()
        assert len(running.listener_state.heads) == 0


async def test_no_room_is_silent_as_well() -> None:
    """Before its header a connection is not answered at all."""
    gate = FakeGate()
    gate.full = HandshakeRejection.GLOBAL_CAP
    async with proxied(gate=gate) as running:
        client = await running.client()
        await client.send(LINE + HEALTH)
        await silent(client)
        assert gate.reasons == [HandshakeRejection.GLOBAL_CAP]
        assert running.listener_state.sockets == 0


async def test_sockets_are_counted_once() -> None:
    """Waiting for a header counts as a socket, and so does what comes after it."""
    async with proxied(max_sockets=3) as running:
        waiting = [await running.client() for _ in range(2)]
        await until(lambda: running.listener_state.sockets == 2)
        await entered(running, LINE)
        fourth = await running.client()
        await fourth.send(LINE + HEALTH)
        await silent(fourth)
        for client in waiting:
            await client.send(LINE + HEALTH)
            assert b"200 OK" in await client.rest()
            client.leave()
        await until(lambda: running.listener_state.sockets == 1)


async def test_the_end_of_the_listener_drops_who_waits() -> None:
    """A header under way does not outlive the listener."""
    async with proxied() as running:
        client = await running.client()
        await client.send(LINE[:5])
        await until(lambda: running.listener_state.sockets == 1)
        running.listener.close()
        await silent(client)
        await until(lambda: running.listener_state.sockets == 0)


async def test_off_a_header_is_a_bad_request_with_a_hint() -> None:
    """The log says what to change; the answer is an ordinary 400."""
    async with run_listener() as running:
        for data in (LINE + HEALTH, BLOCK + HEALTH, LOCAL + HEALTH, b"PROXY UNKNOWN\r\n" + HEALTH):
            client = await running.client()
            await client.send(data)
            assert (await client.head())[0] == "HTTP/1.1 400 Bad Request"
        details = {refused.detail for _, refused in running.gate.refusals}
        assert len(running.gate.refusals) == 4
        assert details == {
            "a PROXY header came: set server.proxy_protocol, or switch it off in the proxy"
        }
