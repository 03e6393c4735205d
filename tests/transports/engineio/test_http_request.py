import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from msgspec.structs import replace

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.request import RequestHead
from portward.node.sessions.path_handler import Headers
from portward.node.sessions.transport import Admission
from portward.testing.gateway import request
from portward.transports.http_acceptor import DRAINED
from tests.transports.engineio.polling_listener import PATH, POLL, PollingListener, run_polling
from tests.transports.running_listener import Client, FakeGate, until


class SlowGate(FakeGate):
    """Takes its time over further requests, when a test wants."""

    judging: asyncio.Event | None = None

    async def verify_followup(self, head: RequestHead, admission: Admission) -> None:
        """Wait, then judge as ever."""
        if self.judging is not None:
            await self.judging.wait()
        await super().verify_followup(head, admission)


@pytest.fixture
async def running() -> AsyncIterator[PollingListener]:
    """A listener with a gate that may be slow."""
    async with run_polling(SlowGate()) as opened:
        yield opened


def slow(running: PollingListener) -> asyncio.Event:
    """Let the gate wait for this."""
    assert isinstance(running.gate, SlowGate)
    running.gate.judging = event = asyncio.Event()
    return event


async def test_a_newcomer_who_is_judged_slowly(running: PollingListener) -> None:
    """A session is made when the gate has judged."""
    running.gate.hold = asyncio.Event()
    client = await running.request("GET", POLL)
    await until(lambda: running.gate.heads)
    assert running.gate.sessions == []
    running.gate.hold.set()
    assert (await running.answer(client)).status == 200
    assert len(running.server.sessions) == 1


async def test_a_newcomer_who_does_not_wait(running: PollingListener) -> None:
    """Who leaves before it is judged leaves nothing behind."""
    running.gate.hold = asyncio.Event()
    client = await running.request("GET", POLL)
    await until(lambda: running.gate.heads)
    client.reset()
    await until(lambda: running.listener_state.sockets == 0)
    running.gate.hold.set()
    await asyncio.sleep(0)
    assert (len(running.server.sessions), running.gate.sessions, running.gate.refusals) == (
        0,
        [],
        [],
    )


async def test_refusals_keep_their_rows(running: PollingListener) -> None:
    """A newcomer is refused with the row of the table and no words, and it is recorded."""
    running.gate.refuse = HandshakeRejected(HandshakeRejection.RATE, retry_after=3)
    answer = await running.ask("GET", POLL)
    assert answer.told == (429, b"")
    assert answer.headers["retry-after"] == "3"
    assert running.gate.reasons == [HandshakeRejection.RATE]


