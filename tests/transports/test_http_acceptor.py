import asyncio
import gc
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.limits import HEAD_TIME, OUTBOX_AGE, HeadLimits
from portward.model.path_router import PathParameters
from portward.model.request import RequestHead
from portward.node.sessions.path_handler import HttpReply, ResponseSender
from portward.node.sessions.pending_connections import PendingConnections
from portward.transports import http_acceptor, listener_state
from portward.transports.http_acceptor import HandshakeProtocol
from tests.transports.running_listener import (
    ACCEPT,
    TEXT,
    Client,
    FakeAdmission,
    FakeGate,
    FakePath,
    RunningListener,
    handshake,
    masked,
    run_listener,
    until,
)


@pytest.fixture
async def running() -> AsyncIterator[RunningListener]:
    """A listener on plain TCP."""
    async with run_listener() as opened:
        yield opened


async def ask(running: RunningListener, data: bytes) -> tuple[list[str], Client]:
    """Send bytes and read the head of the answer."""
    client = await running.client()
    await client.send(data)
    return await client.head(), client


# -- ways in


async def test_a_handshake_is_answered_with_101(running: RunningListener) -> None:
    """The accept value proves the key, and nothing is agreed that was not asked for."""
    head, _ = await ask(running, handshake())

    assert head == [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {ACCEPT}",
    ]


async def test_the_gate_sees_the_request_as_it_came(running: RunningListener) -> None:
    """Path, query, headers and the address of the socket reach admission."""
    await running.enter("/ws?a=1", X_Name="caf\xe9")

    head = running.gate.heads[0]
    assert (head.path, head.query, head.peer, head.secure) == ("/ws", "a=1", "127.0.0.1", False)
    assert head.headers["x-name"] == ["caf\xe9"]
    assert running.gate.checked == [False]


async def test_a_subprotocol_is_confirmed(running: RunningListener) -> None:
    """What admission chose is told to the client."""
    running.gate.options = {"subprotocol": "chat"}

    head, _ = await ask(running, handshake(Sec_WebSocket_Protocol="chat, other"))

    assert "Sec-WebSocket-Protocol: chat" in head


async def test_compression_is_agreed_only_where_the_endpoint_has_it(
    running: RunningListener,
) -> None:
    """An offer of permessage-deflate is passed over, unless the endpoint compresses."""
    offer = {"Sec_WebSocket_Extensions": "permessage-deflate"}
    plain, _ = await ask(running, handshake(**offer))
    running.gate.options = {"compression": True}
    compressed, _ = await ask(running, handshake(**offer))

    assert not [line for line in plain if line.startswith("Sec-WebSocket-Extensions")]
    assert [line for line in compressed if line.startswith("Sec-WebSocket-Extensions")]
    assert [session.link.compression for session in running.gate.sessions] == [False, True]


async def test_frames_sent_with_the_request_are_read_after_the_101(
    running: RunningListener,
) -> None:
    """Bytes behind the head belong to the session."""
    _, client = await ask(running, handshake() + masked(TEXT, b"early") + masked(TEXT, b"x" * 5000))

    await until(lambda: len(running.gate.sessions[0].messages) == 2)
    assert running.gate.sessions[0].messages == [(b"early", False), (b"x" * 5000, False)]
    client.leave()


async def test_frames_sent_while_admission_waits_are_read_after_the_101(
    running: RunningListener,
) -> None:
    """What comes early is held, and reading stops when it is too much."""
    running.gate.hold = asyncio.Event()
    client = await running.client()
    await client.send(handshake() + masked(TEXT, b"one"))
    await until(lambda: running.gate.heads)
    (acceptor,) = running.listener_state.unadmitted
    assert isinstance(acceptor, HandshakeProtocol)
    await client.send(masked(TEXT, b"x" * (http_acceptor.EARLY - 1000)))
    await until(lambda: len(acceptor._early) > 1000)
    await client.send(masked(TEXT, b"y" * 3000))
    await until(lambda: not acceptor._transport.is_reading())
    running.gate.hold.set()

    assert (await client.head())[0] == "HTTP/1.1 101 Switching Protocols"
    await until(lambda: len(running.gate.sessions[0].messages) == 3)


