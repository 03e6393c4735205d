import asyncio
from contextlib import suppress

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from portward.node.sessions import start_eager
from portward.protocols.relay import upstream_link
from portward.protocols.relay.ports import UpstreamClosed
from portward.protocols.relay.upstream_link import MAX_MESSAGE, UpstreamConnection
from tests.protocols.relay.upstream.upstreams import (
    KEY,
    MODEL,
    accepted,
    client,
    frame,
    linked,
    raw,
    still,
    until,
)

TEXT, BINARY, CLOSE = 0x81, 0x82, 0x88


async def echo(peer: ServerConnection) -> None:
    """Say everything back."""
    async for message in peer:
        await peer.send(message)


async def idle(peer: ServerConnection) -> None:
    """Say nothing."""
    await peer.wait_closed()


async def ending(link: UpstreamConnection) -> int | None:
    """The code a connection ends with."""
    with pytest.raises(UpstreamClosed) as ended:
        await link.receive()
    assert ended.value.__cause__ is None
    assert ended.value.__suppress_context__
    return ended.value.code


# -- messages


@pytest.mark.parametrize("payload", ["", "plain", "grüße ✓ 🎧", "x" * 70_000, "\x00"])
async def test_text(payload: str) -> None:
    """Text travels as text, whole, and comes as its UTF-8."""
    async with linked(echo) as link:
        await link.send(payload.encode(), binary=False)
        assert await link.receive() == (payload.encode(), False)


@pytest.mark.parametrize("payload", [b"", b"\xff\x00\xfe", b"x" * 70_000])
async def test_binary(payload: bytes) -> None:
    """Bytes travel as bytes, whatever they are."""
    async with linked(echo) as link:
        await link.send(payload, binary=True)
        assert await link.receive() == (payload, True)


async def test_fragments_are_joined() -> None:
    """A message in pieces is one message."""

    async def pieces(peer: ServerConnection) -> None:
        await peer.send(["a", "b", "c"])
        await peer.send([b"1", b"2"])
        await peer.wait_closed()

    async with linked(pieces) as link:
        assert await link.receive() == (b"abc", False)
        assert await link.receive() == (b"12", True)


async def test_order_both_ways() -> None:
    """What is sent one after the other comes one after the other."""
    async with linked(echo) as link:
        for number in range(50):
            await link.send(b"%d" % number, binary=number % 2 == 0)
        got = [await link.receive() for _ in range(50)]
        assert got == [(b"%d" % number, number % 2 == 0) for number in range(50)]


async def test_longest_message() -> None:
    """A message may be as long as the limit."""

    async def long(peer: ServerConnection) -> None:
        await peer.send(bytes(MAX_MESSAGE))
        await peer.wait_closed()

    async with linked(long) as link:
        payload, binary = await link.receive()
        assert (len(payload), binary) == (MAX_MESSAGE, True)


@pytest.mark.parametrize("fragments", [1, 3])
async def test_message_that_is_too_long(monkeypatch: pytest.MonkeyPatch, fragments: int) -> None:
    """A longer one ends the connection with 1009, told to both sides."""
    monkeypatch.setattr(upstream_link, "LINGER", 0.05)
    told: list[int] = []

    async def longer(peer: ServerConnection) -> None:
        piece = bytes(MAX_MESSAGE // fragments + 1)
        with suppress(ConnectionClosed):
            await peer.send([piece] * fragments if fragments > 1 else piece)
        await peer.wait_closed()
        assert peer.protocol.close_rcvd is not None
        told.append(peer.protocol.close_rcvd.code)

    async with linked(longer) as link:
        assert await ending(link) == 1009
        assert await ending(link) == 1009
        with pytest.raises(UpstreamClosed) as ended:
            await link.send(b"", binary=False)
        assert ended.value.code == 1009
        await still(lambda: len(told))
    assert told == [1009]


@pytest.mark.parametrize(
    "sent",
    [frame(TEXT, b"\xff\xfe"), frame(0x83, b"x"), frame(0xC1, b"x"), frame(0x89, bytes(200))],
)
async def test_upstream_that_breaks_the_protocol(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """Text that is none, an unknown kind of frame and the like count as a lost upstream."""
    monkeypatch.setattr(upstream_link, "LINGER", 0.05)
    async with raw(lambda head: accepted(head) + sent) as server:
        link = await client(server.url).open(MODEL)
        link._socket.close_timeout = 0.05
        assert await ending(link) is None


# -- the end, told by the upstream


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1014, 3000, 4001, 4999])
async def test_code_of_the_upstream(code: int) -> None:
    """The upstream's own code is the one that is told, to who receives and to who sends."""

    async def over(peer: ServerConnection) -> None:
        await peer.send("last")
        await peer.close(code, "secret reason")

    async with linked(over) as link:
        assert await link.receive() == (b"last", False)
        assert await ending(link) == code
        with pytest.raises(UpstreamClosed) as ended:
            await link.send(b"x", binary=False)
        assert ended.value.code == code
        assert ended.value.reason == "secret reason"
        assert "reason" not in str(ended.value)


