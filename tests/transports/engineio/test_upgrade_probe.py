from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from portward.model.disconnects import Disconnect
from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.limits import CLOSE_TIME, UNAUTHENTICATED_MESSAGE
from portward.model.payload import MultipartPayload
from portward.model.request import RequestHead
from portward.transports.engineio.polling import NOOP_TIME, REQUESTS_AT_ONCE
from portward.transports.engineio.server import LATECOMERS, SessionEntry
from portward.transports.engineio.upgrade_probe import PROBE_TIME, Probe
from portward.transports.websocket import ClosedReceiver
from portward.wire import message as wire
from tests.transports.engineio.polling_listener import PATH, PollingListener, run_polling
from tests.transports.running_listener import BINARY, PING, TEXT, Client, handshake, masked, until


@pytest.fixture
async def running() -> AsyncIterator[PollingListener]:
    """A listener with one Engine.IO endpoint."""
    async with run_polling() as opened:
        yield opened


async def carried(running: PollingListener, query: str) -> Client:
    """A WebSocket that carries the session."""
    client = await running.probed(query)
    await client.send(masked(TEXT, b"5"))
    entrance = running.server.find(query.rpartition("=")[2])
    assert entrance is not None
    await until(lambda: not entrance.polling.open)
    return client


async def refused(running: PollingListener, query: str) -> int:
    """The status a WebSocket is refused with."""
    client = await running.client()
    await client.send(handshake(f"{PATH}?{query.replace('polling', 'websocket')}"))
    return int((await client.head())[0].split(" ")[1])


async def test_an_upgrade_is_no_newcomer(running: PollingListener) -> None:
    """The gate is asked whether the request belongs to the session, not to let it in."""
    query, session = await running.begin()
    client = await carried(running, query)
    assert len(running.gate.heads) == 1
    assert [head.path for head, _ in running.gate.follow_ups] == [PATH]
    assert running.gate.follow_ups[0][1] is running.gate.admissions[0]
    await client.send(masked(TEXT, b"4hello"))
    await until(lambda: session.messages == [(b"hello", False)])
    assert len(running.server._probes) == 0


async def test_what_was_asked_of_the_session_holds(running: PollingListener) -> None:
    """A pause, the larger limit and who waits for the queue come along to the WebSocket."""
    query, session = await running.begin()
    session.link.authenticated()
    session.link.pause()
    told: list[bool] = []
    session.link.write(wire.ENGINE.text(b"queued"))
    session.link.when_sent(lambda: told.append(True))
    client = await carried(running, query)
    assert await client.frame() == (0x81, b"4queued")
    assert told == [True]
    large = b"4" + bytes(UNAUTHENTICATED_MESSAGE)
    await client.send(masked(TEXT, large))
    assert (await running.ask("GET", "EIO=4")).status == 400
    assert session.messages == []
    session.link.resume()
    await until(lambda: session.messages == [(large[1:], False)])


async def test_a_post_on_its_way_is_refused(running: PollingListener) -> None:
    """A post that is not complete when the WebSocket takes over comes to nothing."""
    query, session = await running.begin()
    post = await running.request("POST", query, b"4he", length=6)
    await until(running.server._bodies.waiting)
    await carried(running, query)
    assert (await running.answer(post)).code == 3
    assert len(running.server._bodies) == 0
    assert session.failures == []


async def test_a_post_that_waits_is_answered_to_the_probe(running: PollingListener) -> None:
    """A post kept waiting is answered, once, so that its client can change over; nothing is read."""
    query, session = await running.begin()
    session.on_message = lambda _: session.link.pause()
    first = await running.request("POST", query, b"4a")
    await until(lambda: len(session.messages) == 1)
    client = await running.probed(query)
    assert (await running.answer(first)).body == b"ok"
    second = await running.request("POST", query, b"4b")
    await until(lambda: len(session.messages) == 2)
    await client.send(masked(TEXT, b"5") + masked(TEXT, b"4c"))
    assert (await running.answer(second)).body == b"ok"
    assert (await running.ask("GET", "EIO=4")).status == 400
    assert len(session.messages) == 2
    session.on_message = None
    session.link.resume()
    await until(lambda: session.messages[2:] == [(b"c", False)])


