from collections.abc import AsyncIterator

import pytest

from portward.model.disconnects import Disconnect
from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.limits import MESSAGE_TIME, UNAUTHENTICATED_MESSAGE
from tests.transports.engineio.polling_listener import PollingListener, run_polling
from tests.transports.running_listener import Client, until


@pytest.fixture
async def running() -> AsyncIterator[PollingListener]:
    """A listener with one Engine.IO endpoint."""
    async with run_polling() as opened:
        yield opened


async def arriving(running: PollingListener, query: str) -> Client:
    """A client in the middle of a body of six bytes."""
    client = await running.request("POST", query, b"4he", length=6)
    await until(running.server._bodies.waiting)
    return client


async def test_packets_are_frames(running: PollingListener) -> None:
    """Each packet is counted as a frame, pongs as control frames; messages are handed on."""
    query, session = await running.begin()
    assert (await running.post(query, b"4a\x1e3\x1ebAQ==\x1e6")).told == (200, b"ok")
    assert session.controls == [False, True, False, True]
    assert session.messages == [(b"a", False), (b"\x01", True)]
    assert len(running.server._bodies) == 0


async def test_a_poll_is_no_frame(running: PollingListener) -> None:
    """Polling alone is no sign of life."""
    query, session = await running.begin()
    await running.poll(query)
    assert session.controls == []


async def test_a_body_in_pieces(running: PollingListener) -> None:
    """A body is handled when it is complete, within its time. The rest is ignored."""
    query, session = await running.begin()
    client = await arriving(running, query)
    running.clock.advance(MESSAGE_TIME - 0.1)
    await client.send(b"llo4more")
    assert (await running.answer(client)).body == b"ok"
    assert session.messages == [(b"hello", False)]
    running.clock.advance(MESSAGE_TIME)
    assert (session.partials, session.failures) == ([], [])


async def test_a_body_that_stalls(running: PollingListener) -> None:
    """A body that is not complete in time ends the session: the poll says so, then both are refused."""
    query, session = await running.begin()
    poll = await running.poll(query)
    post = await arriving(running, query)
    running.clock.advance(MESSAGE_TIME + 0.1)
    assert (await running.answer(poll)).told == (200, b"1")
    assert (await running.answer(post)).code == 3
    assert session.endings == [Disconnect.GOING_AWAY]
    assert (await running.ask("GET", query)).code == 1


async def test_the_limit_before_authentication(running: PollingListener) -> None:
    """Until the session is authenticated the smaller limit acts, afterwards the endpoint's own."""
    query, session = await running.begin()
    largest = b"4" + bytes(UNAUTHENTICATED_MESSAGE - 1)
    assert (await running.post(query, largest)).body == b"ok"
    session.link.authenticated()
    assert (await running.post(query, largest + b"x")).body == b"ok"

    query, session = await running.begin()
    assert (await running.post(query, largest + b"x")).status == 413
    assert session.endings == [Disconnect.TOO_BIG]


async def test_a_body_that_is_too_long_is_never_held(running: PollingListener) -> None:
    """The length that is announced decides, before anything of it came."""
    query, session = await running.begin()
    client = await running.request("POST", query, b"", length=10**15)
    assert (await running.answer(client)).status == 413
    assert session.endings == [Disconnect.TOO_BIG]


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "Content-Length: x\r\n",
        "Content-Length: 1\r\nContent-Length: 1\r\n",
        "Content-Length: -1\r\n",
    ],
)
async def test_a_length_that_is_none(running: PollingListener, lines: str) -> None:
    """A body has to say how long it is, once and in digits."""
    query, _ = await running.begin()
    client = await running.client()
    head = f"POST /engine.io/?{query} HTTP/1.1\r\nHost: gate.example\r\n{lines}\r\n"
    await client.send(head.encode() + b"4")
    assert (await running.answer(client)).status in {400, 411}


async def test_a_chunked_body(running: PollingListener) -> None:
    """A body in chunks is refused, and with it the session, as its packets are missing."""
    query, session = await running.begin()
    poll = await running.poll(query)
    client = await running.client()
    head = f"POST /engine.io/?{query} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    await client.send(head.encode() + b"2\r\n4x\r\n0\r\n\r\n")
    assert (await running.answer(client)).status == 411
    assert (await running.answer(poll)).told == (200, b"1")
    assert session.endings == [Disconnect.GOING_AWAY]
    assert (await running.ask("GET", query)).code == 1


async def test_a_chunked_body_of_somebody_else(running: PollingListener) -> None:
    """Whose request is not the session's own cannot end it so."""
    query, session = await running.begin()
    running.gate.stranger = HandshakeRejected(HandshakeRejection.FORBIDDEN)
    client = await running.client()
    head = f"POST /engine.io/?{query} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    await client.send(head.encode() + b"0\r\n\r\n")
    assert (await running.answer(client)).status == 403
    assert (session.failures, session.losses) == ([], [])


async def test_two_posts_at_once(running: PollingListener) -> None:
    """A second post while one is arriving ends the session; both are refused, and later polls."""
    query, session = await running.begin()
    first = await arriving(running, query)
    assert (await running.post(query, b"4x")).code == 3
    assert (await running.answer(first)).code == 3
    assert session.endings == [Disconnect.GOING_AWAY]
    assert session.messages == []
    assert (await running.ask("GET", query)).code == 1


