"""Coming and going, with everything that can happen in between."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from portward.model.channel import Channel
from portward.model.disconnects import Disconnect
from portward.model.events import Expelled
from portward.model.limits import OUTBOX_COUNT, Rate
from portward.model.namespace import AccessRule, Snapshot
from portward.model.publication import Draft
from portward.model.replies import INSUFFICIENT_STATE
from portward.model.room import Room, RoomOrigin
from portward.settings.limits import Limits, RateLimit
from portward.telemetry.events import Event
from portward.testing import MemoryClient
from tests.running_gateway import (
    LOBBY,
    RunningGateway,
    ask,
    contents,
    errors,
    forget,
    kinds,
    offsets,
    run_gateway,
    session_of,
    settings,
    settle,
)
from tests.slow_engine import SlowEngine, arrive, slow_gateway

pytestmark = pytest.mark.p1

UNLIMITED = RateLimit(rate=Rate(0, 1.0, 1))
FREE = Limits(messages=UNLIMITED, join=UNLIMITED, auth=UNLIMITED)
Slow = tuple[RunningGateway, SlowEngine]
STEPS = 24
"""More steps than a join takes."""


@pytest.fixture
async def slow() -> AsyncIterator[Slow]:
    """A gateway over a slow engine, with a room."""
    async with slow_gateway(settings(rooms={"limits": FREE})) as (running, engine):
        await engine.inner.rooms.save(LOBBY, Room(id="lobby"), RoomOrigin.BACKEND)
        yield running, engine


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway without limits per user."""
    async with run_gateway(settings(rooms={"limits": FREE})) as running:
        yield running


async def say(running: RunningGateway, engine: SlowEngine, text: str) -> None:
    """Publish as another node would: stored and announced at once."""
    draft = Draft(id=text, time=0, data=text)
    namespace = running.gateway.node.namespaces["rooms"]
    await engine.inner.streams.publish(LOBBY, draft, namespace, None)
    await settle()


def clean(running: RunningGateway, engine: SlowEngine) -> None:
    """Nobody is anywhere, in the hub or in the store."""
    assert running.gateway.channels() == {}
    assert engine.inner.presence._rooms == {}
    assert engine.inner.streams._subscribed == set()


# -- no gap, no repeat


@pytest.mark.parametrize("moment", range(STEPS))
@pytest.mark.parametrize("recovering", [False, True])
async def test_publications_during_a_join(slow: Slow, moment: int, recovering: bool) -> None:
    """Whenever something is published during a join, the newcomer hears it once, in order."""
    running, engine = slow
    await say(running, engine, "before")
    epoch = engine.inner.streams._streams[LOBBY].epoch
    ann = await arrive(running, engine, "ann")
    since = {"since": {"offset": 0, "epoch": epoch}} if recovering else {}
    ann.send({"type": "join", "data": {"roomId": "lobby", **since}})
    for step in range(STEPS):
        if step in {moment, moment + 1}:
            await say(running, engine, f"at {step}")
        await engine.run(1)
    await say(running, engine, "after")
    await engine.run()
    answer = ann.last("room_joined")
    told = [each["offset"] for each in answer.get("messages", [])]
    first = 1 if recovering else answer["position"]["offset"] + 1
    last = engine.inner.streams._streams[LOBBY].offset
    assert last == 2 + len({moment, moment + 1} & set(range(STEPS)))
    assert told + offsets(ann) == list(range(first, last + 1))
    assert told == list(range(1, answer["position"]["offset"] + 1)) or not recovering
    assert kinds(ann)[0] == "room_joined"


@pytest.mark.parametrize("moment", range(STEPS))
async def test_publications_during_a_second_join(slow: Slow, moment: int) -> None:
    """Who joins again with its position misses nothing and hears nothing twice."""
    running, engine = slow
    ann = await arrive(running, engine, "ann", "lobby")
    await say(running, engine, "one")
    epoch = engine.inner.streams._streams[LOBBY].epoch
    await say(running, engine, "two")
    ann.send({"type": "join", "data": {"roomId": "lobby", "since": {"offset": 2, "epoch": epoch}}})
    await engine.run(moment)
    await say(running, engine, "three")
    await engine.run()
    await say(running, engine, "four")
    told = [each["offset"] for each in ann.last("room_joined")["messages"]]
    before = ann.received.index(ann.all("room_joined")[0])
    heard = [each["data"]["offset"] for each in ann.received[:before]]
    after = [each["data"]["offset"] for each in ann.received[before + 1 :]]
    assert heard + told + after == [1, 2, 3, 4]


