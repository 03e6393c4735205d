import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError
from websockets.typing import Subprotocol

from portward.model.disconnects import Disconnect
from portward.model.limits import CLOSE_TIME, UNAUTHENTICATED_MESSAGE
from portward.transports import websocket
from portward.transports.websocket import WebSocketTransport
from portward.wire import message
from tests.transports.running_listener import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    FakeSession,
    RunningListener,
    handshake,
    masked,
    run_listener,
    until,
)


@pytest.fixture
async def running() -> AsyncIterator[RunningListener]:
    """A listener on plain TCP, whose sessions echo."""
    async with run_listener() as opened:
        opened.gate.on_open = begin
        yield opened


def begin(session: FakeSession) -> None:
    """Authenticate and echo from the start."""
    session.link.authenticated()
    session.echo = session.pongs = True


def link_of(session: FakeSession) -> WebSocketTransport:
    """The link of a session, with its insides."""
    assert isinstance(session.link, WebSocketTransport)
    return session.link


@pytest.fixture(params=["plain", "tls"])
async def peer(
    request: pytest.FixtureRequest, tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> AsyncIterator[ClientConnection]:
    """A real client of an echoing gateway, with and without TLS."""
    secure = request.param == "tls"
    async with run_listener(tls=tls[0] if secure else None) as running:
        running.gate.on_open = begin
        running.gate.options = {"compression": True, "subprotocol": "chat"}
        options: dict[str, Any] = {"ssl": tls[1], "server_hostname": "localhost"} if secure else {}
        scheme = "wss" if secure else "ws"
        async with connect(
            f"{scheme}://127.0.0.1:{running.port}/ws", subprotocols=[Subprotocol("chat")], **options
        ) as client:
            yield client


# -- with a real client


@pytest.mark.parametrize(
    "payload", ["hello", "", "€" * 5000, b"", b"\x00\xff" * 20_000, "x" * 65536]
)
async def test_messages_come_back_whole(peer: ClientConnection, payload: str | bytes) -> None:
    """Text and binary of any size pass, compressed by the client or not."""
    await peer.send(payload)

    assert await peer.recv() == payload


async def test_a_fragmented_message_comes_back_whole(peer: ClientConnection) -> None:
    """A client may send a message in pieces."""
    await peer.send(["one ", "two ", "three"])

    assert await peer.recv() == "one two three"


async def test_a_ping_is_answered(peer: ClientConnection) -> None:
    """The session's pong reaches the client that pinged."""
    await (await peer.ping(b"payload"))


async def test_a_client_closes_in_order(peer: ClientConnection) -> None:
    """The code a client closes with is the code it gets back."""
    await peer.close(4000, "bye")

    assert (peer.close_code, peer.close_reason) == (4000, "")


async def test_a_client_that_is_still_sending_sees_why_it_was_closed(
    running: RunningListener,
) -> None:
    """The close frame is not lost to a reset when the client has much more to say."""
    async with connect(f"ws://127.0.0.1:{running.port}/ws", compression=None) as client:
        sending = asyncio.ensure_future(client.send(bytes(3_000_000)))
        with pytest.raises(ConnectionClosedError) as caught:
            await client.recv()
        await asyncio.wait([sending])

    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1009, "")


# -- frames that break the protocol


def raw(first: int, second: int, rest: bytes = b"") -> bytes:
    """A frame written by hand."""
    return bytes((first, second)) + rest


MASK = bytes(4)


