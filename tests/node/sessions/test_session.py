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
from tests.house import (
    LOBBY,
    House,
    RoutedGate,
    ask,
    contents,
    errors,
    kinds,
    running,
    session_of,
    settings,
    settle,
)
from tests.slow_engine import SlowEngine, arrive, slow_house

UNLIMITED = RateLimit(rate=Rate(0, 1.0, 1))
FREE = Limits(messages=UNLIMITED, join=UNLIMITED, auth=UNLIMITED, history=UNLIMITED)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """A gateway without limits per user."""
    async with running(settings(rooms={"limits": FREE})) as house:
        yield house


@pytest.fixture
async def slow() -> AsyncIterator[tuple[House, SlowEngine]]:
    """A gateway whose engine answers when it is told to."""
    async with slow_house(settings(rooms={"limits": FREE})) as (house, engine):
        yield house, engine


# -- expiry


async def test_expiry_notice_and_end(house: House) -> None:
    """The notice comes a minute before the expiry, the end at the expiry and the leeway."""
    ann = await house.client("ann", "lobby", ttl=100)
    await house.advance(39.9)
    assert ann.all("token_expiring") == []
    await house.advance(0.4)
    assert len(ann.all("token_expiring")) == 1
    await house.advance(89.6)
    assert ann.open
    await house.advance(0.4)
    assert ann.closed == (3005, "expired")
    assert len(ann.all("token_expiring")) == 1
    assert house.events(Event.AUTH_EXPIRE) == 1


async def test_short_token_is_told_at_once(house: House) -> None:
    """A token with less than a minute to live is announced to be expiring at once."""
    ann = await house.client("ann", ttl=10)
    await house.advance(0.3)
    assert len(ann.all("token_expiring")) == 1
    await house.advance(40)
    assert ann.closed == (3005, "expired")


async def test_nothing_is_delivered_after_expiry(house: House) -> None:
    """With a feed of a hundred a second, nothing arrives after expiry, leeway and a quarter second."""
    ann = await house.client("ann", "lobby", ttl=3)
    end = house.clock.time() + 3 + 30
    last = 0.0
    while ann.open or house.clock.time() < end + 1:
        before = len(ann.received)
        await house.gateway.publish(LOBBY, "tick")
        await house.advance(0.01)
        if len(ann.received) > before:
            last = house.clock.time()
    assert end - 0.1 <= last <= end + 0.25


async def test_queue_is_dropped_at_expiry(house: House) -> None:
    """What was queued for a slow reader is not written after its token has run out."""
    ann = await house.client("ann", "lobby", ttl=20)
    ann.reading = False
    await house.gateway.publish(LOBBY, "late")
    await house.advance(26)
    ann.session.count_frame(control=True)
    await house.advance(25)
    assert ann.closed == (3005, "expired")
    ann.read()
    assert contents(ann) == []


async def test_wall_clock_jumps_do_not_expire_anybody(house: House) -> None:
    """Sessions live by the monotonic clock: a step of the wall clock ends none."""
    ann = await house.client("ann", ttl=3600)
    house.clock.set_wall(house.clock.time() + 86400)
    await house.advance(60)
    house.clock.set_wall(house.clock.time() - 2 * 86400)
    await house.advance(60)
    assert ann.open
    assert ann.all("token_expiring") == []


@pytest.mark.parametrize("moment", [-0.2, -0.1, 0.0])
async def test_refresh_at_the_last_moment(house: House, moment: float) -> None:
    """A refresh just before the end is in time: the connection is closed once, at the new expiry."""
    ann = await house.client("ann", ttl=60)
    await house.advance(90 + moment - 0.05)
    await ask(ann, "refresh", token=house.token("ann", ttl=100))
    await house.advance(129)
    assert ann.open
    assert len(ann.all("token_expiring")) == 2
    await house.advance(2)
    assert ann.closed == (3005, "expired")
    assert house.closes("expired") == 1


# -- heartbeat


async def test_silent_connection_is_pinged(house: House) -> None:
    """After 25 seconds of silence a ping is sent; frames put it off."""
    ann = await house.client("ann")
    await house.advance(20)
    ann.session.count_frame(control=False)
    await house.advance(20)
    assert ann.pings == 0
    await house.advance(5.3)
    assert ann.pings == 1


async def test_no_pong(house: House) -> None:
    """Who lets a ping unanswered for ten seconds is closed and gone from presence."""
    ann, bob = await house.client("ann", "lobby"), await house.client("bob", "lobby")
    ann.reading = False
    await house.advance(34.9)
    assert ann.open
    await house.advance(0.6)
    assert ann.closed == (3012, "no pong")
    assert bob.last("user_disconnected")["userId"] == "ann"
    assert house.events(Event.HB_TIMEOUT) == 1


async def test_any_frame_answers_a_ping(house: House) -> None:
    """A message is as good a sign of life as a pong."""
    ann = await house.client("ann")
    ann.reading = False
    await house.advance(30)
    await ask(ann, "heartbeat")
    await house.advance(20)
    assert ann.open