async def test_a_post_after_the_probe_is_answered(running: PollingListener) -> None:
    """So is one that arrives when the probe was answered already."""
    query, session = await running.begin()
    session.link.pause()
    client = await running.probed(query)
    assert (await running.post(query, b"4a")).body == b"ok"
    await client.send(masked(TEXT, b"5"))
    entrance = running.server.find(query.rpartition("=")[2])
    assert entrance is not None
    await until(lambda: not entrance.polling.open)


async def test_polls_between_the_probe_and_the_last_step(running: PollingListener) -> None:
    """The first is answered at once, the next ones after a moment, or with what there is."""
    query, session = await running.begin()
    await running.probed(query)
    assert (await running.ask("GET", query)).body == b"6"
    second = await running.poll(query)
    running.clock.advance(NOOP_TIME + 0.01)
    assert (await running.answer(second)).body == b"6"
    third = await running.poll(query)
    session.link.write(wire.ENGINE.text(b"a"))
    assert (await running.answer(third)).body == b"4a"
    running.clock.advance(NOOP_TIME + 0.01)
    assert session.failures == []


# -- the end of a session while a WebSocket asks for it


async def test_the_end_before_the_probe(running: PollingListener) -> None:
    """A WebSocket that was not answered is closed with the code; the poll gets the last words."""
    query, session = await running.begin()
    client = await running.socket(query.replace("polling", "websocket"))
    poll = await running.poll(query)
    session.link.write(wire.ENGINE.text(b"bye"))
    session.link.close(3500, "invalid token")
    assert await client.closed() == (3500, "invalid token")
    assert (await running.answer(poll)).body == b"4bye"
    assert (await running.ask("GET", query)).body == b"1"


async def test_the_end_after_the_probe(running: PollingListener) -> None:
    """The last words wait for the last step, and then come over the WebSocket with the code."""
    query, session = await running.begin()
    client = await running.probed(query)
    session.link.write(wire.ENGINE.text(b"bye"))
    session.link.close(3500, "invalid token")
    running.clock.advance(CLOSE_TIME - 0.1)
    assert session.losses == []
    await client.send(masked(TEXT, b"5"))
    assert await client.frame() == (0x81, b"4bye")
    assert await client.frame() == (0x81, b"1")
    assert await client.closed() == (3500, "invalid token")
    client.leave()
    await until(lambda: session.losses)
    assert (session.losses, len(running.server.sessions), len(running.server._closing)) == (
        [None],
        0,
        0,
    )


@pytest.mark.parametrize("lost", ["socket", "answer"])
async def test_the_end_after_the_probe_by_poll(running: PollingListener, lost: str) -> None:
    """A poll that comes meanwhile gets the last words, but no close packet unless the socket is gone."""
    query, session = await running.begin()
    client = await running.probed(query)
    session.link.write(wire.ENGINE.text(b"bye"))
    session.link.close(3500, "invalid token")
    assert (await running.ask("GET", query)).body == b"4bye"
    assert (await running.ask("GET", query)).body == b"6"
    poll = await running.poll(query)
    if lost == "socket":
        client.reset()
        assert (await running.answer(poll)).body == b"1"
    else:
        running.clock.advance(NOOP_TIME + 0.01)
        assert (await running.answer(poll)).body == b"6"
        await client.send(masked(TEXT, b"4no step"))
        assert await client.closed() == (3500, "invalid token")
        assert (await running.ask("GET", query)).body == b"1"
    await until(lambda: session.losses)
    assert session.losses == [None]