async def test_nothing_is_read_without_end_while_admission_waits(running: RunningListener) -> None:
    """A client that pushes on meets a full socket."""
    running.gate.hold = asyncio.Event()
    client = await running.client()
    await client.send(handshake())
    await until(lambda: running.gate.heads)
    (acceptor,) = running.listener_state.unadmitted
    assert isinstance(acceptor, HandshakeProtocol)
    pushing = asyncio.ensure_future(client.send(bytes(50_000_000)))
    await until(lambda: not acceptor._transport.is_reading())

    assert not pushing.done()
    assert len(acceptor._early) < 1_000_000
    pushing.cancel()


async def test_nothing_of_the_door_is_left_behind_an_upgrade(running: RunningListener) -> None:
    """An open connection does not keep its request, nor what read it."""
    await running.enter()
    gc.collect()

    # By `type`: `isinstance` would ask each of some million objects for its class.
    assert not [each for each in gc.get_objects() if type(each) is HandshakeProtocol]
    assert running.listener_state.unadmitted == set()
    assert len(running.listener_state.heads) == 0


# -- small answers


async def test_a_small_answer_ends_the_connection(running: RunningListener) -> None:
    """One request, one answer, and TCP is closed."""
    running.gate.answers["/health"] = HttpReply(503, b"{}", (("Cache-Control", "no-store"),))
    client = await running.client()
    await client.send(b"GET /health HTTP/1.0\r\n\r\n")

    assert (await client.rest()).split(b"\r\n") == [
        b"HTTP/1.1 503 Service Unavailable",
        b"Cache-Control: no-store",
        b"Content-Length: 2",
        b"Connection: close",
        b"",
        b"{}",
    ]
    assert running.gate.refusals == []


async def test_a_small_answer_to_head_has_no_body(running: RunningListener) -> None:
    """A health check may ask with HEAD."""
    client = await running.client()
    await client.send(b"HEAD /health HTTP/1.1\r\n\r\n")

    assert (await client.rest()).endswith(b"Content-Length: 15\r\nConnection: close\r\n\r\n")


async def test_the_gate_answers_before_it_admits(running: RunningListener) -> None:
    """A small path is not judged as a handshake, whatever the request asks for."""
    head, _ = await ask(running, handshake("/health"))

    assert head[0] == "HTTP/1.1 200 OK"
    assert running.gate.heads == []


# -- refusals


@pytest.mark.parametrize(
    "refusal",
    [HandshakeRejection.ORIGIN, HandshakeRejection.RATE, HandshakeRejection.UNAUTHENTICATED],
)
async def test_a_refusal_of_the_gate_is_answered(
    running: RunningListener, refusal: HandshakeRejection
) -> None:
    """Status and headers are those of the table; the gate is told what was answered."""
    running.gate.refuse = HandshakeRejected(refusal)
    client = await running.client()
    await client.send(handshake())

    response = await client.rest()

    assert response.startswith(b"HTTP/1.1 %d " % refusal.status)
    assert response.endswith(b"\r\nConnection: close\r\n\r\n")
    assert [(head and head.path, refused.refusal) for head, refused in running.gate.refusals] == [
        ("/ws", refusal)
    ]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01", b"400"),
        (b"GET / HTTP/1.1\r\n folded\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 9000, b"414"),
        (b"GET / HTTP/1.1\r\nx: " + b"a" * 9000, b"431"),
    ],
)
async def test_a_bad_head_is_refused_by_the_acceptor(
    running: RunningListener, data: bytes, status: bytes
) -> None:
    """What is not HTTP, or too much of it, never reaches the gate's judgement."""
    client = await running.client()
    await client.send(data)

    assert (await client.rest()).startswith(b"HTTP/1.1 " + status)
    assert running.gate.heads == []
    assert [head for head, _ in running.gate.refusals] == [None]


