"""One connection: its deadlines, its heartbeat, its inbox, its end."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from portward.model.disconnects import Disconnect
from portward.model.lifecycle import State
from portward.model.limits import OUTBOX_BYTES, LimitMode, Rate
from portward.node.sessions.endpoint import INBOX
from portward.settings.limits import Limits, RateLimit
from portward.telemetry.events import Event
from portward.testing import MemoryClient
from portward.testing.gateway import request
from tests.running_gateway import (
    LOBBY,
    RoutedGate,
    RunningGateway,
    ask,
    contents,
    errors,
    kinds,
    run_gateway,
    session_of,
    settings,
    settle,
)
from tests.slow_engine import SlowEngine, arrive, slow_gateway

UNLIMITED = RateLimit(rate=Rate(0, 1.0, 1))
FREE = Limits(messages=UNLIMITED, join=UNLIMITED, auth=UNLIMITED, history=UNLIMITED)


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway without limits per user."""
    async with run_gateway(settings(rooms={"limits": FREE})) as running:
        yield running


@pytest.fixture
async def slow() -> AsyncIterator[tuple[RunningGateway, SlowEngine]]:
    """A gateway whose engine answers when it is told to."""
    async with slow_gateway(settings(rooms={"limits": FREE})) as (running, engine):
        yield running, engine


# -- expiry


async def test_expiry_notice_and_end(running: RunningGateway) -> None:
    """The notice comes a minute before the expiry, the end at the expiry and the leeway."""
    ann = await running.client("ann", "lobby", ttl=100)
    await running.advance(39.9)
    assert ann.all("token_expiring") == []
    await running.advance(0.4)
    assert len(ann.all("token_expiring")) == 1
    await running.advance(89.6)
    assert ann.open
    await running.advance(0.4)
    assert ann.closed == (3005, "expired")
    assert len(ann.all("token_expiring")) == 1
    assert running.events(Event.AUTH_EXPIRE) == 1


async def test_short_token_is_told_at_once(running: RunningGateway) -> None:
    """A token with less than a minute to live is announced to be expiring at once."""
    ann = await running.client("ann", ttl=10)
    await running.advance(0.3)
    assert len(ann.all("token_expiring")) == 1
    await running.advance(40)
    assert ann.closed == (3005, "expired")


async def test_nothing_is_delivered_after_expiry(running: RunningGateway) -> None:
    """With a feed of a hundred a second, nothing arrives after expiry, leeway and a quarter second."""
    ann = await running.client("ann", "lobby", ttl=3)
    end = running.clock.time() + 3 + 30
    last = 0.0
    while ann.open or running.clock.time() < end + 1:
        before = len(ann.received)
        await running.gateway.publish(LOBBY, "tick")
        await running.advance(0.01)
        if len(ann.received) > before:
            last = running.clock.time()
    assert end - 0.1 <= last <= end + 0.25


async def test_queue_is_dropped_at_expiry(running: RunningGateway) -> None:
    """What was queued for a slow reader is not written after its token has run out."""
    ann = await running.client("ann", "lobby", ttl=20)
    ann.reading = False
    await running.gateway.publish(LOBBY, "late")
    await running.advance(26)
    ann.session.count_frame(control=True)
    await running.advance(25)
    assert ann.closed == (3005, "expired")
    ann.read()
    assert contents(ann) == []


async def test_wall_clock_jumps_do_not_expire_anybody(running: RunningGateway) -> None:
    """Sessions live by the monotonic clock: a step of the wall clock ends none."""
    ann = await running.client("ann", ttl=3600)
    running.clock.set_wall(running.clock.time() + 86400)
    await running.advance(60)
    running.clock.set_wall(running.clock.time() - 2 * 86400)
    await running.advance(60)
    assert ann.open
    assert ann.all("token_expiring") == []


@pytest.mark.parametrize("moment", [-0.2, -0.1, 0.0])
async def test_refresh_at_the_last_moment(running: RunningGateway, moment: float) -> None:
    """A refresh just before the end is in time: the connection is closed once, at the new expiry."""
    ann = await running.client("ann", ttl=60)
    await running.advance(90 + moment - 0.05)
    await ask(ann, "refresh", token=running.token("ann", ttl=100))
    await running.advance(129)
    assert ann.open
    assert len(ann.all("token_expiring")) == 2
    await running.advance(2)
    assert ann.closed == (3005, "expired")
    assert running.closes("expired") == 1