async def test_a_gate_that_fails(
    running: PollingListener, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug is answered with 500 and reported."""
    running.gate.refuse = ZeroDivisionError()
    assert (await running.ask("GET", POLL)).status == 500
    assert running.gate.reasons == [HandshakeRejection.INTERNAL]
    assert "a request could not be handled" in caplog.text


async def test_a_body_that_comes_before_the_judgement(running: PollingListener) -> None:
    """What is posted while the gate judges is held, and heard afterwards."""
    query, session = await running.begin()
    judging = slow(running)
    client = await running.request("POST", query, b"4hello")
    await running.ask("GET", "EIO=4")
    assert session.messages == []
    judging.set()
    assert (await running.answer(client)).body == b"ok"
    assert session.messages == [(b"hello", False)]


async def test_a_request_given_up_while_it_is_judged(running: PollingListener) -> None:
    """A request that left before it was judged is none of the session's."""
    query, session = await running.begin()
    slow(running)
    client = await running.request("GET", query)
    await until(lambda: running.listener_state.sockets == 2 or running.listener_state.unadmitted)
    client.reset()
    await until(lambda: not running.listener_state.unadmitted)
    assert (session.losses, session.failures) == ([], [])


async def test_a_stranger(running: PollingListener) -> None:
    """A request that is not the session's own is forbidden; other refusals keep their rows."""
    query, session = await running.begin()
    for refusal, told in (
        (HandshakeRejection.FORBIDDEN, (403, b'{"code":4,"message":"Forbidden"}')),
        (HandshakeRejection.ORIGIN, (403, b'{"code":4,"message":"Forbidden"}')),
        (HandshakeRejection.UNAVAILABLE, (503, b"")),
        (HandshakeRejection.HOST, (403, b"")),
    ):
        running.gate.stranger = HandshakeRejected(refusal)
        assert (await running.ask("GET", query)).told == told
        assert (await running.post(query, b"1")).told == told
    running.gate.stranger = None
    assert (await running.post(query, b"4a")).body == b"ok"
    assert session.failures == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_methods(running: PollingListener, method: str) -> None:
    """A session is polled and posted to, nothing else; and it stays."""
    query, session = await running.begin()
    assert (await running.ask(method, query)).code == 3
    assert session.failures == []


@pytest.mark.parametrize("query", [f"{POLL}&EIO=4", f"{POLL}&transport=polling", f"{POLL}&j=1"])
async def test_a_query_with_two_meanings(running: PollingListener, query: str) -> None:
    """A parameter that is there twice is refused, and so is JSONP."""
    assert (await running.ask("GET", query)).code == 3


async def cut(client: Client) -> bool:
    """Whether a connection was dropped without a word."""
    try:
        return await client.rest() == b""
    except ConnectionResetError:
        return True


async def test_a_flood_behind_a_poll(running: PollingListener) -> None:
    """Some bytes behind the head of a poll are forgotten; with more it is cut off and given up."""
    query, session = await running.begin()
    client = await running.poll(query)
    await client.send(bytes(DRAINED))
    assert (await running.post(query, b"4a")).body == b"ok"
    assert session.losses == []
    with suppress(ConnectionError):
        await client.send(b"x")
    assert await cut(client)
    await until(lambda: session.losses)
    assert (session.losses, len(running.server.sessions)) == ([None], 0)
    assert (session.messages, session.failures) == ([(b"a", False)], [])


async def test_a_flood_before_the_judgement(running: PollingListener) -> None:
    """A request that is cut off while it is judged is none of the session's."""
    query, session = await running.begin()
    slow(running)
    client = await running.request("GET", query)
    with suppress(ConnectionError):
        await client.send(bytes(DRAINED + 1))
    assert await cut(client)
    await until(lambda: running.listener_state.sockets == 0)
    assert (session.losses, session.failures, len(running.server.sessions)) == ([], [], 1)


async def test_a_flood_behind_a_post(running: PollingListener) -> None:
    """What comes behind the body is bounded as well; the body itself does not count."""
    query, session = await running.begin()
    session.link.authenticated()
    session.link.pause()
    body = b"4" + bytes(60_000)
    client = await running.request("POST", query, body)
    await until(lambda: session.messages == [(body[1:], False)])
    await client.send(bytes(DRAINED))
    assert (await running.ask("GET", "EIO=4")).status == 400
    await until(lambda: len(running.listener_state.unadmitted) == 1)
    with suppress(ConnectionError):
        await client.send(b"x")
    assert await cut(client)
    await until(lambda: not running.listener_state.unadmitted)
    assert (session.losses, session.failures) == ([], [])


class Behind:
    """A request behind an ASGI server: a `transports.listener_state.ResponseSender` without a connection."""

    status: int | None = None

    def answer(self, status: int, headers: Headers, body: bytes) -> None:  # noqa: ARG002 - the port
        """Note the first status."""
        self.status = self.status or status

    def unsent(self) -> int:
        """Everything is taken at once."""
        return 0


async def test_a_flood_behind_another_server(running: PollingListener) -> None:
    """Where there is no connection to cut the poll is refused, and given up all the same."""
    query, session = await running.begin()
    caller = Behind()
    visit = running.path.answer(replace(request(PATH), query=query, headers={}))
    assert visit is not None
    visit.begin(caller)
    visit.arrived(bytes(DRAINED))
    assert (caller.status, session.losses) == (None, [])
    visit.arrived(b"x")
    visit.arrived(b"x")
    assert caller.status == 400
    await until(lambda: session.losses)
    assert (session.losses, len(running.server.sessions)) == ([None], 0)


async def test_http_1_0(running: PollingListener) -> None:
    """Proxies that speak HTTP/1.0 can poll."""
    client = await running.client()
    await client.send(f"GET {PATH}?{POLL} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
    assert (await running.answer(client)).status == 200