async def test_outgoing_data_is_no_life(house: House) -> None:
    """What is sent to a dead peer does not keep it alive."""
    ann = await house.client("ann", "lobby")
    ann.reading = False
    for _ in range(40):
        await house.gateway.publish(LOBBY, "x")
        await house.advance(1)
    assert ann.closed == (3012, "no pong")


async def test_stalled_loop_accuses_nobody(house: House) -> None:
    """After the loop itself was held up nobody is closed for silence, and real silence is found."""
    clients = [await house.client(f"u{n}") for n in range(20)]
    await house.advance(26)
    house.clock.stall(2)
    await house.advance(0.1)
    for client in clients:
        client.reading = False
    await house.advance(10)
    for _ in range(5):
        house.clock.stall(20)
        await house.advance(0.1)
    assert all(client.open for client in clients)
    await house.advance(36)
    assert all(client.closed == (3012, "no pong") for client in clients)


async def test_stalled_loop_does_not_make_idle() -> None:
    """A stall longer than the idle time closes nobody."""
    async with running(settings(rooms={"idle_timeout": 30.0})) as house:
        ann = await house.client("ann")
        house.clock.stall(45)
        await house.advance(0.2)
        assert ann.open


async def test_no_pings_where_they_are_off() -> None:
    """Without a ping interval and an idle time silence is fine."""
    async with running(settings(rooms={"ping_interval": 0.0, "idle_timeout": 0.0})) as house:
        ann = await house.client("ann", ttl=7200)
        await house.advance(3600)
        assert (ann.open, ann.pings) == (True, 0)


async def test_ping_of_a_client_is_answered(house: House) -> None:
    """A client's ping comes back with its payload, until the session has ended."""
    ann = await house.client("ann")
    ann.session.ping_received(b"payload")
    await house.gateway.disconnect("ann")
    ann.session.ping_received(b"late")
    assert ann.pongs == [b"payload"]


# -- messages that take their time


async def test_unfinished_message(house: House) -> None:
    """A message not complete ten seconds after its first byte ends the connection."""
    ann = await house.client("ann")
    ann.session.partial(True)
    for _ in range(9):
        await house.advance(1)
        ann.session.count_frame(control=False)
        ann.session.partial(True)
    assert ann.open
    await house.advance(1.3)
    assert ann.closed == (1008, "policy violation")
    assert house.events(Event.PROTO_ERROR) == 1


async def test_finished_message_starts_no_deadline(house: House) -> None:
    """When the message is complete its deadline is gone, and the next has its own."""
    ann = await house.client("ann")
    ann.session.partial(True)
    await house.advance(9)
    ann.session.partial(False)
    ann.session.partial(True)
    await house.advance(9)
    assert ann.open


# -- frames


@pytest.mark.parametrize(("control", "burst"), [(False, 400), (True, 20)])
async def test_frame_flood(house: House, control: bool, burst: int) -> None:
    """More frames than the burst end the connection, also before it has authenticated."""
    client = await house.client()
    assert [client.session.count_frame(control) for _ in range(burst)] == [True] * burst
    assert client.session.count_frame(control) is False
    assert client.closed == (1008, "policy violation")
    assert client.session.count_frame(control) is False
    limit = "control_frames" if control else "frames"
    assert house.count("limit_refusals_total", limit=limit, mode="enforce") == 1


async def test_frames_at_the_allowed_pace(house: House) -> None:
    """At the allowed pace a connection may send frames for ever."""
    client = await house.client("ann")
    for _ in range(100):
        await house.advance(0.1)
        for _ in range(20):
            assert client.session.count_frame(control=False)
        assert client.session.count_frame(control=True)


async def test_observed_frames_end_nothing() -> None:
    """A limit on frames that only observes lets every frame pass and counts."""
    frames = RateLimit(rate=Rate(1, 1.0, 1, LimitMode.OBSERVE), mode=LimitMode.OBSERVE)
    async with running(settings(rooms={"limits": Limits(frames=frames)})) as house:
        client = await house.client()
        assert all(client.session.count_frame(control=False) for _ in range(50))
        assert house.count("limit_refusals_total", limit="frames", mode="observe") > 40


# -- the inbox


async def test_messages_are_served_in_order(slow: tuple[House, SlowEngine]) -> None:
    """Messages that arrive while one is served wait, and are served in the order they came."""
    house, engine = slow
    ann = await arrive(house, engine, "ann", "lobby")
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


async def test_message_does_not_overtake_the_inbox(slow: tuple[House, SlowEngine]) -> None:
    """A message that arrives just as a handler ends does not overtake those that wait."""
    house, engine = slow
    ann = await arrive(house, engine, "ann", "lobby")
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