async def test_an_error_of_admission_is_500_and_reported(running: RunningListener) -> None:
    """A bug in judging one newcomer is told to the loop's handler and to nobody else."""
    told: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
    running.gate.refuse = error = ZeroDivisionError("a secret")
    client = await running.client()
    await client.send(handshake())

    response = await client.rest()

    assert response.startswith(b"HTTP/1.1 500 ")
    assert b"secret" not in response
    assert told == [error]
    assert running.gate.refusals[0][1].detail == "ZeroDivisionError"


async def test_an_error_while_opening_drops_the_connection(running: RunningListener) -> None:
    """A bug in opening a session ends that connection alone."""
    told: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))

    def fail(_: object) -> None:
        raise ZeroDivisionError

    running.gate.on_open = fail
    client = await running.client()
    await client.send(handshake())
    await client.rest()

    await until(lambda: running.listener_state.sockets == 0)
    assert [type(error) for error in told] == [ZeroDivisionError]


@pytest.mark.p1
@pytest.mark.parametrize("refusal", list(HandshakeRejection))
async def test_a_second_request_is_never_answered(
    running: RunningListener, refusal: HandshakeRejection
) -> None:
    """After any refusal the same TCP connection says nothing more, whatever is pipelined."""
    running.gate.refuse = HandshakeRejected(refusal)
    client = await running.client()
    await client.send(handshake() + b"GET /health HTTP/1.1\r\n\r\n")
    response = await client.rest()
    await client.send(b"GET /health HTTP/1.1\r\n\r\n")

    assert response.count(b"HTTP/1.1") == 1
    assert await client.rest() == b""


async def test_bytes_behind_a_refused_head_are_read_and_forgotten(running: RunningListener) -> None:
    """The answer arrives although the client is still sending; too much of it ends the patience."""
    running.gate.refuse = HandshakeRejected(HandshakeRejection.FORBIDDEN)
    client = await running.client()
    await client.send(handshake() + bytes(10_000))
    response = await client.rest()
    await client.send(bytes(10_000))
    await asyncio.sleep(0)

    assert response.startswith(b"HTTP/1.1 403 ")
    assert running.listener_state.sockets == 1
    await client.send(bytes(http_acceptor.DRAINED))
    await until(lambda: running.listener_state.sockets == 0)


async def test_an_answered_client_has_a_second_to_leave(running: RunningListener) -> None:
    """A connection that lingers after its answer is dropped."""
    client = await running.client()
    await client.send(handshake("/health"))
    await client.rest()
    assert running.listener_state.sockets == 1

    running.clock.advance(listener_state.LINGER_TIME)

    await until(lambda: running.listener_state.sockets == 0)


async def test_an_answered_client_that_leaves_is_gone_at_once(running: RunningListener) -> None:
    """Nobody waits for a deadline when both sides are done."""
    client = await running.client()
    await client.send(handshake("/health"))
    await client.rest()

    client.leave()

    await until(lambda: running.listener_state.sockets == 0)
    assert len(running.listener_state.lingering) == 0


# -- deadlines


@pytest.mark.p0
@pytest.mark.parametrize("pieces", [[], [b"GET"], [b"GET / HT", b"TP/1.1\r\nHost: x\r\n"]])
async def test_a_head_that_is_not_whole_in_time_is_answered_408(
    running: RunningListener, pieces: list[bytes]
) -> None:
    """The deadline runs from accept, and no byte starts it again."""
    client = await running.client()
    await until(lambda: running.listener_state.sockets == 1)
    for piece in pieces:
        await client.send(piece)
        running.clock.advance(2.4)
    running.clock.advance(HEAD_TIME)

    assert (await client.rest()).startswith(b"HTTP/1.1 408 ")
    assert running.gate.reasons == [HandshakeRejection.HEAD_TIMEOUT]
    client.leave()
    await until(lambda: running.listener_state.sockets == 0)