async def test_the_reason_of_the_upstream_is_redacted() -> None:
    """Neither the key nor quoted content is in it."""

    async def over(peer: ServerConnection) -> None:
        await peer.close(1008, f"{KEY} may not say 'that I am ill', told a@b.example")

    async with linked(over) as link:
        with pytest.raises(UpstreamClosed) as ended:
            await link.receive()
        assert ended.value.reason == "*** may not say ***, told ***"


async def test_close_without_a_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """A close frame without a code is 1005, not a loss."""
    monkeypatch.setattr(upstream_link, "LINGER", 0.05)
    async with raw(lambda head: accepted(head) + frame(CLOSE)) as server:
        link = await client(server.url).open(MODEL)
        assert await ending(link) == 1005


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000])
async def test_codes_that_may_not_be_sent(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """A code no close frame may carry is no code."""
    monkeypatch.setattr(upstream_link, "LINGER", 0.05)
    async with raw(lambda head: accepted(head) + frame(CLOSE, code.to_bytes(2, "big"))) as server:
        link = await client(server.url).open(MODEL)
        assert await ending(link) is None


async def test_lost_upstream() -> None:
    """An upstream that is cut off has no code; what came before is still received."""

    async def cut(peer: ServerConnection) -> None:
        await peer.send("last")
        peer.transport.close()

    async with linked(cut) as link:
        assert await link.receive() == (b"last", False)
        assert await ending(link) is None
        with pytest.raises(UpstreamClosed) as ended:
            await link.send(b"x", binary=False)
        assert ended.value.code is None


async def test_upstream_that_is_lost_while_it_is_sent_to() -> None:
    """Who waits for the upstream to read learns that it is gone."""
    async with raw(accepted, reading=False) as server:
        link = await client(server.url).open(MODEL)
        sending = asyncio.ensure_future(send_for_ever(link, []))
        await still(link._socket.transport.get_write_buffer_size)
        server.writers[0].transport.abort()
        with pytest.raises(UpstreamClosed) as ended:
            await sending
        assert ended.value.code is None
        assert ended.value.__suppress_context__ or ended.value.__context__ is None


async def test_messages_before_a_loss() -> None:
    """What was read before the connection broke can be received after it."""
    sent = b"".join(frame(TEXT, b"%d" % number) for number in range(5))
    async with raw(lambda head: accepted(head) + sent) as server:
        link = await client(server.url).open(MODEL)
        assert await link.receive() == (b"0", False)
        link.drop()
        await still(lambda: 0)
        got = [await link.receive() for _ in range(4)]
        assert [payload for payload, _ in got] == [b"1", b"2", b"3", b"4"]
        assert await ending(link) is None


async def test_upstream_that_closes_and_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A close frame is enough: nobody waits for the upstream to let go of the connection."""
    monkeypatch.setattr(upstream_link, "LINGER", 0.05)
    answer = frame(CLOSE, (4001).to_bytes(2, "big"))
    async with raw(lambda head: accepted(head) + answer, reading=False) as server:
        link = await client(server.url).open(MODEL)
        assert await ending(link) == 4001
        with pytest.raises(UpstreamClosed):
            await link.send(b"x", binary=False)


async def test_sending_while_the_upstream_closes() -> None:
    """Between the upstream's close frame and the end, nothing is sent and nobody waits."""
    answer = frame(CLOSE, (4001).to_bytes(2, "big"))
    async with raw(accepted, reading=False) as server:
        link = await client(server.url).open(MODEL)
        server.writers[0].write(answer)
        await until(lambda: link._socket.state.name != "OPEN")
        ended: list[BaseException | None] = []
        start_eager(link.send(b"x", binary=False), lambda _, error: ended.append(error))
        assert isinstance(ended[0], UpstreamClosed)
        assert ended[0].code == 4001
        link.drop()


# -- the end, told by us


@pytest.mark.parametrize(
    ("code", "told"),
    [(1000, 1000), (1001, 1001), (1011, 1011), (3504, 3504), (4000, 4000)]
    + [(each, 1001) for each in (0, 1004, 1005, 1006, 1015, 5000, 70_000)],
)
async def test_closing(code: int, told: int) -> None:
    """The upstream is told the code, or 1001 in place of one that may not be sent."""
    heard: list[int | None] = []

    async def hears(peer: ServerConnection) -> None:
        await peer.wait_closed()
        heard.append(peer.close_code)

    async with linked(hears) as link:
        await link.close(code)
        await link.close(1011)
        await still(lambda: len(heard))
        assert heard == [told]
        assert await ending(link) == told


async def test_closing_what_is_over() -> None:
    """Closing never raises, whatever happened before."""

    async def over(peer: ServerConnection) -> None:
        await peer.close(4001)

    async with linked(over) as link:
        assert await ending(link) == 4001
        await link.close(1000)
        link.drop()
        await link.close(1000)
        assert await ending(link) == 4001


async def test_closing_while_somebody_waits() -> None:
    """Who waits for a message learns of the end."""
    async with linked(idle) as link:
        waiting = asyncio.ensure_future(link.receive())
        await asyncio.sleep(0)
        await link.close(1000)
        with pytest.raises(UpstreamClosed):
            await waiting


async def test_closing_an_upstream_that_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An upstream that answers no close frame is dropped, and who was sending learns of it."""
    monkeypatch.setattr(upstream_link, "CLOSE_TIME", 0.05)
    async with raw(accepted, reading=False) as server:
        link = await client(server.url).open(MODEL)
        sending = asyncio.ensure_future(send_for_ever(link, []))
        await still(link._socket.transport.get_write_buffer_size)
        await link.close(1000)
        with pytest.raises(UpstreamClosed) as ended:
            await sending
        assert ended.value.code is None


async def test_closing_an_upstream_that_never_stops() -> None:
    """The answer to a close frame is found behind whatever was still being sent."""
    heard: list[int | None] = []

    async def flood(peer: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            while True:
                await peer.send(bytes(65536))
        heard.append(peer.close_code)

    async with linked(flood) as link:
        await link.receive()
        await link.close(4002)
        await still(lambda: len(heard))
        assert heard == [4002]
        with pytest.raises(UpstreamClosed) as ended:
            await receive_for_ever(link)
        assert ended.value.code == 4002


async def test_closing_is_not_given_up() -> None:
    """Whoever stops waiting for the end does not prevent it, and needs no task of his own."""
    heard: list[int | None] = []

    async def hears(peer: ServerConnection) -> None:
        await peer.wait_closed()
        heard.append(peer.close_code)

    async with linked(hears) as link:
        task: list[asyncio.Task[None] | None] = []
        asyncio.get_running_loop().call_soon(
            lambda: task.append(start_eager(link.close(4003), lambda *_: None))
        )
        await asyncio.sleep(0)
        assert task[0] is not None
        task[0].cancel()
        await still(lambda: len(heard))
        assert heard == [4003]


# -- giving up


async def test_receiving_may_be_given_up() -> None:
    """A message that nobody waited for any more is there for the next one."""

    async def slow(peer: ServerConnection) -> None:
        await peer.recv()
        await peer.send(["a", "b"])
        await peer.wait_closed()

    async with linked(slow) as link:
        await link.send(b"go", binary=False)
        for _ in range(10_000):
            waiting = asyncio.ensure_future(link.receive())
            await asyncio.sleep(0)
            if not waiting.cancel():
                break
            with suppress(asyncio.CancelledError):
                await waiting
        assert await waiting == (b"ab", False)


async def test_sending_may_be_given_up() -> None:
    """A message whose sender went away is whole all the same, and so is the next."""
    got: list[int] = []
    go = asyncio.Event()

    async def later(peer: ServerConnection) -> None:
        await go.wait()
        got.extend([len(message) async for message in peer])

    async with linked(later) as link:
        sent: list[int] = []
        sending = asyncio.ensure_future(send_for_ever(link, sent))
        await still(lambda: len(sent))
        sending.cancel()
        go.set()
        await link.send(b"last", binary=False)
        await link.close(1000)
        await still(lambda: len(got))
    assert got == [65536] * (len(sent) + 1) + [4]


# -- bounded memory


async def send_for_ever(link: UpstreamConnection, sent: list[int]) -> None:
    """Send as fast as it is taken."""
    while True:
        await link.send(bytes(65536), binary=True)
        sent.append(65536)


async def receive_for_ever(link: UpstreamConnection) -> None:
    """Receive until nothing comes any more."""
    while True:
        await link.receive()


@pytest.mark.p1
async def test_upstream_that_reads_nothing() -> None:
    """Sending waits while the upstream does not read, with one message in hand."""
    async with raw(accepted, reading=False) as server:
        link = await client(server.url).open(MODEL)
        sent: list[int] = []
        sending = asyncio.ensure_future(send_for_ever(link, sent))
        await still(lambda: len(sent))
        assert not sending.done()
        assert link._socket.transport.get_write_buffer_size() < 3 * 65536
        server.reading.set()
        before = len(sent)
        await until(lambda: len(sent) > before)
        sending.cancel()
        link.drop()


@pytest.mark.p1
async def test_upstream_that_floods() -> None:
    """While nobody receives, the upstream is not read: what it could write fits the sockets' buffers."""
    size, written = 65536, [0]

    async def flood(peer: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            for _ in range(4096):
                await peer.send(bytes(size))
                written[0] += size

    async with linked(flood) as link:
        await still(lambda: written[0])
        held = sum(len(each.data) for each in link._socket.recv_messages.frames.queue)
        assert held <= 8 * size
        assert written[0] < 16 * 1024 * 1024
        for _ in range(200):
            await link.receive()
        assert await still(lambda: written[0]) >= 200 * size


@pytest.mark.p1
async def test_upstream_that_floods_with_fragments() -> None:
    """A message in countless pieces counts as too long."""
    pieces = frame(0x01, b"") + frame(0x00, b"") * 10_000
    async with raw(lambda head: accepted(head) + pieces) as server:
        link = await client(server.url).open(MODEL)
        link._socket.close_timeout = 0.05
        assert await ending(link) == 1009
