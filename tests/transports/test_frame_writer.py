import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator

import pytest

from portward.model.channel import Channel
from portward.model.limits import OUTBOX_AGE, OUTBOX_BYTES, OUTBOX_COUNT
from portward.transports import frame_writer
from portward.transports.websocket import WebSocketTransport
from portward.wire import message
from portward.wire.message import WireMessage
from tests.transports.running_listener import (
    CLOSE,
    Client,
    FakeSession,
    RunningListener,
    handshake,
    masked,
    run_listener,
    until,
)

ONE, TWO = Channel("a:one"), Channel("a:two")
SMALL = 4096


def shrink(session: FakeSession) -> None:
    """Leave the kernel little room, so that a peer that does not read is noticed soon."""
    sock = link_of(session)._transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)


def link_of(session: FakeSession) -> WebSocketTransport:
    """The link of a session, with its insides."""
    assert isinstance(session.link, WebSocketTransport)
    return session.link


@pytest.fixture
async def running() -> AsyncIterator[RunningListener]:
    """A listener whose connections have small buffers."""
    async with run_listener() as opened:
        opened.gate.on_open = shrink
        yield opened


Reader = tuple[Client, FakeSession, WebSocketTransport]


@pytest.fixture
async def reader(running: RunningListener) -> Reader:
    """A client that reads only when asked, its session and its link."""
    client, session = await running.enter(receive_buffer=SMALL)
    return client, session, link_of(session)


def numbered(number: int, size: int = 1000) -> WireMessage:
    """A message one can tell from others."""
    return message.text(b"%d " % number + b"x" * size)


def block(link: WebSocketTransport) -> int:
    """Write until the peer's buffers are full; the number of messages it took."""
    count = 0
    while not link._blocked:
        link.write(numbered(count), ONE)
        count += 1
    return count


def fill(link: WebSocketTransport) -> bytes:
    """Write more than any buffer takes, however much the kernel makes of it; what was written."""
    payload = bytes(OUTBOX_BYTES)
    link.write(message.binary(payload))
    assert link._blocked
    return payload


async def numbers(client: Client, count: int) -> list[int]:
    """Read messages, and which ones they were."""
    read = []
    for _ in range(count):
        first, payload = await client.frame()
        assert first == 0x81
        read.append(int(payload.split(b" ")[0]))
    return read


# -- as long as the peer reads


async def test_a_message_goes_straight_to_the_socket(reader: Reader) -> None:
    """A ready-made frame is written as it is, at once, with nothing queued."""
    client, _, link = reader
    link.write(message.join([message.text(b"one"), message.text(b"two")]))

    assert link.unsent() == 0
    assert not link.stale(1e9)
    assert await client.frame() == (0x81, b"one")
    assert await client.frame() == (0x81, b"two")


async def test_pings_and_pongs_go_the_same_way(reader: Reader) -> None:
    """Control frames keep the order of what was written around them."""
    client, _, link = reader
    link.write(message.text(b"a"))
    link.ping()
    link.pong(b"p")
    link.write(message.binary(b"b"))

    assert [await client.frame() for _ in range(4)] == [
        (0x81, b"a"),
        (0x89, b""),
        (0x8A, b"p"),
        (0x82, b"b"),
    ]


async def test_a_message_beyond_every_bound_passes_when_nothing_waits(reader: Reader) -> None:
    """The bounds are on what is queued: a single large message is not."""
    client, session, link = reader
    large = message.binary(os.urandom(2 * OUTBOX_BYTES))
    link.write(large)

    assert link.unsent() > OUTBOX_BYTES
    assert await client.frame() == (0x82, large.payloads[0])
    assert session.slows == 0
    await until(lambda: link.unsent() == 0)


# -- when the peer does not read


async def test_what_the_kernel_does_not_take_is_queued_and_follows_in_order(
    reader: Reader,
) -> None:
    """Whole frames, each once, in order, whatever was cut in between."""
    client, session, link = reader
    count = block(link)
    for number in range(count, count + 500):
        link.write(numbered(number))
    assert link.unsent() > 500_000

    assert await numbers(client, count + 500) == list(range(count + 500))
    await until(lambda: link.unsent() == 0)
    link.write(numbered(7))
    assert await numbers(client, 1) == [7]
    assert session.slows == 0