async def test_silent_sockets_make_room(running: RunningListener) -> None:
    """More than half full, the oldest socket of a crowded address gets 503."""
    pool = running.listener_state.pending = PendingConnections(8, running.clock)
    silent = [await running.client() for _ in range(5)]
    await until(lambda: len(pool) == 5)
    await running.enter()
    assert (len(pool), running.gate.reasons) == (5, [])
    running.clock.advance(1)
    await running.enter()
    assert len(pool) == 4
    refused = await silent[0].rest()
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: " in refused
    assert running.gate.reasons == [HandshakeRejection.UNAUTHENTICATED_CAP]
    for client in silent[1:]:
        await client.send(handshake())
        assert (await client.head())[0] == "HTTP/1.1 101 Switching Protocols"
    assert len(pool) == 0


async def test_sockets_that_leave_or_are_late_are_counted_no_longer(
    running: RunningListener,
) -> None:
    """Whatever ends the wait for a head, the pool is empty after it."""
    pool = running.listener_state.pending
    left, reset, late, bad = [await running.client() for _ in range(4)]
    await until(lambda: len(pool) == 4)
    left.leave()
    reset.reset()
    await bad.send(b"nonsense\r\n\r\n")
    await until(lambda: len(pool) == 1)
    running.clock.advance(HEAD_TIME)
    assert (await late.rest()).startswith(b"HTTP/1.1 408 ")
    assert len(pool) == 0


async def test_the_deadline_of_the_head_ends_with_the_head(running: RunningListener) -> None:
    """A connection that was let in no longer concerns the acceptor."""
    client, session = await running.enter()
    running.clock.advance(60)
    await client.send(masked(TEXT, b"still here"))

    await until(lambda: session.messages)


async def test_the_operator_may_set_the_deadline() -> None:
    """The time for the head is a setting."""
    async with run_listener(head_limits=HeadLimits(time=1.0)) as running:
        client = await running.client()
        await until(lambda: running.listener_state.sockets == 1)
        running.clock.advance(1.0)

        assert (await client.rest()).startswith(b"HTTP/1.1 408 ")


# -- no room


async def test_a_full_house_says_so_at_the_door(running: RunningListener) -> None:
    """Over the global cap a newcomer gets its 503 without being read."""
    running.gate.full = HandshakeRejection.GLOBAL_CAP
    client = await running.client()

    response = await client.rest()

    assert response.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 5\r\n" in response
    assert running.gate.refusals[0][0] is None


@pytest.mark.p0
async def test_the_cap_on_sockets_is_exact_when_all_come_at_once() -> None:
    """Of more newcomers than there is room for exactly so many are served, and later more."""
    async with run_listener(max_sockets=5) as running:
        clients = [await running.client() for _ in range(12)]
        for client in clients:
            await client.send(handshake())
        heads = [(await client.head())[0] for client in clients]
        assert heads.count("HTTP/1.1 101 Switching Protocols") == 5
        assert running.gate.reasons == [HandshakeRejection.GLOBAL_CAP] * 7
        for client in clients:
            client.reset()
        await until(lambda: running.listener_state.sockets == 0)

        await running.enter()