HOSTILE: dict[str, tuple[bytes, Disconnect]] = {
    "length 2^63": (raw(0x81, 0xFF, (2**63).to_bytes(8, "big")), Disconnect.PROTOCOL_ERROR),
    "length 2^64-1": (raw(0x81, 0xFF, (2**64 - 1).to_bytes(8, "big")), Disconnect.PROTOCOL_ERROR),
    "length 2^62": (raw(0x81, 0xFF, (2**62).to_bytes(8, "big")), Disconnect.TOO_BIG),
    "one byte over": (raw(0x81, 0xFF, (65537).to_bytes(8, "big")), Disconnect.TOO_BIG),
    "long form of 64": (raw(0x81, 0xFF, (100).to_bytes(8, "big")), Disconnect.PROTOCOL_ERROR),
    "long form of 16": (raw(0x81, 0xFE, (100).to_bytes(2, "big")), Disconnect.PROTOCOL_ERROR),
    "not masked": (raw(0x81, 0x01, b"x"), Disconnect.PROTOCOL_ERROR),
    "two bytes that killed servers": (bytes.fromhex("a180") + MASK, Disconnect.PROTOCOL_ERROR),
    "reserved data opcode": (raw(0x83, 0x80, MASK), Disconnect.PROTOCOL_ERROR),
    "reserved control opcode": (raw(0x8B, 0x80, MASK), Disconnect.PROTOCOL_ERROR),
    "RSV1": (masked(TEXT, b"x", rsv=4), Disconnect.PROTOCOL_ERROR),
    "RSV2": (masked(TEXT, b"x", rsv=2), Disconnect.PROTOCOL_ERROR),
    "RSV3": (masked(BINARY, b"x", rsv=1), Disconnect.PROTOCOL_ERROR),
    "RSV1 on a ping": (masked(PING, b"x", rsv=4), Disconnect.PROTOCOL_ERROR),
    "RSV2 on a pong": (masked(PONG, rsv=2), Disconnect.PROTOCOL_ERROR),
    "long ping": (masked(PING, b"x" * 126), Disconnect.PROTOCOL_ERROR),
    "fragmented ping": (masked(PING, fin=False), Disconnect.PROTOCOL_ERROR),
    "fragmented close": (masked(CLOSE, fin=False), Disconnect.PROTOCOL_ERROR),
    "continuation of nothing": (masked(0, b"x"), Disconnect.PROTOCOL_ERROR),
    "message in a message": (masked(TEXT, fin=False) + masked(TEXT), Disconnect.PROTOCOL_ERROR),
    "bad text": (masked(TEXT, b"\xff"), Disconnect.INVALID_UTF8),
    "bad fragment": (masked(TEXT, b"\xed\xa0\x80", fin=False), Disconnect.INVALID_UTF8),
    "too much in fragments": (
        masked(BINARY, bytes(65_536), fin=False) + masked(0, b"x"),
        Disconnect.TOO_BIG,
    ),
    "too many fragments": (
        masked(TEXT, fin=False) + masked(0, fin=False) * 1024,
        Disconnect.FLOODING,
    ),
    "half a close code": (masked(CLOSE, b"\x03"), Disconnect.PROTOCOL_ERROR),
    "bad close reason": (masked(CLOSE, b"\x03\xe8\xff"), Disconnect.INVALID_UTF8),
    **{
        f"close code {code}": (masked(CLOSE, code.to_bytes(2, "big")), Disconnect.PROTOCOL_ERROR)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
    },
}


@pytest.mark.p0
@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_frame_ends_the_connection_in_order(
    running: RunningListener, name: str
) -> None:
    """The client gets the code and nothing else, then the end of TCP; the session is told once."""
    data, ending = HOSTILE[name]
    client, session = await running.enter()
    await client.send(data + masked(TEXT, b"later"))

    assert await client.closed() == (ending.code, ending.reason)
    assert await client.rest() == b""
    assert session.endings == [ending]
    assert session.messages == []
    client.leave()
    await until(lambda: session.losses == [None])


async def test_what_came_before_a_hostile_frame_is_answered(running: RunningListener) -> None:
    """A good message in the same segment is served, and its answer precedes the close."""
    client, _ = await running.enter()
    await client.send(masked(TEXT, b"one") + masked(TEXT, b"two") + raw(0x83, 0x80, MASK))

    assert await client.frame() == (0x81, b"one")
    assert await client.frame() == (0x81, b"two")
    assert await client.closed() == (1002, "")


async def test_the_end_comes_even_if_the_session_does_not_close(running: RunningListener) -> None:
    """A fault always closes the link."""
    client, session = await running.enter()
    session.ends_itself = False
    await client.send(masked(0, b"x"))

    assert await client.closed() == (1002, "")