async def test_the_end_after_the_probe_without_the_last_step(running: PollingListener) -> None:
    """After two seconds the WebSocket is closed with the code, and polls are refused."""
    query, session = await running.begin()
    client = await running.probed(query)
    session.link.write(wire.ENGINE.text(b"bye"))
    session.link.close(3005, "expired")
    running.clock.advance(CLOSE_TIME + 0.1)
    assert await client.closed() == (3005, "expired")
    assert (await running.ask("GET", query)).code == 1
    await until(lambda: session.losses)
    assert session.losses == [None]


async def test_no_pong_after_the_probe(running: PollingListener) -> None:
    """A session whose pings are not answered leaves the same way once the probe was answered."""
    query, session = await running.begin()
    client = await running.probed(query)
    session.link.close(Disconnect.NO_PONG.code, Disconnect.NO_PONG.reason)
    await client.send(masked(TEXT, b"5"))
    assert await client.frame() == (0x81, b"1")
    assert await client.closed() == (3012, "no pong")


@pytest.mark.parametrize("fault", ["poll", "post"])
async def test_a_fault_after_the_probe(running: PollingListener, fault: str) -> None:
    """A fault of the requests ends the session over the WebSocket: the client has ceased to poll."""
    query, session = await running.begin()
    client = await running.probed(query)
    if fault == "post":
        assert (await running.post(query, b"abc")).code == 3
    else:
        await running.ask("GET", query)
        held = await running.poll(query)
        assert (await running.ask("GET", query)).code == 3
        assert (await running.answer(held)).body == b"1"
    assert len(session.failures) == 1
    assert (await running.ask("GET", query)).code == 3
    await client.send(masked(TEXT, b"5"))
    assert await client.frame() == (0x81, b"1")
    assert (await client.closed())[0] == Disconnect.GOING_AWAY.code


async def test_a_fault_after_the_probe_whose_socket_leaves(running: PollingListener) -> None:
    """Without its WebSocket such a session is gone at once."""
    query, session = await running.begin()
    client = await running.probed(query)
    assert (await running.post(query, b"abc")).code == 3
    client.reset()
    await until(lambda: session.losses)
    assert (session.losses, len(running.server.sessions)) == ([None], 0)


async def test_leaving_at_once_after_the_probe(running: PollingListener) -> None:
    """A session that is dropped closes its WebSocket so that the client comes back."""
    query, session = await running.begin()
    client = await running.probed(query)
    session.link.abort()
    assert (await client.closed())[0] == Disconnect.GOING_AWAY.code
    await until(lambda: session.losses)


# -- bytes as text


@pytest.mark.parametrize("told", ["at first", "in the upgrade"])
async def test_a_client_that_takes_no_bytes(running: PollingListener, told: str) -> None:
    """With `b64=1` in either request binary messages are base64 text after the upgrade, too."""
    first, second = ("&b64=1", "") if told == "at first" else ("", "&b64=1")
    query, session = await running.begin(first)
    session.link.write(wire.ENGINE.text(MultipartPayload(b"queued", (b"\x01", b"\x02"))))
    client = await running.probed(query + second)
    await client.send(masked(TEXT, b"5"))
    assert [await client.frame() for _ in range(3)] == [
        (0x81, b"4queued"),
        (0x81, b"bAQ=="),
        (0x81, b"bAg=="),
    ]
    session.link.write(wire.ENGINE.binary(b"\x03"))
    assert await client.frame() == (0x81, b"bAw==")
    await client.send(masked(TEXT, b"bBA==") + masked(BINARY, b"\x05"))
    await until(lambda: session.messages == [(b"\x04", True), (b"\x05", True)])


async def test_a_probe_has_a_deadline(running: PollingListener) -> None:
    """A WebSocket that does not come to the point is closed; the session is untouched."""
    query, session = await running.begin()
    client = await running.probed(query)
    running.clock.advance(PROBE_TIME + 0.1)
    assert await client.closed() == (Disconnect.PROTOCOL_ERROR.code, "")
    poll = await running.poll(query)
    session.link.write(wire.ENGINE.text(b"a"))
    assert (await running.answer(poll)).body == b"4a"
    assert session.losses == []