# -- heartbeat


async def test_silent_connection_is_pinged(running: RunningGateway) -> None:
    """After 25 seconds of silence a ping is sent; frames put it off."""
    ann = await running.client("ann")
    await running.advance(20)
    ann.session.count_frame(control=False)
    await running.advance(20)
    assert ann.pings == 0
    await running.advance(5.3)
    assert ann.pings == 1


async def test_no_pong(running: RunningGateway) -> None:
    """Who lets a ping unanswered for ten seconds is closed and gone from presence."""
    ann, bob = await running.client("ann", "lobby"), await running.client("bob", "lobby")
    ann.reading = False
    await running.advance(34.9)
    assert ann.open
    await running.advance(0.6)
    assert ann.closed == (3012, "no pong")
    assert bob.last("user_disconnected")["userId"] == "ann"
    assert running.events(Event.HB_TIMEOUT) == 1


async def test_any_frame_answers_a_ping(running: RunningGateway) -> None:
    """A message is as good a sign of life as a pong."""
    ann = await running.client("ann")
    ann.reading = False
    await running.advance(30)
    await ask(ann, "heartbeat")
    await running.advance(20)
    assert ann.open


async def test_outgoing_data_is_no_life(running: RunningGateway) -> None:
    """What is sent to a dead peer does not keep it alive."""
    ann = await running.client("ann", "lobby")
    ann.reading = False
    for _ in range(40):
        await running.gateway.publish(LOBBY, "x")
        await running.advance(1)
    assert ann.closed == (3012, "no pong")


async def test_stalled_loop_accuses_nobody(running: RunningGateway) -> None:
    """After the loop itself was held up nobody is closed for silence, and real silence is found."""
    clients = [await running.client(f"u{n}") for n in range(20)]
    await running.advance(26)
    running.clock.stall(2)
    await running.advance(0.1)
    for client in clients:
        client.reading = False
    await running.advance(10)
    for _ in range(5):
        running.clock.stall(20)
        await running.advance(0.1)
    assert all(client.open for client in clients)
    await running.advance(36)
    assert all(client.closed == (3012, "no pong") for client in clients)


async def test_stalled_loop_does_not_make_idle() -> None:
    """A stall longer than the idle time closes nobody."""
    async with run_gateway(settings(rooms={"idle_timeout": 30.0})) as running:
        ann = await running.client("ann")
        running.clock.stall(45)
        await running.advance(0.2)
        assert ann.open


async def test_no_pings_where_they_are_off() -> None:
    """Without a ping interval and an idle time silence is fine."""
    async with run_gateway(settings(rooms={"ping_interval": 0.0, "idle_timeout": 0.0})) as running:
        ann = await running.client("ann", ttl=7200)
        await running.advance(3600)
        assert (ann.open, ann.pings) == (True, 0)


async def test_ping_of_a_client_is_answered(running: RunningGateway) -> None:
    """A client's ping comes back with its payload, until the session has ended."""
    ann = await running.client("ann")
    ann.session.ping_received(b"payload")
    await running.gateway.disconnect("ann")
    ann.session.ping_received(b"late")
    assert ann.pongs == [b"payload"]


# -- messages that take their time


async def test_unfinished_message(running: RunningGateway) -> None:
    """A message not complete ten seconds after its first byte ends the connection."""
    ann = await running.client("ann")
    ann.session.partial(True)
    for _ in range(9):
        await running.advance(1)
        ann.session.count_frame(control=False)
        ann.session.partial(True)
    assert ann.open
    await running.advance(1.3)
    assert ann.closed == (1008, "policy violation")
    assert running.events(Event.PROTO_ERROR) == 1


async def test_finished_message_starts_no_deadline(running: RunningGateway) -> None:
    """When the message is complete its deadline is gone, and the next has its own."""
    ann = await running.client("ann")
    ann.session.partial(True)
    await running.advance(9)
    ann.session.partial(False)
    ann.session.partial(True)
    await running.advance(9)
    assert ann.open


# -- frames


@pytest.mark.parametrize(("control", "burst"), [(False, 400), (True, 20)])
async def test_frame_flood(running: RunningGateway, control: bool, burst: int) -> None:
    """More frames than the burst end the connection, also before it has authenticated."""
    client = await running.client()
    assert [client.session.count_frame(control) for _ in range(burst)] == [True] * burst
    assert client.session.count_frame(control) is False
    assert client.closed == (1008, "policy violation")
    assert client.session.count_frame(control) is False
    limit = "control_frames" if control else "frames"
    assert running.count("limit_refusals_total", limit=limit, mode="enforce") == 1