async def test_session_that_ends_before_its_next_message(slow: tuple[House, SlowEngine]) -> None:
    """A session that ends between two messages of its inbox serves the second no more."""
    house, engine = slow
    ann = await arrive(house, engine, "ann", "lobby")
    for identifier in ("first", "second"):
        ann.send({"type": "history", "data": {"roomId": "lobby"}, "id": identifier})
    task = session_of(ann).task
    assert isinstance(task, asyncio.Task)
    task.add_done_callback(lambda _: session_of(ann).end(Disconnect.REVOKED, "because"))
    await engine.run()
    assert [each["id"] for each in ann.all("history")] == ["first"]
    assert ann.closed == (3503, "force disconnect")


async def test_credential_without_an_end(house: House) -> None:
    """A credential that does not run out is neither announced nor closed."""
    ann = await house.client("ann", ttl=60)
    session_of(ann).authenticated(None, 30.0)
    await house.advance(600)
    assert ann.open
    assert ann.all("token_expiring") == []


async def test_full_inbox_stops_reading(slow: tuple[House, SlowEngine]) -> None:
    """When as many messages wait as may, reading stops; it goes on when half of them are served."""
    house, engine = slow
    ann = await arrive(house, engine, "ann", "lobby")
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


async def test_ended_session_serves_nothing_more(slow: tuple[House, SlowEngine]) -> None:
    """What waits in the inbox of a session that ends is never served."""
    house, engine = slow
    ann = await arrive(house, engine, "ann", "lobby")
    bob = await arrive(house, engine, "bob", "lobby")
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


async def test_slow_reader(house: House) -> None:
    """Who reads too slowly is closed, with leave to come back; the others get everything."""
    ann, bob = await house.client("ann", "lobby"), await house.client("bob", "lobby")
    ann.reading = False
    large = "x" * 60_000
    count = OUTBOX_BYTES // len(large) + 2
    for _ in range(count):
        await house.gateway.publish(LOBBY, large)
        await settle()
    assert ann.closed == (3008, "slow")
    assert len(ann.queue) == 1
    assert b'"closing"' in ann.queue[0][0].payloads[0]
    assert len(contents(bob)) == count
    assert house.events(Event.SLOW_DROP) == 1
    assert house.count("slow_disconnects_total") == 1
    assert bob.last("user_disconnected")["userId"] == "ann"


async def test_stale_queue(house: House) -> None:
    """A queue whose oldest message is over its age ends the connection."""

    class Stale(MemoryClient):
        def stale(self, now: float) -> bool:  # noqa: ARG002 - the port
            return True

    client = Stale()
    admission = await RoutedGate(house.gateway.node).admit(request())
    client.attach(admission.open(client))
    await house.advance(26)
    assert client.closed == (3008, "slow")


# -- the end


async def test_end_happens_once(house: House) -> None:
    """Of several reasons to end, the first one counts, in every book."""
    ann = await house.client("ann", "lobby")
    session = session_of(ann)
    for ending in (Disconnect.SLOW, Disconnect.REVOKED, Disconnect.EXPIRED):
        session.end(ending, "because")
    assert ann.closed == (3008, "slow")
    assert (house.closes("slow"), house.closes("revoked")) == (1, 0)
    assert house.events(Event.CONN_CLOSE) == 1
    await settle()
    assert house.inside() == (0, 0, 0)


@pytest.mark.parametrize(
    ("code", "ending"), [(1000, "normal"), (1001, "normal"), (4000, "normal"), (None, "going_away")]
)
async def test_client_that_leaves(house: House, code: int | None, ending: str) -> None:
    """A close frame is a normal end, a broken link another; both give back what was counted."""
    ann = await house.client("ann", "lobby")
    ann.leave(code)
    await settle()
    assert house.closes(ending) == 1
    assert house.inside() == (0, 0, 0)
    assert house.gateway.channels() == {}


async def test_protocol_faults_end_the_session(house: House) -> None:
    """A transport that found the protocol broken ends the session with the fitting code."""
    ann = await house.client("ann")
    ann.session.fail(Disconnect.INVALID_UTF8, "not UTF-8")
    assert ann.closed == (1007, "")


async def test_ended_session_is_not_woken(house: House) -> None:
    """A session that ended asks for nothing more, and nothing is left in the wheel."""
    ann = await house.client("ann")
    ann.leave()
    session = session_of(ann)
    assert session.fire(house.clock.monotonic(), late=False) == float("inf")
    await house.advance(100)
    assert len(house.gateway.node.context.wheel) == 0


async def test_repr_has_no_user(house: House) -> None:
    """The representation names the connection, its door and its state."""
    ann = await house.client("ann")
    session = session_of(ann)
    assert session.state is State.AUTHENTICATED
    assert repr(session) == f"Session({session.id[:8]}, rooms, AUTHENTICATED)"


async def test_unread_answer_of_a_dead_session(slow: tuple[House, SlowEngine]) -> None:
    """A handler that finishes after its session has ended answers nobody."""
    house, engine = slow
    ann = await arrive(house, engine, "ann", "lobby")
    await ask(ann, "history", roomId="lobby")
    session_of(ann).end(Disconnect.REVOKED, "because")
    heard = len(ann.received)
    await engine.run()
    assert (len(ann.received), errors(ann)) == (heard, [])