async def test_a_large_message_is_cut_and_goes_on_where_it_was_cut(reader: Reader) -> None:
    """Messages larger than any buffer arrive whole, with others between them."""
    client, _, link = reader
    sent = [message.binary(os.urandom(100_000)) for _ in range(8)]
    for each in sent:
        link.write(each)

    for each in sent:
        assert await client.frame() == (0x82, each.payloads[0])


async def test_control_frames_never_cut_into_a_frame(reader: Reader) -> None:
    """Of many pongs that wait only the latest is sent, and one ping, both ahead of the queue."""
    client, _, link = reader
    count = block(link)
    link.write(numbered(count))
    for number in range(50_000):
        link.pong(b"%d" % number)
    link.ping()
    link.ping()
    assert link.unsent() < 3000

    assert await numbers(client, count) == list(range(count))
    assert await client.frame() == (0x8A, b"49999")
    assert await client.frame() == (0x89, b"")
    assert await numbers(client, 1) == [count]
    link.ping()
    assert await client.frame() == (0x89, b"")


async def test_dropping_a_channel_unsends_what_is_queued_for_it(reader: Reader) -> None:
    """A right that was lost stops what had not left; other channels are not touched."""
    client, _, link = reader
    count = block(link)
    for number in range(100, 110):
        link.write(numbered(number), ONE if number % 2 else TWO)
    link.drop(ONE)

    assert await numbers(client, count + 5) == [*range(count), 100, 102, 104, 106, 108]
    link.drop(TWO)


async def test_discarding_unsends_everything_that_is_queued(reader: Reader) -> None:
    """A frame that was begun is finished; nothing else is sent."""
    client, _, link = reader
    count = block(link)
    link.write(numbered(100))
    link.discard()
    link.drop(ONE)
    link.close(3503, "force disconnect")

    assert await numbers(client, count) == list(range(count))
    assert await client.closed() == (3503, "force disconnect")


async def test_closing_leaves_the_queue_to_go_first(reader: Reader) -> None:
    """Without a discard, what was promised is delivered before the close."""
    client, session, link = reader
    count = block(link)
    link.write(numbered(count))
    link.close(3001, "shutdown")
    link.write(numbered(999))

    assert await numbers(client, count + 1) == list(range(count + 1))
    assert await client.closed() == (3001, "shutdown")
    await client.send(masked(CLOSE, b"\x0b\xb9"))
    assert await client.rest() == b""
    await until(lambda: session.losses == [3001])


async def test_a_close_by_the_peer_is_answered_behind_a_frame_that_was_begun(
    reader: Reader,
) -> None:
    """The queue is forgotten: the peer has said that it wants no more."""
    client, session, link = reader
    wall = fill(link)
    link.write(numbered(999))
    await client.send(masked(CLOSE, b"\x03\xe8"))
    await until(lambda: not link.open)

    assert await client.frame() == (0x82, wall)
    assert await client.closed() == (1000, "")
    assert await client.rest() == b""
    await until(lambda: session.losses == [1000])


async def test_a_fault_is_answered_behind_a_frame_that_was_begun(reader: Reader) -> None:
    """The code arrives although the peer reads late."""
    client, session, link = reader
    wall = fill(link)
    await client.send(masked(0, b"x"))
    await until(lambda: session.failures)

    assert await client.frame() == (0x82, wall)
    assert await client.closed() == (1002, "")
    assert await client.rest() == b""


async def test_a_close_of_both_at_once_waits_for_ours_to_leave(reader: Reader) -> None:
    """The peer's close ends the handshake only when our close frame is on its way."""
    client, session, link = reader
    wall = fill(link)
    link.close(3001, "shutdown")
    await client.send(masked(CLOSE, b"\x03\xe9"))
    await until(lambda: link._code == 1001)
    assert session.losses == []

    assert await client.frame() == (0x82, wall)
    assert await client.closed() == (3001, "shutdown")
    assert await client.rest() == b""
    await until(lambda: session.losses == [1001])