async def test_only_so_many_may_linger_at_a_full_house(
    running: RunningListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Politeness to those over the cap is bounded; the rest are answered and dropped."""
    monkeypatch.setattr(http_acceptor, "LINGERING", 2)
    running.gate.full = HandshakeRejection.GLOBAL_CAP
    for _ in range(4):
        client = await running.client()
        assert (await client.rest()).startswith(b"HTTP/1.1 503 ")

    await until(lambda: running.listener_state.sockets == 2)
    assert len(running.listener_state.lingering) == 2


@pytest.mark.p1
async def test_a_descriptor_in_the_reserve_is_refused() -> None:
    """A newcomer whose descriptor is too large to be spared is turned away."""
    async with run_listener(descriptors=2) as running:
        client = await running.client()

        assert (await client.rest()).startswith(b"HTTP/1.1 503 ")
        assert running.gate.reasons == [HandshakeRejection.OVERLOAD]


# -- clients that leave


@pytest.mark.p0
@pytest.mark.parametrize("how", ["leave", "reset"])
@pytest.mark.parametrize("sent", [b"", b"GET / HT", handshake("/health"), handshake()])
async def test_a_client_may_leave_at_any_moment(
    running: RunningListener, how: str, sent: bytes
) -> None:
    """FIN or reset, before, within or after the head: the socket is counted out once."""
    client = await running.client()
    await client.send(sent)
    await until(lambda: running.listener_state.sockets == 1)
    getattr(client, how)()

    await until(lambda: running.listener_state.sockets == 0)
    assert running.listener_state.unadmitted == set()
    assert len(running.listener_state.heads) == len(running.listener_state.lingering) == 0


@pytest.mark.p0
async def test_a_client_that_leaves_during_admission_is_forgotten(running: RunningListener) -> None:
    """The judgement is cancelled when nobody waits for it."""
    running.gate.hold = asyncio.Event()
    client = await running.client()
    await client.send(handshake())
    await until(lambda: running.gate.heads)
    client.leave()

    await until(lambda: running.listener_state.sockets == 0)
    running.gate.hold.set()
    await asyncio.sleep(0)
    assert running.gate.admissions == []
    assert running.gate.refusals == []


class StubbornGate(FakeGate):
    """Goes on judging although it was told to stop."""

    async def admit(
        self, head: RequestHead, parameters: PathParameters = (), *, upgrade_checked: bool = False
    ) -> FakeAdmission:
        """Wait, and let in when told to stop."""
        with suppress(asyncio.CancelledError):
            self.heads.append(head)
            await asyncio.Event().wait()
        return await super().admit(head, parameters, upgrade_checked=upgrade_checked)


async def test_an_admission_that_comes_too_late_is_given_back() -> None:
    """What was counted for a client that has left is counted out again."""
    async with run_listener(StubbornGate()) as running:
        client = await running.client()
        await client.send(handshake())
        await until(lambda: running.gate.heads)
        client.leave()

        await until(lambda: [each.cancelled for each in running.gate.admissions] == [1])
        assert running.gate.sessions == []


async def test_closing_drops_everyone_at_the_door(running: RunningListener) -> None:
    """Whoever has not been let in does not hold up the end."""
    running.gate.hold = asyncio.Event()
    reading, judged = await running.client(), await running.client()
    await judged.send(handshake())
    await until(lambda: running.gate.heads and running.listener_state.sockets == 2)

    running.listener.close()

    await until(lambda: running.listener_state.sockets == 0)
    assert await reading.rest() == b""


# -- guests


class Guest:
    """Serves a request by itself: gathers a body, and answers when it has six bytes."""

    def __init__(self) -> None:
        self.body = b""
        self.answer = b""
        self.lost = 0

    def begin(self, caller: ResponseSender) -> None:
        """Keep the caller; answer at once if there is an answer."""
        self.caller = caller
        if self.answer:
            caller.answer(200, (), self.answer)

    def arrived(self, data: bytes) -> None:
        """Gather."""
        self.body += data
        if len(self.body) == 6:
            self.caller.answer(200, (("X-Guest", "yes"),), b"got " + self.body)

    def gone(self) -> None:
        """Remember it."""
        self.lost += 1


class PollGate(FakeGate):
    """Has one path where requests are served by a handler."""

    def __init__(self) -> None:
        super().__init__()
        self.request_handler = Guest()
        self.handlers["/poll"] = FakePath(self, answer=lambda _: self.request_handler)


async def test_a_guest_serves_its_request_and_is_counted() -> None:
    """A request with a body goes to whoever takes it; others go on as ever."""
    gate = PollGate()
    async with run_listener(gate) as running:
        await running.enter()
        client = await running.client()
        await client.send(b"POST /poll HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc")
        await until(lambda: gate.request_handler.body)
        await client.send(b"def")

        answer = await client.rest()
        assert answer.startswith(b"HTTP/1.1 200 OK\r\nX-Guest: yes\r\n")
        assert answer.endswith(b"got abcdef")
        client.leave()
        await until(lambda: running.listener_state.sockets == 1)
        assert gate.request_handler.lost == 0
        gate.request_handler.caller.answer(200, (), b"too late")
        assert gate.request_handler.caller.unsent() == 0


@pytest.mark.parametrize("reset", [True, False])
async def test_a_guest_is_told_when_its_caller_leaves(reset: bool) -> None:
    """A caller that goes without an answer, in order or not, is gone."""
    gate = PollGate()
    async with run_listener(gate) as running:
        client = await running.client()
        await client.send(b"POST /poll HTTP/1.1\r\n\r\nabc")
        await until(lambda: gate.request_handler.body)
        client.reset() if reset else client.leave()

        await until(lambda: gate.request_handler.lost)
        await until(lambda: running.listener_state.sockets == 0)
        assert gate.request_handler.lost == 1


async def test_a_request_for_the_head_gets_no_body() -> None:
    """An answer to HEAD says how long it would be."""
    gate = PollGate()
    gate.request_handler.answer = b"something"
    async with run_listener(gate) as running:
        client = await running.client()
        await client.send(b"HEAD /poll HTTP/1.1\r\n\r\n")

        answer = await client.rest()
        assert b"Content-Length: 9\r\n" in answer
        assert answer.endswith(b"\r\n\r\n")


async def test_a_large_answer_is_given_time() -> None:
    """What a slow reader has not taken is not cut off before its time; it is counted meanwhile."""
    gate = PollGate()
    gate.request_handler.answer = bytes(8_000_000)
    async with run_listener(gate) as running:
        client = await running.client(receive_buffer=65536)
        await client.send(b"GET /poll HTTP/1.1\r\n\r\n")
        head = await client.head()
        assert "Content-Length: 8000000" in head
        assert gate.request_handler.caller.unsent() > 0
        running.clock.advance(OUTBOX_AGE - 1)

        assert len(await client.rest()) == 8_000_000
        await until(lambda: gate.request_handler.caller.unsent() == 0)


async def test_an_answer_nobody_takes_is_dropped() -> None:
    """A peer that asks and does not read is cut off after a while."""
    gate = PollGate()
    gate.request_handler.answer = bytes(20_000_000)
    async with run_listener(gate) as running:
        client = await running.client(receive_buffer=4096)
        await client.send(b"GET /poll HTTP/1.1\r\n\r\n")
        await until(lambda: len(running.listener_state.answering) == 1)
        running.clock.advance(OUTBOX_AGE + 1)

        await until(lambda: running.listener_state.sockets == 0)
        assert len(running.listener_state.answering) == 0


async def test_flow_control_without_a_guest_means_nothing() -> None:
    """An acceptor that answers by itself has nothing to hold back."""
    async with run_listener() as running:
        acceptor = HandshakeProtocol(running.listener_state)

        acceptor.pause_writing()
        acceptor.resume_writing()


# -- TLS


@pytest.fixture
async def secure(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> AsyncIterator[RunningListener]:
    """A listener with TLS."""
    async with run_listener(tls=tls[0]) as opened:
        yield opened


async def test_tls_leads_to_the_same_door(
    secure: RunningListener, tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """A small answer comes over TLS, which then ends in order."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", secure.port, ssl=tls[1], server_hostname="localhost"
    )
    writer.write(handshake("/health"))

    assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")
    writer.close()
    await until(lambda: secure.listener_state.sockets == 0)