async def test_a_probe_takes_few_frames(running: PollingListener) -> None:
    """Pings are answered, but not without end."""
    query, session = await running.begin()
    client = await running.probed(query)
    for _ in range(19):
        await client.send(masked(PING, b"x"))
        assert await client.frame() == (0x8A, b"x")
    await client.send(masked(PING, b"x"))
    assert await client.closed() == (Disconnect.PROTOCOL_ERROR.code, "")
    assert session.controls == []


async def test_a_probe_that_breaks_the_protocol(running: PollingListener) -> None:
    """A frame that is none ends the socket; the session is untouched."""
    query, session = await running.begin()
    client = await running.probed(query)
    await client.send(masked(TEXT, b"5", rsv=4))
    assert (await client.closed())[0] == Disconnect.PROTOCOL_ERROR.code
    assert session.failures == []
    entrance = running.server.find(query.rpartition("=")[2])
    assert entrance is not None
    assert entrance.polling.probe is None


async def test_a_probe_in_pieces(running: PollingListener) -> None:
    """A probe in fragments is none of the session's unfinished messages."""
    query, session = await running.begin()
    client = await running.socket(query.replace("polling", "websocket"))
    await client.send(masked(TEXT, b"2pr", fin=False))
    await client.send(masked(0, b"obe"))
    assert await client.frame() == (0x81, b"3probe")
    assert session.partials == []


async def test_the_socket_after_the_upgrade_is_the_session_s(running: PollingListener) -> None:
    """Pings, unfinished messages, faults, and the end go to the session."""
    query, session = await running.begin()
    session.pongs = True
    client = await carried(running, query)
    await client.send(masked(PING, b"x"))
    assert await client.frame() == (0x8A, b"x")
    await client.send(masked(BINARY, b"\x01", fin=False))
    await until(lambda: session.partials == [True])
    await client.send(masked(TEXT, b"x"))
    await until(lambda: session.endings == [Disconnect.PROTOCOL_ERROR])
    assert await client.frame() == (0x81, b"1")
    assert (await client.closed())[0] == Disconnect.PROTOCOL_ERROR.code
    client.leave()
    await until(lambda: session.losses)
    assert len(session.losses) == 1


async def test_a_slow_reader_after_the_upgrade() -> None:
    """The bounds of the session hold on its WebSocket."""
    async with run_polling() as running:
        running.gate.options = {"max_unsent": 100_000}
        query, session = await running.begin()
        await carried(running, query)
        for _ in range(100):
            session.link.write(wire.ENGINE.text(bytes(1_000_000)))
        await until(lambda: session.slows == 1)


async def test_a_stranger_s_upgrade(running: PollingListener) -> None:
    """Who does not belong to the session gets the gate's answer, and disturbs nothing."""
    query, session = await running.begin()
    running.gate.stranger = HandshakeRejected(HandshakeRejection.FORBIDDEN)
    assert await refused(running, query) == 403
    assert session.losses == []


async def test_an_upgrade_of_nothing(running: PollingListener) -> None:
    """An id nobody knows, another protocol, or no handshake at all is a bad request."""
    query, _ = await running.begin()
    assert await refused(running, "EIO=4&transport=websocket&sid=x") == 400
    assert await refused(running, query.replace("EIO=4", "EIO=3")) == 400
    client = await running.client()
    await client.send(
        f"GET {PATH}?{query.replace('polling', 'websocket')} HTTP/1.1\r\n"
        "Host: x\r\nUpgrade: websocket\r\n\r\n".encode()
    )
    assert (await client.head())[0].startswith("HTTP/1.1 400 ")


async def test_upgrades_have_a_rate(running: PollingListener) -> None:
    """Who tries too often is told to wait."""
    query, session = await running.begin()
    entrance = running.server.find(query.rpartition("=")[2])
    assert entrance is not None
    for _ in range(REQUESTS_AT_ONCE):
        entrance.polling.hurried()
    assert await refused(running, query) == 429
    assert session.failures == []