async def test_a_post_given_up(running: PollingListener) -> None:
    """A body that breaks off ends the session: the pending poll says so, the next one is refused."""
    query, session = await running.begin()
    poll = await running.poll(query)
    client = await arriving(running, query)
    client.reset()
    await until(lambda: session.failures)
    assert session.endings == [Disconnect.GOING_AWAY]
    assert (await running.answer(poll)).told == (200, b"1")
    assert (await running.ask("GET", query)).code == 1


REFUSED = {
    "no packet": (b"abc", 400),
    "half of it": (b"4a\x1e", 400),
    "no base64": (b"b!!!!", 400),
    "no UTF-8": (b"4\xff", 400),
    "a packet of the server": (b"4a\x1e2", 400),
    "too many": (b"\x1e".join([b"4"] * 1025), 400),
    "too large": (bytes(UNAUTHENTICATED_MESSAGE + 1), 413),
}


@pytest.mark.parametrize("polling", [False, True])
@pytest.mark.parametrize(("body", "status"), REFUSED.values(), ids=list(REFUSED))
async def test_a_refused_post_ends_the_session(
    running: PollingListener, body: bytes, status: int, polling: bool
) -> None:
    """A pending poll gets the close packet; without one, and after it, polls and posts are refused."""
    query, session = await running.begin()
    poll = await running.poll(query) if polling else None
    assert (await running.post(query, body)).status == status
    if poll is not None:
        assert (await running.answer(poll)).told == (200, b"1")
    assert (await running.ask("GET", query)).status == 400
    assert (await running.post(query, b"4x")).status == 400
    assert len(session.failures) == 1
    await until(lambda: session.losses)
    assert session.losses == [None]


async def test_a_session_that_does_not_read(running: PollingListener) -> None:
    """While a session is paused the post that was heard is not answered, so that none follows."""
    query, session = await running.begin()
    session.on_message = lambda _: session.link.pause()
    client = await running.request("POST", query, b"4a\x1e4b")
    await until(lambda: len(session.messages) == 2)
    assert (await running.ask("GET", "EIO=4")).status == 400
    assert not client.data
    session.on_message = None
    session.link.resume()
    assert (await running.answer(client)).body == b"ok"
    session.link.resume()
    assert (await running.post(query, b"4c")).body == b"ok"


async def test_a_second_post_while_the_session_does_not_read(running: PollingListener) -> None:
    """Who does not wait for the answer is not heard any more."""
    query, session = await running.begin()
    session.on_message = lambda _: session.link.pause()
    client = await running.request("POST", query, b"4a")
    await until(lambda: session.messages)
    assert (await running.post(query, b"4b")).code == 3
    assert (await running.answer(client)).body == b"ok"
    assert session.endings == [Disconnect.GOING_AWAY]
    assert len(session.messages) == 1


async def test_a_kept_post_given_up(running: PollingListener) -> None:
    """A post that was heard may be given up: nothing is missing."""
    query, session = await running.begin()
    session.on_message = lambda _: session.link.pause()
    client = await running.request("POST", query, b"4a")
    await until(lambda: session.messages)
    client.reset()
    await until(lambda: running.listener_state.sockets == 0)
    session.on_message = None
    session.link.resume()
    assert (await running.post(query, b"4b")).body == b"ok"
    assert session.failures == []


async def test_a_session_that_ends_while_it_hears(running: PollingListener) -> None:
    """What follows the packet that ended the session is not heard; the post itself was right."""
    query, session = await running.begin()
    session.on_message = lambda _: session.link.close(3001, "shutdown")
    assert (await running.post(query, b"4a\x1e4b")).body == b"ok"
    assert session.messages == [(b"a", False)]


async def test_a_session_that_hears_no_more(running: PollingListener) -> None:
    """A frame that is not let through is the last of its post; the reason comes with the next poll."""
    query, session = await running.begin()
    session.allowed = False
    assert (await running.post(query, b"4a\x1e4b")).body == b"ok"
    assert (session.messages, len(session.controls)) == ([], 1)


async def test_a_bug_is_one_session_s_trouble(
    running: PollingListener, caplog: pytest.LogCaptureFixture
) -> None:
    """A message that cannot be handled ends its session, and is reported."""
    query, session = await running.begin()

    def fail(_: bytes) -> None:
        raise ZeroDivisionError

    session.on_message = fail
    assert (await running.post(query, b"4a")).code == 3
    assert session.endings == [Disconnect.INTERNAL]
    assert "a packet could not be handled" in caplog.text


async def test_a_goodbye(running: PollingListener) -> None:
    """A client that says goodbye is thanked; what follows is not heard, what is queued forgotten."""
    query, session = await running.begin()
    client = await running.poll(query)
    assert (await running.post(query, b"4a\x1e1\x1e4b")).body == b"ok"
    assert (await running.answer(client)).body == b"6"
    await until(lambda: session.losses)
    assert session.losses == [1000]
    assert session.messages == [(b"a", False)]