async def test_a_large_answer_over_tls_is_given_time(
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    """An answer that waits for its reader is not cut off by the end of TLS either."""
    gate = PollGate()
    gate.request_handler.answer = bytes(8_000_000)
    async with run_listener(gate, tls=tls[0]) as running:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", running.port, ssl=tls[1], server_hostname="localhost"
        )
        writer.write(b"GET /poll HTTP/1.1\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        assert gate.request_handler.caller.unsent() > 0

        assert len(await reader.read()) == 8_000_000
        writer.close()
        await until(lambda: running.listener_state.sockets == 0)


async def test_the_gate_is_told_of_tls(
    secure: RunningListener, tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """A request over TLS is a secure one."""
    _, writer = await asyncio.open_connection(
        "127.0.0.1", secure.port, ssl=tls[1], server_hostname="localhost"
    )
    writer.write(handshake())

    await until(lambda: secure.gate.heads)
    assert secure.gate.heads[0].secure
    writer.close()


async def test_an_error_behind_tls_drops_the_connection_and_is_reported(
    secure: RunningListener,
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bug met while the first bytes over TLS are read is no fault of the handshake."""
    told: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
    (error,) = errors = [ZeroDivisionError("a bug")]

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(secure.gate, "answer", fail)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", secure.port, ssl=tls[1], server_hostname="localhost"
    )
    writer.write(handshake())
    with suppress(ConnectionError):
        assert await reader.read() == b""

    await until(lambda: secure.listener_state.sockets == 0)
    assert told == errors
    writer.close()


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"])
async def test_a_stalled_tls_handshake_is_dropped_in_time(
    secure: RunningListener, sent: bytes
) -> None:
    """With TLS the time for the head is twice as long, handshake and all."""
    client = await secure.client()
    await client.send(sent)
    await until(lambda: secure.listener_state.sockets == 1)
    secure.clock.advance(2 * HEAD_TIME - 0.1)
    assert secure.listener_state.sockets == 1

    secure.clock.advance(0.1)

    await until(lambda: secure.listener_state.sockets == 0)
    assert secure.gate.reasons == [HandshakeRejection.BAD_REQUEST]


async def test_a_head_that_stalls_after_tls_is_answered_408(
    secure: RunningListener, tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """The deadline from accept holds on after the TLS handshake."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", secure.port, ssl=tls[1], server_hostname="localhost"
    )
    writer.write(b"GET ")
    await asyncio.sleep(0)
    (acceptor,) = secure.listener_state.unadmitted
    assert isinstance(acceptor, HandshakeProtocol)
    await until(lambda: acceptor._phase is http_acceptor.Phase.READING)
    secure.clock.advance(2 * HEAD_TIME)

    assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
    writer.close()


@pytest.mark.p0
@pytest.mark.parametrize("how", ["leave", "reset"])
@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\n\r\n"])
async def test_a_client_may_leave_during_tls(
    secure: RunningListener, sent: bytes, how: str
) -> None:
    """Whatever becomes of a TLS handshake, the socket is counted out once."""
    client = await secure.client()
    await until(lambda: secure.listener_state.sockets == 1)
    await client.send(sent)
    getattr(client, how)()

    await until(lambda: secure.listener_state.sockets == 0)
    assert secure.listener_state.unadmitted == set()
    assert secure.gate.reasons == [HandshakeRejection.BAD_REQUEST]


async def test_a_full_house_with_tls_just_closes(secure: RunningListener) -> None:
    """There is no way to say 503 before TLS, and no time to begin it."""
    secure.gate.full = HandshakeRejection.GLOBAL_CAP
    client = await secure.client()

    assert await client.rest() == b""
    assert secure.gate.reasons == [HandshakeRejection.GLOBAL_CAP]