async def test_frames_at_the_allowed_pace(running: RunningGateway) -> None:
    """At the allowed pace a connection may send frames for ever."""
    client = await running.client("ann")
    for _ in range(100):
        await running.advance(0.1)
        for _ in range(20):
            assert client.session.count_frame(control=False)
        assert client.session.count_frame(control=True)


async def test_observed_frames_end_nothing() -> None:
    """A limit on frames that only observes lets every frame pass and counts."""
    frames = RateLimit(rate=Rate(1, 1.0, 1, LimitMode.OBSERVE), mode=LimitMode.OBSERVE)
    async with run_gateway(settings(rooms={"limits": Limits(frames=frames)})) as running:
        client = await running.client()
        assert all(client.session.count_frame(control=False) for _ in range(50))
        assert running.count("limit_refusals_total", limit="frames", mode="observe") > 40


# -- the inbox


async def test_messages_are_served_in_order(slow: tuple[RunningGateway, SlowEngine]) -> None:
    """Messages that arrive while one is served wait, and are served in the order they came."""
    running, engine = slow
    ann = await arrive(running, engine, "ann", "lobby")
    for number in range(10):
        ann.send({"type": "message", "data": {"roomId": "lobby", "content": str(number)}})
    assert contents(ann) == []
    while engine.waiting:
        await engine.run(1)
        ann.send({"type": "heartbeat", "data": {}, "id": "beat"})
    await engine.run()
    await settle()
    assert contents(ann) == [str(number) for number in range(10)]
    assert kinds(ann).index("heartbeat_response") > kinds(ann).index("message")


async def test_message_does_not_overtake_the_inbox(slow: tuple[RunningGateway, SlowEngine]) -> None:
    """A message that arrives just as a handler ends does not overtake those that wait."""
    running, engine = slow
    ann = await arrive(running, engine, "ann", "lobby")
    ann.send({"type": "history", "data": {"roomId": "lobby"}, "id": "first"})
    ann.send({"type": "heartbeat", "data": {}, "id": "second"})
    session = session_of(ann)
    task = session.task
    assert isinstance(task, asyncio.Task)
    late = {"type": "heartbeat", "data": {}, "id": "third"}
    task.add_done_callback(lambda _: ann.send(late))
    await engine.run()
    await settle()
    assert [each.get("id") for each in ann.received][-3:] == ["first", "second", "third"]


async def test_session_that_ends_before_its_next_message(
    slow: tuple[RunningGateway, SlowEngine],
) -> None:
    """A session that ends between two messages of its inbox serves the second no more."""
    running, engine = slow
    ann = await arrive(running, engine, "ann", "lobby")
    for identifier in ("first", "second"):
        ann.send({"type": "history", "data": {"roomId": "lobby"}, "id": identifier})
    task = session_of(ann).task
    assert isinstance(task, asyncio.Task)
    task.add_done_callback(lambda _: session_of(ann).end(Disconnect.REVOKED, "because"))
    await engine.run()
    assert [each["id"] for each in ann.all("history")] == ["first"]
    assert ann.closed == (3503, "force disconnect")


async def test_credential_without_an_end(running: RunningGateway) -> None:
    """A credential that does not run out is neither announced nor closed."""
    ann = await running.client("ann", ttl=60)
    session_of(ann).authenticated(None, 30.0)
    await running.advance(600)
    assert ann.open
    assert ann.all("token_expiring") == []


async def test_full_inbox_stops_reading(slow: tuple[RunningGateway, SlowEngine]) -> None:
    """When as many messages wait as may, reading stops; it goes on when half of them are served."""
    running, engine = slow
    ann = await arrive(running, engine, "ann", "lobby")
    paused = []
    for number in range(INBOX + 1):
        ann.send({"type": "message", "data": {"roomId": "lobby", "content": str(number)}})
        paused.append(ann.paused)
    assert paused == [False] * INBOX + [True]
    session = session_of(ann)
    while ann.paused:
        assert session.inbox is not None
        assert len(session.inbox) > INBOX // 2
        await engine.run(1)
    await engine.run()
    assert len(contents(ann)) == INBOX + 1