async def test_a_peer_that_goes_on_sending_is_read_and_then_left_to_block(
    running: RunningListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes after the end is forgotten, up to a bound, and dropped with the connection."""
    monkeypatch.setattr(websocket, "IGNORED", 100_000)
    client, session = await running.enter()
    await client.send(masked(0, b"x"))
    sending = asyncio.ensure_future(client.send(bytes(100_000_000)))
    await until(lambda: not link_of(session)._transport.is_reading())

    assert session.losses == []
    running.clock.advance(CLOSE_TIME)
    await until(lambda: session.losses == [None])
    with pytest.raises(ConnectionError):
        await sending


async def test_an_error_in_the_session_ends_its_connection_alone(running: RunningListener) -> None:
    """A bug while serving a message is reported, and closes with 1011."""
    told: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
    other, _ = await running.enter()
    client, session = await running.enter()

    def fail(_: bytes) -> None:
        raise ZeroDivisionError("a secret")

    session.echo, session.on_message = False, fail
    await client.send(masked(TEXT, b"x"))
    await other.send(masked(TEXT, b"y"))

    assert await client.closed() == (1011, "")
    assert session.failures == [(Disconnect.INTERNAL, "ZeroDivisionError")]
    assert [type(error) for error in told] == [ZeroDivisionError]
    assert await other.frame() == (0x81, b"y")


async def test_an_error_while_counting_a_frame_is_an_internal_one(
    running: RunningListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where only the parser notices, the connection ends with 1011."""
    client, session = await running.enter()

    def fail(_: bool) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(session, "count_frame", fail)
    await client.send(masked(TEXT, b"x"))

    assert await client.closed() == (1011, "")


# -- limits


async def test_before_authentication_messages_are_small(running: RunningListener) -> None:
    """The smaller limit acts on whole messages."""
    running.gate.on_open = None
    client, session = await running.enter()
    await client.send(masked(TEXT, b"x" * UNAUTHENTICATED_MESSAGE))
    await client.send(masked(TEXT, b"x" * (UNAUTHENTICATED_MESSAGE + 1)))

    assert await client.closed() == (1009, "")
    assert [len(payload) for payload, _ in session.messages] == [UNAUTHENTICATED_MESSAGE]


async def test_before_authentication_a_large_frame_ends_before_it_is_whole(
    running: RunningListener,
) -> None:
    """A frame is not gathered beyond the limit in force, although the endpoint allows more."""
    running.gate.on_open = None
    client, session = await running.enter()
    await client.send(masked(TEXT, b"x" * 60_000)[: UNAUTHENTICATED_MESSAGE + 100])

    assert await client.closed() == (1009, "")
    assert session.endings == [Disconnect.TOO_BIG]


async def test_after_authentication_the_endpoint_decides(running: RunningListener) -> None:
    """The endpoint's limit acts as soon as the session says so."""
    running.gate.options = {"max_message": 20_000}
    client, _ = await running.enter()
    await client.send(masked(BINARY, b"x" * 20_000))
    assert await client.frame() == (0x82, b"x" * 20_000)
    await client.send(masked(BINARY, b"x" * 20_001))

    assert await client.closed() == (1009, "")


async def test_an_endpoint_may_have_a_limit_below_the_early_one(running: RunningListener) -> None:
    """The smaller of both limits acts before authentication."""
    running.gate.on_open = None
    running.gate.options = {"max_message": 100}
    client, _ = await running.enter()
    await client.send(masked(TEXT, b"x" * 101))

    assert await client.closed() == (1009, "")


async def test_a_frame_the_session_does_not_want_is_ignored(running: RunningListener) -> None:
    """Over its rate limits the session hears no more."""
    client, session = await running.enter()
    session.allowed = False
    await client.send(masked(TEXT, b"x") + masked(PING) + masked(CLOSE, b"\x03\xe8"))

    assert await client.closed() == (1000, "")
    assert session.controls == [False, True, True]
    assert (session.messages, session.pings) == ([], [])


async def test_every_frame_is_counted(running: RunningListener) -> None:
    """Data frames, fragments, pings and pongs each count once, told apart."""
    client, session = await running.enter()
    await client.send(
        masked(TEXT, fin=False) + masked(PONG, b"unasked") + masked(0) + masked(PING, b"p")
    )

    assert await client.frame() == (0x81, b"")
    assert await client.frame() == (0x8A, b"p")
    assert session.controls == [False, True, False, True]
    assert session.pings == [b"p"]


# -- unfinished messages


async def test_a_message_that_comes_whole_is_never_unfinished(running: RunningListener) -> None:
    """Ordinary traffic does not touch the message deadline."""
    client, session = await running.enter()
    await client.send(masked(TEXT, b"one") + masked(TEXT, b"two") + masked(PING))
    await client.frame()
    await client.frame()

    assert session.partials == []


async def test_a_dribbled_frame_is_unfinished_until_its_last_byte(running: RunningListener) -> None:
    """The session hears of the first byte and of the end, and nothing in between."""
    client, session = await running.enter()
    for byte in masked(TEXT, b"hello"):
        await client.send(bytes((byte,)))
        await until(lambda: session.partials)
        assert session.partials == [True]

    assert await client.frame() == (0x81, b"hello")
    assert session.partials == [True, False]


async def test_fragments_are_unfinished_until_the_last(running: RunningListener) -> None:
    """Control frames between fragments neither end the time nor start it again."""
    client, session = await running.enter()
    await client.send(masked(TEXT, b"a", fin=False))
    await until(lambda: session.partials == [True])
    await client.send(masked(PING, b"1"))
    await client.frame()
    await client.send(masked(0, b"b", fin=False))
    await client.send(masked(PING, b"2"))
    await client.frame()
    assert session.partials == [True]
    await client.send(masked(0, b"c"))

    assert await client.frame() == (0x81, b"abc")
    assert session.partials == [True, False]


async def test_each_message_has_its_own_time(running: RunningListener) -> None:
    """The end of one message ends its time, although the next has already begun."""
    client, session = await running.enter()
    one, two = masked(TEXT, b"one"), masked(TEXT, b"two")
    await client.send(one[:3])
    await until(lambda: session.partials == [True])
    await client.send(one[3:] + two[:3])
    await client.frame()
    await until(lambda: session.partials == [True, False, True])
    await client.send(two[3:])
    await client.frame()

    assert session.partials == [True, False, True, False]


async def test_a_dribbled_control_frame_is_unfinished_too(running: RunningListener) -> None:
    """A ping that never ends is a message that never ends."""
    client, session = await running.enter()
    ping = masked(PING, b"p")
    await client.send(ping[:3])
    await until(lambda: session.partials == [True])
    await client.send(ping[3:])
    await client.frame()

    assert session.partials == [True, False]


# -- holding back


async def test_while_paused_nothing_is_delivered(running: RunningListener) -> None:
    """Frames that were read already wait in order, and later ones stay in the socket."""
    client, session = await running.enter()
    link = link_of(session)
    session.on_message = lambda payload: link.pause() if payload == b"0" else None
    await client.send(b"".join(masked(TEXT, b"%d" % number) for number in range(5)))
    await client.send(masked(PING, b"p"))
    await client.frame()
    await client.send(masked(TEXT, b"5"))
    assert [payload for payload, _ in session.messages] == [b"0"]

    link.resume()
    link.resume()

    received = [await client.frame() for _ in range(6)]
    assert received.count((0x8A, b"p")) == 1
    assert [payload for payload, _ in session.messages] == [b"%d" % n for n in range(6)]


async def test_a_session_may_pause_and_resume_within_each_message(running: RunningListener) -> None:
    """Holding back message by message neither loses order nor grows the stack."""
    client, session = await running.enter()
    link = link_of(session)

    def step(payload: bytes) -> None:
        link.pause()
        if payload != b"first":
            link.resume()

    session.echo, session.on_message = False, step
    await client.send(masked(TEXT, b"first") + masked(TEXT, b"x") * 3000)
    await until(lambda: session.messages)
    link.resume()

    await until(lambda: len(session.messages) == 3001)


async def test_a_session_may_pause_again_while_held_frames_are_delivered(
    running: RunningListener,
) -> None:
    """What is not delivered stays held, and reading does not start."""
    client, session = await running.enter()
    link = link_of(session)
    session.echo, session.on_message = False, lambda _: link.pause()
    await client.send(masked(TEXT, b"1") + masked(TEXT, b"2") + masked(TEXT, b"3"))
    await until(lambda: session.messages)

    for seen in (2, 3):
        link.resume()
        assert len(session.messages) == seen
        assert not link._transport.is_reading()
    link.resume()
    assert link._transport.is_reading()


async def test_a_fault_among_held_frames_ends_the_connection(running: RunningListener) -> None:
    """What was held is judged when it is delivered."""
    client, session = await running.enter()
    link = link_of(session)
    session.on_message = lambda _: link.pause()
    await client.send(masked(TEXT, b"1") + masked(0, b"2") + masked(TEXT, b"3"))
    await client.frame()
    link.resume()

    assert await client.closed() == (1002, "")
    assert len(session.messages) == 1


async def test_closing_while_paused_completes_with_a_held_close(running: RunningListener) -> None:
    """A close frame that came before ours ends the handshake; held messages are forgotten."""
    client, session = await running.enter()
    link = link_of(session)
    session.on_message = lambda _: link.pause()
    await client.send(masked(TEXT, b"1") + masked(TEXT, b"2") + masked(CLOSE, b"\x0f\xa0"))
    await client.frame()
    link.close(3001, "shutdown")

    assert await client.closed() == (3001, "shutdown")
    assert await client.rest() == b""
    await until(lambda: session.losses == [4000])
    assert len(session.messages) == 1


async def test_pausing_a_closed_link_means_nothing(running: RunningListener) -> None:
    """A link that closes reads on, for the peer's close."""
    client, session = await running.enter()
    session.link.close(1000, "")
    session.link.pause()
    await client.send(masked(CLOSE, b"\x03\xe8"))

    await until(lambda: session.losses == [1000])


# -- the end


async def test_closing_sends_code_and_reason_and_waits_for_the_answer(
    running: RunningListener,
) -> None:
    """TCP is closed when the peer has closed, and its code is told."""
    client, session = await running.enter()
    session.link.close(3503, "force disconnect")
    assert not session.link.open
    assert await client.closed() == (3503, "force disconnect")
    assert session.losses == []
    await client.send(masked(TEXT, b"late") + masked(CLOSE, b"\x0d\xaf"))

    assert await client.rest() == b""
    await until(lambda: session.losses == [3503])
    assert session.messages == []


async def test_only_the_first_close_counts(running: RunningListener) -> None:
    """A link closes once, and writes nothing after that."""
    client, session = await running.enter()
    session.link.close(1000, "")
    session.link.close(3001, "shutdown")
    session.link.write(message.text(b"late"))
    session.link.ping()
    session.link.pong(b"")
    session.link.resume()

    assert await client.closed() == (1000, "")
    await client.send(masked(CLOSE))
    assert await client.rest() == b""
    await until(lambda: session.losses == [1005])


async def test_a_peer_that_does_not_answer_a_close_is_dropped(running: RunningListener) -> None:
    """The close handshake has two seconds."""
    client, session = await running.enter()
    session.link.close(3008, "slow")
    await client.closed()
    running.clock.advance(CLOSE_TIME - 0.1)
    await asyncio.sleep(0)
    assert session.losses == []

    running.clock.advance(0.1)

    await until(lambda: session.losses == [None])
    assert running.listener_state.sockets == 0


@pytest.mark.parametrize(
    ("body", "code"), [(b"", 1005), (b"\x03\xe8bye", 1000), (b"\x13\x87", 4999)]
)
async def test_a_peers_close_is_answered_with_its_code(
    running: RunningListener, body: bytes, code: int
) -> None:
    """RFC 6455 section 5.5.1: the answer has the same code, or none; then TCP ends."""
    client, session = await running.enter()
    await client.send(masked(CLOSE, body) + masked(TEXT, b"after"))

    assert await client.closed() == (code, "")
    assert await client.rest() == b""
    await until(lambda: session.losses == [code])
    assert session.messages == []
    assert session.failures == []


async def test_a_fault_while_closing_ends_the_wait(running: RunningListener) -> None:
    """A peer that answers a close with nonsense is heard no more."""
    client, session = await running.enter()
    session.link.close(1000, "")
    await client.closed()
    await client.send(masked(CLOSE, b"\x00\x00"))

    assert await client.rest() == b""
    assert session.failures == []
    client.leave()
    await until(lambda: session.losses == [None])


async def test_broken_frames_while_closing_end_the_wait(running: RunningListener) -> None:
    """The same goes for bytes that are no frame."""
    client, session = await running.enter()
    session.link.close(1000, "")
    await client.closed()
    await client.send(raw(0x83, 0x80, MASK))

    assert await client.rest() == b""
    assert session.failures == []


@pytest.mark.p0
@pytest.mark.parametrize("how", ["leave", "reset"])
@pytest.mark.parametrize(
    "moment", ["idle", "partial", "fragment", "paused", "closing", "closed", "failed"]
)
async def test_a_peer_may_vanish_at_any_moment(
    running: RunningListener, how: str, moment: str
) -> None:
    """FIN or reset in any phase: the session is told once, and the socket counted out once."""
    client, session = await running.enter()
    if moment == "partial":
        await client.send(masked(TEXT, b"hello")[:4])
        await until(lambda: session.partials)
    elif moment == "fragment":
        await client.send(masked(TEXT, b"x", fin=False))
        await until(lambda: session.partials)
    elif moment == "paused":
        session.on_message = lambda _: session.link.pause()
        await client.send(masked(TEXT, b"x"))
        await until(lambda: session.messages)
    elif moment == "closing":
        session.link.close(1000, "")
    elif moment == "closed":
        session.link.close(1000, "")
        await client.send(masked(CLOSE))
    elif moment == "failed":
        await client.send(masked(0))
        await until(lambda: session.failures)
    getattr(client, how)()
    if moment == "paused":
        # Nobody looks at a socket that is not read from.
        session.link.resume()

    await until(lambda: session.losses)
    await asyncio.sleep(0)
    assert len(session.losses) == 1
    assert running.listener_state.sockets == 0
    assert len(running.listener_state.closing) == 0
    session.link.write(message.text(b"nobody there"))
    session.link.close(1000, "")
    session.link.abort()


async def test_a_peer_that_is_gone_when_we_close_our_side_is_dropped(
    running: RunningListener,
) -> None:
    """Half-closing a connection that was reset may fail, and then there is nothing to wait for."""

    class Reset:
        """The transport of a connection that was reset."""

        def __init__(self, transport: asyncio.Transport) -> None:
            self.abort, self.resume_reading = transport.abort, transport.resume_reading
            self.is_closing, self.write = transport.is_closing, transport.write

        def can_write_eof(self) -> bool:
            """In principle."""
            return True

        def write_eof(self) -> None:
            """But not now."""
            raise OSError

    client, session = await running.enter()
    link: Any = link_of(session)
    link._transport = Reset(link._transport)
    await client.send(masked(0))

    await until(lambda: session.losses == [None])
    assert session.endings == [Disconnect.PROTOCOL_ERROR]


async def test_without_a_session_nothing_is_heard(running: RunningListener) -> None:
    """Before there is a session a link may be spoken to, and tells nobody."""
    heard: list[bool] = []

    def listen(session: FakeSession) -> None:
        nobody = link_of(session)._receiver
        heard.append(nobody.count_frame(control=False))
        session.link.resume()

    running.gate.on_open = listen
    await running.enter()

    assert heard == [False]


async def test_aborting_drops_at_once(running: RunningListener) -> None:
    """No close frame, no more messages, and the session is told in the next turn."""
    client, session = await running.enter()
    session.on_message = lambda _: session.link.abort()
    session.echo = False
    await client.send(masked(TEXT, b"1") + masked(TEXT, b"2"))

    await until(lambda: session.losses == [None])
    assert len(session.messages) == 1
    with pytest.raises((EOFError, ConnectionError)):
        await client.frame()


async def test_a_session_that_closes_at_once_still_greets(running: RunningListener) -> None:
    """A newcomer may be closed while it is being opened."""
    running.gate.on_open = lambda session: session.link.close(3504, "connection limit")
    client = await running.client()
    await client.send(handshake() + masked(TEXT, b"early"))
    await client.head()

    assert await client.closed() == (3504, "connection limit")
    assert running.gate.sessions[0].messages == []


async def test_a_session_that_aborts_at_once_is_gone(running: RunningListener) -> None:
    """A newcomer may be dropped while it is being opened."""
    running.gate.on_open = lambda session: session.link.abort()
    client = await running.client()
    await client.send(handshake() + masked(TEXT, b"early"))

    await until(lambda: [session.losses for session in running.gate.sessions] == [[None]])
    assert running.listener_state.sockets == 0


# -- memory


async def test_a_silent_connection_gives_back_a_large_buffer(running: RunningListener) -> None:
    """The ping of a connection that has grown finds it small again, and working."""
    client, session = await running.enter()
    link = link_of(session)
    for _ in range(2):
        await client.send(masked(BINARY, bytes(60_000)))
        await client.frame()
        before: Any = link._transport.get_protocol()
        assert len(before.get_buffer(-1)) > 2048

        link.ping()

        after: Any = link._transport.get_protocol()
        assert after is not before
        assert len(after.get_buffer(-1)) <= 2048
        assert await client.frame() == (0x89, b"")


async def test_a_buffer_in_use_is_kept(running: RunningListener) -> None:
    """Nothing is exchanged in the middle of a frame."""
    client, session = await running.enter()
    link = link_of(session)
    frame = masked(BINARY, bytes(60_000))
    await client.send(frame[:30_000])
    await until(lambda: session.partials)
    before = link._transport.get_protocol()
    link.ping()
    assert link._transport.get_protocol() is before
    await client.send(frame[30_000:])

    assert await client.frame() == (0x89, b"")
    assert await client.frame() == (0x82, bytes(60_000))


async def test_a_flood_does_not_grow_the_buffer_without_end(running: RunningListener) -> None:
    """However much waits in the socket, only so much is read at once."""
    client, session = await running.enter()
    session.echo = False
    link = link_of(session)
    await client.send(masked(BINARY, bytes(1000)) * 5000)
    await until(lambda: len(session.messages) == 5000)

    reader: Any = link._transport.get_protocol()
    assert len(reader.get_buffer(-1)) <= 16 * 1024