async def test_too_much_during_a_join(slow: Slow) -> None:
    """Who joins while more is published than is collected is told to come again, and misses nothing then."""
    running, engine = slow
    ann = await arrive(running, engine, "ann")
    ann.send({"type": "join", "data": {"roomId": "lobby"}})
    while LOBBY not in running.gateway.channels():
        await engine.run(1)
    for number in range(OUTBOX_COUNT + 1):
        await say(running, engine, f"{number}")
    await engine.run()
    assert kinds(ann)[:2] == ["room_joined", "room_left"]
    assert ann.last("room_left")["reason"] == INSUFFICIENT_STATE
    ann.send({"type": "join", "data": {"roomId": "lobby"}})
    await engine.run()
    await say(running, engine, "after")
    position = ann.last("room_joined")["position"]["offset"]
    assert (position, offsets(ann)[-1]) == (OUTBOX_COUNT + 1, OUTBOX_COUNT + 2)


async def test_others_during_a_join(slow: Slow) -> None:
    """Who comes and types while one joins is told after the answer."""
    running, engine = slow
    bob = await arrive(running, engine, "bob", "lobby")
    ann = await arrive(running, engine, "ann")
    ann.send({"type": "join", "data": {"roomId": "lobby"}})
    while running.gateway.channels()[LOBBY] != 2:
        await engine.run(1)
    bob.send({"type": "typing", "data": {"roomId": "lobby", "active": True}})
    bob.send({"type": "leave", "data": {"roomId": "lobby"}})
    await engine.run()
    assert kinds(ann) == ["room_joined", "typing", "user_left"]


# -- leaving at any moment


@pytest.mark.parametrize("moment", range(STEPS))
@pytest.mark.parametrize("how", ["lost", "closed", "kicked", "cancelled", "revoked"])
async def test_leaving_during_a_join(slow: Slow, how: str, moment: int) -> None:
    """Whenever a connection goes or is cut off during a join, no trace of it is left."""
    running, engine = slow
    bob = await arrive(running, engine, "bob", "lobby")
    ann = await arrive(running, engine, "ann")
    ann.send({"type": "join", "data": {"roomId": "lobby"}})
    await engine.run(moment)
    joined = bool(ann.all("room_joined"))
    if how in {"lost", "closed"}:
        ann.leave(None if how == "lost" else 1000)
    elif how == "revoked":
        session_of(ann).end(Disconnect.REVOKED, "test")
    elif how == "kicked":
        await engine.inner.streams.publish_control(
            Expelled(user="ann", channel=LOBBY, reason="kicked")
        )
    elif isinstance(task := session_of(ann).task, asyncio.Task):
        task.cancel()
    await engine.run()
    await settle()
    members = await engine.inner.presence.members(LOBBY)
    stays = "ann" in [member.user for member in members]
    assert stays == bool(session_of(ann).subscriptions)
    assert stays == (
        how in {"kicked", "cancelled"} and bool(ann.all("room_joined")) and not ann.all("room_left")
    )
    assert running.gateway.channels()[LOBBY] == 1 + stays
    moves = [kind for kind in kinds(bob) if kind.startswith("user_")]
    assert moves in (
        [],
        ["user_joined"],
        ["user_joined", "user_left"],
        ["user_joined", "user_disconnected"],
    ) or (how == "cancelled" and moves == ["user_disconnected"])
    assert (moves == ["user_joined"]) == stays
    assert not joined or moves
    ann.leave()
    bob.leave()
    await engine.run()
    await settle()
    clean(running, engine)
    assert running.inside() == (0, 0, 0)
    assert running.events(Event.INTERNAL_ERROR) == 0


CALLS = [
    "rooms.get",
    "rooms.use",
    "streams.subscribe",
    "presence.enter",
    "streams.publish_control",
    "presence.members",
    "streams.history",
]


@pytest.mark.parametrize("call", CALLS)
async def test_store_away_during_a_join(slow: Slow, call: str) -> None:
    """A join that the store does not answer is refused for now, and leaves no trace."""
    running, engine = slow
    ann = await arrive(running, engine, "ann")
    if call == "rooms.use":  # which those that the backend has set do not need
        await engine.inner.rooms.remove(LOBBY)
    engine.fails = {call}
    await ask(ann, "join", roomId="lobby")
    await engine.run()
    assert ann.last("error") == {"message": "Temporarily unavailable", "code": "unavailable"}
    assert session_of(ann).subscriptions == {}
    engine.fails.clear()
    await engine.run()
    clean(running, engine)
    await ask(ann, "join", roomId="lobby")
    await engine.run()
    assert kinds(ann)[-1] == "room_joined"


@pytest.mark.parametrize("call", ["presence.members", "streams.history"])
async def test_store_away_during_a_second_join(slow: Slow, call: str) -> None:
    """Who joins again without an answer of the store is told to be out, not left deaf."""
    running, engine = slow
    ann = await arrive(running, engine, "ann", "lobby")
    engine.fails = {call}
    await ask(ann, "join", roomId="lobby")
    await engine.run()
    engine.fails.clear()
    await engine.run()
    assert kinds(ann) == ["room_left", "error"]
    assert ann.last("room_left") == {"roomId": "lobby", "reason": "unavailable"}
    clean(running, engine)