async def test_ended_session_serves_nothing_more(slow: tuple[RunningGateway, SlowEngine]) -> None:
    """What waits in the inbox of a session that ends is never served."""
    running, engine = slow
    ann = await arrive(running, engine, "ann", "lobby")
    bob = await arrive(running, engine, "bob", "lobby")
    for number in range(3):
        ann.send({"type": "message", "data": {"roomId": "lobby", "content": str(number)}})
    await engine.run(1)
    session_of(ann).end(Disconnect.REVOKED, "test")
    await engine.run()
    await settle()
    assert contents(bob) == ["0"]
    ann.session.message(b"{}", binary=False)
    assert contents(bob) == ["0"]


# -- slow readers


async def test_slow_reader(running: RunningGateway) -> None:
    """Who reads too slowly is closed, with leave to come back; the others get everything."""
    ann, bob = await running.client("ann", "lobby"), await running.client("bob", "lobby")
    ann.reading = False
    large = "x" * 60_000
    count = OUTBOX_BYTES // len(large) + 2
    for _ in range(count):
        await running.gateway.publish(LOBBY, large)
        await settle()
    assert ann.closed == (3008, "slow")
    assert len(ann.queue) == 1
    assert b'"closing"' in ann.queue[0][0].payloads[0]
    assert len(contents(bob)) == count
    assert running.events(Event.SLOW_DROP) == 1
    assert running.count("slow_disconnects_total") == 1
    assert bob.last("user_disconnected")["userId"] == "ann"


async def test_stale_queue(running: RunningGateway) -> None:
    """A queue whose oldest message is over its age ends the connection."""

    class Stale(MemoryClient):
        def stale(self, now: float) -> bool:  # noqa: ARG002 - the port
            return True

    client = Stale()
    admission = await RoutedGate(running.gateway.node).admit(request())
    client.attach(admission.open(client))
    await running.advance(26)
    assert client.closed == (3008, "slow")


# -- the end


async def test_end_happens_once(running: RunningGateway) -> None:
    """Of several reasons to end, the first one counts, in every book."""
    ann = await running.client("ann", "lobby")
    session = session_of(ann)
    for ending in (Disconnect.SLOW, Disconnect.REVOKED, Disconnect.EXPIRED):
        session.end(ending, "because")
    assert ann.closed == (3008, "slow")
    assert (running.closes("slow"), running.closes("revoked")) == (1, 0)
    assert running.events(Event.CONN_CLOSE) == 1
    await settle()
    assert running.inside() == (0, 0, 0)


@pytest.mark.parametrize(
    ("code", "ending"), [(1000, "normal"), (1001, "normal"), (4000, "normal"), (None, "going_away")]
)
async def test_client_that_leaves(running: RunningGateway, code: int | None, ending: str) -> None:
    """A close frame is a normal end, a broken link another; both give back what was counted."""
    ann = await running.client("ann", "lobby")
    ann.leave(code)
    await settle()
    assert running.closes(ending) == 1
    assert running.inside() == (0, 0, 0)
    assert running.gateway.channels() == {}


async def test_protocol_faults_end_the_session(running: RunningGateway) -> None:
    """A transport that found the protocol broken ends the session with the fitting code."""
    ann = await running.client("ann")
    ann.session.fail(Disconnect.INVALID_UTF8, "not UTF-8")
    assert ann.closed == (1007, "")


async def test_ended_session_is_not_woken(running: RunningGateway) -> None:
    """A session that ended asks for nothing more, and nothing is left in the wheel."""
    ann = await running.client("ann")
    ann.leave()
    session = session_of(ann)
    assert session.fire(running.clock.monotonic(), late=False) == float("inf")
    await running.advance(100)
    assert len(running.gateway.node.context.wheel) == 0


async def test_repr_has_no_user(running: RunningGateway) -> None:
    """The representation names the connection, its endpoint and its state."""
    ann = await running.client("ann")
    session = session_of(ann)
    assert session.state is State.AUTHENTICATED
    assert repr(session) == f"Session({session.id[:8]}, rooms, AUTHENTICATED)"


async def test_unread_answer_of_a_dead_session(slow: tuple[RunningGateway, SlowEngine]) -> None:
    """A handler that finishes after its session has ended answers nobody."""
    running, engine = slow
    ann = await arrive(running, engine, "ann", "lobby")
    await ask(ann, "history", roomId="lobby")
    session_of(ann).end(Disconnect.REVOKED, "because")
    heard = len(ann.received)
    await engine.run()
    assert (len(ann.received), errors(ann)) == (heard, [])