async def test_few_come_too_late(running: PollingListener) -> None:
    """Two further WebSockets in the life of a session are closed in order, the others refused."""
    query, session = await running.begin()
    probing = await running.probed(query)
    for _ in range(LATECOMERS):
        late = await running.socket(query.replace("polling", "websocket"))
        assert await late.closed() == (Disconnect.FLOODING.code, Disconnect.FLOODING.reason)
    assert await refused(running, query) == 400
    assert running.gate.reasons == [HandshakeRejection.BAD_REQUEST]
    await probing.send(masked(TEXT, b"5") + masked(TEXT, b"4mine"))
    await until(lambda: session.messages == [(b"mine", False)])
    assert await refused(running, query) == 400
    other, _ = await running.begin()
    await carried(running, other)
    await running.socket(other.replace("polling", "websocket"))
    assert (session.failures, session.losses) == ([], [])


async def test_probes_are_no_latecomers(running: PollingListener) -> None:
    """A session whose WebSockets fail one after the other may try again."""
    query, _ = await running.begin()
    entrance = running.server.find(query.rpartition("=")[2])
    assert entrance is not None
    for _ in range(LATECOMERS + 1):
        client = await running.probed(query)
        await client.send(masked(TEXT, b"4early"))
        assert (await client.closed())[0] == Disconnect.PROTOCOL_ERROR.code
    await carried(running, query)
    assert entrance.late == 0


async def test_a_probe_that_never_was(running: PollingListener) -> None:
    """A socket that dies on the way in leaves the place to another."""
    query, _ = await running.begin()
    entrance = running.server.find(query.rpartition("=")[2])
    assert entrance is not None
    head = running.gate.heads[0]
    asked = query.replace("polling", "websocket")
    upgrade = await running.path.admit(_head(head, asked), upgrade_checked=True)
    assert isinstance(upgrade, Probe)
    assert _asking(entrance) is upgrade
    late = await running.path.admit(_head(head, asked), upgrade_checked=True)
    late.cancel()
    upgrade.cancel()
    assert _asking(entrance) is None
    again = await running.path.admit(_head(head, asked), upgrade_checked=True)
    running.clock.advance(PROBE_TIME + 0.1)
    assert entrance.polling.probe is None
    again.cancel()


def _asking(entrance: SessionEntry) -> object:
    return entrance.polling.probe


def _head(head: RequestHead, query: str) -> RequestHead:
    return replace(head, query=query)


def test_nobody_listens_to_a_latecomer() -> None:
    """What a closed socket says goes nowhere."""
    closed = ClosedReceiver()
    assert not closed.count_frame(False)
    closed.message(b"", False)
    closed.lost(None)


@pytest.mark.parametrize(
    ("offer", "answered"),
    [
        ("chat, mqtt", "chat"),
        ("openai-insecure-api-key.opaque, mqtt", "mqtt"),
        ("eyJhbGciOiJIUzI1NiJ9.e30.x", None),
    ],
)
async def test_an_upgrade_answers_the_first_subprotocol(
    running: PollingListener, offer: str, answered: str | None
) -> None:
    """Both the upgrade and a WebSocket that comes too late; a credential is never answered."""
    query, _ = await running.begin()
    for _ in range(2):
        client = await running.client()
        target = f"{PATH}?{query.replace('polling', 'websocket')}"
        await client.send(handshake(target, sec_websocket_protocol=offer))
        head = await client.head()
        assert head[0] == "HTTP/1.1 101 Switching Protocols"
        said = [line for line in head if line.lower().startswith("sec-websocket-protocol")]
        assert said == ([f"Sec-WebSocket-Protocol: {answered}"] if answered else [])
    client = await running.client()
    page = handshake(target, sec_websocket_protocol="ticket.opaque", origin="http://localhost")
    await client.send(page)
    assert (await client.head())[0] == "HTTP/1.1 400 Bad Request"