@pytest.mark.parametrize("moment", range(STEPS))
async def test_kicked_and_back(slow: Slow, moment: int) -> None:
    """Who is kicked and comes back at once is a member like any other, in every book."""
    running, engine = slow
    ann = await arrive(running, engine, "ann", "lobby")
    await engine.inner.streams.publish_control(Expelled(user="ann", channel=LOBBY, reason="kicked"))
    await engine.run(moment)
    ann.send({"type": "join", "data": {"roomId": "lobby"}})
    await engine.run()
    assert [member.user for member in await engine.inner.presence.members(LOBBY)] == ["ann"]
    assert running.gateway.channels() == {LOBBY: 1}
    assert engine.inner.streams._subscribed == {LOBBY}
    await say(running, engine, "heard")
    assert contents(ann) == ["heard"]


@pytest.mark.parametrize("moment", range(12))
async def test_last_leaves_while_another_comes(slow: Slow, moment: int) -> None:
    """When the last listener leaves as another comes, the node goes on listening."""
    running, engine = slow
    ann = await arrive(running, engine, "ann", "lobby")
    bob = await arrive(running, engine, "bob")
    bob.send({"type": "join", "data": {"roomId": "lobby"}})
    await engine.run(moment)
    ann.send({"type": "leave", "data": {"roomId": "lobby"}})
    await engine.run()
    assert engine.inner.streams._subscribed == {LOBBY}
    await say(running, engine, "heard")
    assert contents(bob) == ["heard"]


async def test_last_place_goes_to_one(slow: Slow) -> None:
    """Of two who take the last place of a room at once one gets it, and the other leaves no trace."""
    running, engine = slow
    room = Room(id="lobby", max_participants=1)
    await engine.inner.rooms.save(LOBBY, room, RoomOrigin.BACKEND)
    clients = [await arrive(running, engine, user) for user in ("ann", "bob")]
    for client in clients:
        client.send({"type": "join", "data": {"roomId": "lobby"}})
    await engine.run()
    assert sorted(kinds(client)[0] for client in clients) == ["error", "room_joined"]
    assert errors(clients[0]) + errors(clients[1]) == ["Room is full"]
    assert running.gateway.channels() == {LOBBY: 1}


# -- presence


async def test_presence_events_alternate(slow: Slow) -> None:
    """However tabs open and close, the others hear come, gone, come, gone; and the end is right."""
    running, engine = slow
    bob = await arrive(running, engine, "bob", "lobby")
    tabs: list[MemoryClient] = []
    dice = random.Random(7)
    for _ in range(120):
        if tabs and dice.random() < 0.5:
            tab = tabs.pop(dice.randrange(len(tabs)))
            tab.leave(dice.choice([None, 1000]))
        elif len(tabs) < 5:
            tab = await arrive(running, engine, "ann")
            tab.send({"type": "join", "data": {"roomId": "lobby"}})
            tabs.append(tab)
        await engine.run(dice.randrange(6))
    await engine.run()
    await settle()
    moves = [kind for kind in kinds(bob) if kind.startswith("user_")]
    assert moves[::2] == ["user_joined"] * len(moves[::2])
    assert moves[1::2] == ["user_disconnected"] * len(moves[1::2])
    assert len(moves) % 2 == bool(tabs)
    members = [member.user for member in await engine.inner.presence.members(LOBBY)]
    assert members.count("ann") == len(tabs)


@pytest.fixture
async def graceful() -> AsyncIterator[RunningGateway]:
    """A gateway where a user may be gone for five seconds."""
    given = settings(rooms={"limits": FREE}, namespace={"leave_grace": 5.0})
    async with run_gateway(given) as running:
        yield running


async def test_grace(graceful: RunningGateway) -> None:
    """Who comes back within the grace was never gone; who does not is told of at its end."""
    running = graceful
    ann = await running.client("ann", "lobby")
    forget(ann)
    for _ in range(3):
        bob = await running.client("bob", "lobby")
        bob.leave(None)
        await running.advance(4.9)
    assert kinds(ann) == ["user_joined"]
    await running.advance(0.2)
    assert kinds(ann) == ["user_joined", "user_disconnected"]
    await running.client("bob", "lobby")
    assert kinds(ann) == ["user_joined", "user_disconnected", "user_joined"]


async def test_grace_is_for_broken_links(graceful: RunningGateway) -> None:
    """Who leaves in so many words is told of at once."""
    running = graceful
    ann, bob = await running.client("ann", "lobby"), await running.client("bob", "lobby")
    await ask(bob, "leave", roomId="lobby")
    assert kinds(ann)[-1] == "user_left"


# -- other families