async def test_a_second_fault_waits_for_the_close_frame(reader: Reader) -> None:
    """A peer that breaks the rules while our close waits does not cut it off."""
    client, _, link = reader
    wall = fill(link)
    link.close(1000, "")
    await client.send(masked(CLOSE, b"\x00\x00"))
    await until(lambda: link.ignoring)

    assert await client.frame() == (0x82, wall)
    assert await client.closed() == (1000, "")
    assert await client.rest() == b""


async def test_a_peer_that_leaves_unread_data_is_let_go(
    reader: Reader, running: RunningListener
) -> None:
    """FIN while data waits: what is on its way gets the time of a close, no longer."""
    client, session, link = reader
    fill(link)
    link.write(numbered(1))
    client.sock.shutdown(socket.SHUT_WR)
    await until(lambda: not link.open)
    assert session.losses == []

    running.clock.advance(2.0)

    await until(lambda: session.losses == [None])


# -- bounds


@pytest.mark.p0
async def test_a_slow_reader_is_reported_once_by_bytes(reader: Reader) -> None:
    """The message that would break the bound is not queued, nor are those after it."""
    _, session, link = reader
    block(link)
    for _ in range(30):
        link.write(message.binary(bytes(100_000)))

    assert session.slows == 1
    assert OUTBOX_BYTES - 100_100 < link.unsent() <= OUTBOX_BYTES


@pytest.mark.p0
async def test_a_slow_reader_is_reported_by_count(reader: Reader) -> None:
    """A thousand publications wait at most, however small."""
    _, session, link = reader
    block(link)
    for _ in range(OUTBOX_COUNT):
        link.write(message.text(b""))
    assert session.slows == 0
    link.write(message.text(b""))

    assert session.slows == 1


@pytest.mark.p0
async def test_a_slow_reader_is_reported_by_age(reader: Reader, running: RunningListener) -> None:
    """What waits for longer than ten seconds makes the reader slow, alone or not."""
    _, session, link = reader
    block(link)
    assert not link.stale(running.clock.monotonic())
    running.clock.advance(OUTBOX_AGE)
    link.write(message.text(b"in time"))
    assert session.slows == 0
    running.clock.advance(0.1)

    assert link.stale(running.clock.monotonic())
    link.write(message.text(b"too late"))
    assert session.slows == 1


async def test_a_queue_grows_old_although_its_transport_is_fresh(
    reader: Reader, running: RunningListener
) -> None:
    """A reader that takes a little now and then does not make old messages young."""
    client, _, link = reader
    count = block(link)
    for number in range(300):
        link.write(numbered(number))
    running.clock.advance(OUTBOX_AGE)
    await numbers(client, count + 1)
    await until(lambda: link._since == running.clock.monotonic())
    running.clock.advance(1.0)

    assert link.stale(running.clock.monotonic())


async def test_a_reader_that_catches_up_can_be_slow_again(reader: Reader) -> None:
    """After the queue has run empty the next overflow is reported like the first."""
    client, session, link = reader
    for times in (1, 2):
        count = block(link)
        for _ in range(OUTBOX_COUNT + 5):
            link.write(message.text(b"1"))
        assert session.slows == times
        await numbers(client, count + OUTBOX_COUNT)
        await until(lambda: not link._blocked)


async def test_dropping_makes_room_to_be_reported_again(reader: Reader) -> None:
    """A session that drops a channel instead of ending hears of the next overflow."""
    _, session, link = reader
    block(link)
    for _ in range(OUTBOX_COUNT + 1):
        link.write(message.text(b"1"), ONE)
    link.drop(ONE)
    for _ in range(OUTBOX_COUNT + 1):
        link.write(message.text(b"1"), TWO)
    link.discard()
    for _ in range(OUTBOX_COUNT + 1):
        link.write(message.text(b"1"), TWO)

    assert session.slows == 3


async def test_one_slow_reader_does_not_delay_another(running: RunningListener) -> None:
    """Writing to a blocked link returns at once, and the next link is served."""
    _, slow = await running.enter(receive_buffer=SMALL)
    client, fast = await running.enter()
    block(link_of(slow))
    for number in range(100):
        for session in (slow, fast):
            session.link.write(numbered(number))

    assert await numbers(client, 100) == list(range(100))


# -- broken connections