async def test_bound_of_other_families() -> None:
    """In a family without rooms the bound counts connections."""
    given = settings(namespace={"authorize": AccessRule.AUTHENTICATED, "max_subscribers": 2})
    async with run_gateway(given) as running:
        await running.client("ann", "lobby")
        await running.client("ann", "lobby")
        bob = await running.client("bob")
        await ask(bob, "join", roomId="lobby")
        assert errors(bob) == ["Room is full"]


async def test_snapshot() -> None:
    """In a family that keeps the last of each key a newcomer is given them first."""
    given = settings(namespace={"snapshot": Snapshot.LATEST_BY_KEY, "history_size": 0})
    async with run_gateway(given) as running:
        await running.room()
        for key, data in (("a", 1), ("b", 2), ("a", 3), (None, 4)):
            await running.gateway.publish(LOBBY, data, key=key)
        ann = await running.client("ann", "lobby")
        snapshot = ann.last("room_joined")["snapshot"]
        assert [(each["content"], each["offset"]) for each in snapshot] == [(2, 2), (3, 3)]


async def test_cooldown() -> None:
    """In a family with a cooldown one type is told once in a while, with the number left out."""
    async with run_gateway(settings(namespace={"cooldown": 2.0})) as running:
        ann = await running.client("ann", "lobby")
        bob = await running.client("bob", "lobby")
        for number in range(5):
            await running.gateway.publish(
                LOBBY, number, type="alarm", exclude=session_of(bob).id if number == 0 else None
            )
            await settle()
        await running.gateway.publish(LOBBY, "other", type="note")
        await running.advance(2)
        await running.gateway.publish(LOBBY, 5, type="alarm")
        await settle()
        told = [
            (each["data"]["content"], each["data"].get("suppressed")) for each in ann.all("message")
        ]
        assert told == [(0, None), ("other", None), (5, 4)]
        assert contents(bob) == [1, "other", 5]
        assert kinds(ann).count("user_joined") == 1


async def test_room_lives_by_its_use() -> None:
    """A room that joins made ends so long after its last use; a message is a use, and so is a join."""
    async with run_gateway(settings(namespace={"idle_ttl": 100.0, "history_ttl": 10.0})) as running:
        await running.client("ann", "fresh")
        await running.advance(90)
        ann = await running.client("ann", "fresh")
        await running.advance(90)
        await ask(ann, "message", roomId="fresh", content="x")
        for client in list(running.gateway.node.registry):
            client.transport.abort()
        await running.advance(90)
        assert await running.gateway.rooms.get("fresh")
        await running.advance(25)
        assert await running.gateway.rooms.get("fresh") is None


async def test_removed_room(running: RunningGateway) -> None:
    """A room that is removed loses its members and what was said in it."""
    await running.room()
    ann = await running.client("ann", "lobby")
    await ask(ann, "message", roomId="lobby", content="x")
    assert await running.gateway.rooms.remove("lobby")
    assert not await running.gateway.rooms.remove("lobby")
    assert ann.last("room_left")["reason"] == "permission_denied"
    again = await running.client("bob", "lobby")
    assert again.last("room_joined")["position"]["offset"] == 0


async def test_empty_streams_are_collected() -> None:
    """Channels in which nothing was published leave nothing behind, also very many of them."""
    given = settings(rooms={"limits": FREE}, namespace={"idle_ttl": 50.0})
    async with run_gateway(given) as running:
        ann = await running.client("ann")
        bob, cyd = await running.client("bob"), await running.client("cyd")
        for number in range(100):
            for client, name in ((ann, "a"), (bob, "b"), (cyd, "c")):
                await ask(client, "join", roomId=f"{name}{number}")
                await ask(client, "leave", roomId=f"{name}{number}")
            await running.advance(0.01)
        engine = running.gateway.node.engine
        assert await engine.streams.channels() == ()
        assert engine.streams.stream_counts() == {}
        await running.advance(65)
        assert await engine.streams.channels() == ()
        assert await engine.rooms.all() == {}
        assert running.gateway.channels() == {}


async def test_unsubscribed_by_the_backend(running: RunningGateway) -> None:
    """The backend takes a user out of a channel, on all connections."""
    tabs = [await running.client("ann", "lobby") for _ in range(2)]
    await running.gateway.unsubscribe("ann", LOBBY)
    await running.gateway.unsubscribe("ann", "rooms:other")
    assert [tab.last("room_left") for tab in tabs] == [
        {"roomId": "lobby", "reason": "unsubscribed"}
    ] * 2
    third, fourth = await running.client("ann", "lobby"), await running.client("ann", "lobby")
    channel = Channel.parse("rooms:lobby")
    await running.gateway.operations.unsubscribe("ann", channel, session_of(third).id)
    assert (kinds(third)[-1], kinds(fourth)[-1]) == ("room_left", "room_joined")