async def test_writing_to_a_reset_connection_closes_it_quietly(reader: Reader) -> None:
    """The error of one write ends that link, without an exception and without another write."""
    client, session, link = reader
    client.reset()
    await asyncio.sleep(0.01) if session.losses else None
    for _ in range(20):
        link.write(message.text(b"anybody?"))
        link.ping()
        link.pong(b"")

    await until(lambda: session.losses == [None])
    assert not link.open
    assert len(session.losses) == 1


async def test_an_error_of_the_descriptor_is_left_to_the_transport(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a direct write raises, the transport tries again and knows better."""
    client, _, link = reader

    def fail(*_: object) -> int:
        raise InterruptedError

    monkeypatch.setattr(frame_writer, "os_write", fail)
    link.write(message.text(b"one"))
    link.ping()

    assert await client.frame() == (0x81, b"one")
    assert await client.frame() == (0x89, b"")


async def test_an_error_while_the_queue_is_written_is_left_to_the_transport(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same holds for what had to wait."""
    client, _, link = reader
    count = block(link)
    for number in range(count, count + 10):
        link.write(numbered(number))

    def fail(*_: object) -> int:
        raise InterruptedError

    monkeypatch.setattr(os, "writev", fail)

    assert await numbers(client, count + 10) == list(range(count + 10))


async def test_a_write_that_finds_the_transport_closing_shuts_the_link(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a write has broken the transport nothing more is tried."""
    _, session, link = reader
    link._transport.abort()

    def fail(*_: object) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(frame_writer, "os_write", fail)
    link.write(message.text(b"x"))

    assert not link.open
    await until(lambda: session.losses == [None])


@pytest.mark.p0
async def test_a_descriptor_is_not_written_to_after_its_connection(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link that is gone cannot reach whoever got its descriptor next."""
    client, session, link = reader
    written: list[int] = []
    monkeypatch.setattr(frame_writer, "os_write", lambda descriptor, _: written.append(descriptor))
    client.leave()
    await until(lambda: session.losses)
    link.write(message.text(b"x"))
    link.ping()
    link.pong(b"")
    link.close(1000, "")

    assert written == []
    assert link._descriptor == -1


# -- TLS


@pytest.fixture
async def secure(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> AsyncIterator[RunningListener]:
    """A listener with TLS, whose connections have small buffers."""
    async with run_listener(tls=tls[0]) as opened:
        opened.gate.on_open = shrink
        yield opened


async def test_over_tls_the_transport_writes_and_the_bounds_hold(
    secure: RunningListener, tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """A peer that stops reading is noticed, queued for, reported, and served when it reads."""
    stream, writer = await asyncio.open_connection(
        "127.0.0.1", secure.port, ssl=tls[1], server_hostname="localhost", limit=SMALL
    )
    writer.write(handshake())
    await stream.readuntil(b"\r\n\r\n")
    writer.transport.pause_reading()  # type: ignore[attr-defined] # a stream's transport reads, too
    session = secure.gate.sessions[0]
    link = link_of(session)
    count = block(link)
    link.write(message.text(b"queued"))
    link.pong(b"p")
    assert link._descriptor == -1
    assert link.unsent() > 0
    for _ in range(OUTBOX_COUNT):
        link.write(message.text(b""))
    assert session.slows == 1
    writer.transport.resume_reading()  # type: ignore[attr-defined] # as above

    for number in range(count):
        expected = numbered(number).frame
        assert await stream.readexactly(len(expected)) == expected
    assert await stream.readexactly(3) == b"\x8a\x01p"
    assert await stream.readexactly(8) == b"\x81\x06queued"
    link.discard()
    writer.close()


async def test_over_tls_a_close_ends_in_order(
    secure: RunningListener, tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """A fault over TLS is answered with its code, and then with the end of TLS."""
    stream, writer = await asyncio.open_connection(
        "127.0.0.1", secure.port, ssl=tls[1], server_hostname="localhost"
    )
    writer.write(handshake())
    await stream.readuntil(b"\r\n\r\n")
    writer.write(masked(0, b"x"))

    assert await stream.read() == b"\x88\x02\x03\xea"
    writer.close()
    await until(lambda: secure.gate.sessions[0].losses == [None])
