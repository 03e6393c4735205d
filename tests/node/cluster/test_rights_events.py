"""Publications that come while rights are judged again: only who keeps the right gets them."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from portward.model.events import RightsChanged
from portward.model.limits import OUTBOX_COUNT, Rate
from portward.model.publication import Draft
from portward.model.replies import INSUFFICIENT_STATE
from portward.model.room import Room, RoomOrigin, RoomPermissions
from portward.settings.limits import Limits, RateLimit
from portward.testing import MemoryClient
from tests.running_gateway import LOBBY, RunningGateway, contents, kinds, offsets, settings
from tests.slow_engine import SlowEngine, arrive, slow_gateway
from tests.stores import stores

UNLIMITED = RateLimit(rate=Rate(0, 1.0, 1))
FREE = Limits(messages=UNLIMITED, join=UNLIMITED, auth=UNLIMITED)
STEPS = 16
"""More steps than a judgement takes."""
CLOSED = RoomPermissions(read=("staff",), write=("staff",), admin=("boss",))
Slow = tuple[RunningGateway, SlowEngine]
Change = Callable[[SlowEngine], Awaitable[None]]


@pytest.fixture
async def slow() -> AsyncIterator[Slow]:
    """A gateway over a slow engine, with a room that everybody may read."""
    async with slow_gateway(settings(rooms={"limits": FREE})) as (running, engine):
        await save(engine, Room(id="lobby"))
        await stores(engine.inner).directory.set_roles("ann", frozenset({"user"}))
        yield running, engine


async def save(engine: SlowEngine, room: Room) -> None:
    """Replace the record of the room."""
    await engine.inner.rooms.save(LOBBY, room, RoomOrigin.BACKEND)


async def say(running: RunningGateway, engine: SlowEngine, text: str) -> None:
    """Publish as another node would: stored and announced at once."""
    namespace = running.gateway.node.namespaces["rooms"]
    await engine.inner.streams.publish(LOBBY, Draft(id=text, time=0, data=text), namespace, None)


async def enter(slow: Slow, **users: str) -> list[MemoryClient]:
    """Members of the room, by name, each with a role of the token beside that of a user."""
    running, engine = slow
    return [
        await arrive(running, engine, user, "lobby", roles=["user", role])
        for user, role in users.items()
    ]


async def close(engine: SlowEngine) -> None:
    """The room is for the staff from now on."""
    await save(engine, Room(id="lobby", permissions=CLOSED))
    await engine.inner.streams.publish_control(RightsChanged(channel=LOBBY))


async def remove(engine: SlowEngine) -> None:
    """The room is removed with what was said; another one of that name is for the staff."""
    await engine.inner.rooms.remove(LOBBY)
    await close(engine)


async def close_twice(engine: SlowEngine) -> None:
    """The room is opened and closed again: there are three judgements at a time."""
    await close(engine)
    await save(engine, Room(id="lobby"))
    await engine.inner.streams.publish_control(RightsChanged(channel=LOBBY))
    await close(engine)


async def dismiss(engine: SlowEngine) -> None:
    """Bob loses the role by which he is here."""
    await stores(engine.inner).directory.set_roles("bob", frozenset())
    await engine.inner.streams.publish_control(RightsChanged(user="bob"))


async def told(slow: Slow, moment: int, change: Change) -> None:
    """The change is announced; in two of the steps of the judgements something is published."""
    running, engine = slow
    await change(engine)
    for step in range(STEPS):
        if step in {moment, moment + 1}:
            await say(running, engine, f"at {step}")
        await engine.run(1)
    await engine.run()
    await say(running, engine, "after")
    await engine.run()


@pytest.mark.parametrize("moment", range(STEPS))
@pytest.mark.parametrize("change", [close, remove, close_twice])
async def test_a_closed_room(slow: Slow, change: Change, moment: int) -> None:
    """Whenever something is published after the change, nobody gets it who may no longer read."""
    boss, ann, tom = await enter(slow, boss="staff", ann="user", tom="user")
    await told(slow, moment, change)
    for lost in (ann, tom):
        assert "message" not in kinds(lost)
        assert kinds(lost)[-1] == "room_left"
    texts = [f"at {step}" for step in (moment, moment + 1) if step < STEPS]
    assert contents(boss) == [*texts, "after"]
    assert offsets(boss) == sorted(offsets(boss))
    assert "room_left" not in kinds(boss)


@pytest.mark.parametrize("moment", range(STEPS))
async def test_a_role_that_was_taken_away(slow: Slow, moment: int) -> None:
    """Whenever something is published after the change, the user does not get it; the others do."""
    _, engine = slow
    await save(engine, Room(id="lobby", permissions=CLOSED))
    await stores(engine.inner).directory.set_roles("bob", frozenset({"staff"}))
    boss, bob = await enter(slow, boss="staff", bob="user")
    await told(slow, moment, dismiss)
    assert "message" not in kinds(bob)
    assert kinds(bob)[-1] == "room_left"
    texts = [f"at {step}" for step in (moment, moment + 1) if step < STEPS]
    assert contents(boss) == [*texts, "after"]


@pytest.mark.parametrize("fails", ["rooms.get", "kv.names user_roles"])
async def test_who_cannot_be_judged_goes_on(slow: Slow, fails: str) -> None:
    """While the store does not say what is right, the rights of before count; nothing is lost."""
    running, engine = slow
    (ann,) = await enter(slow, ann="user")
    engine.fails.add(fails)
    for event in (RightsChanged(user="ann"), RightsChanged(channel=LOBBY)):
        await engine.inner.streams.publish_control(event)
    await say(running, engine, "meanwhile")
    assert contents(ann) == []
    await engine.run()
    await ann.settle()
    assert contents(ann) == ["meanwhile"]
    engine.fails.clear()


async def test_order_is_kept(slow: Slow) -> None:
    """What was kept back comes after what was published before, and before what comes later."""
    running, engine = slow
    (ann,) = await enter(slow, ann="user")
    await say(running, engine, "0")
    await engine.inner.streams.publish_control(RightsChanged(channel=LOBBY))
    for number in range(1, 200):
        await say(running, engine, str(number))
        await engine.run(number % 2)
    await engine.run()
    await ann.settle()
    assert offsets(ann) == list(range(1, 201))


async def test_too_much_meanwhile(slow: Slow) -> None:
    """What is kept back is bounded: of more the client is told to come again."""
    running, engine = slow
    (ann,) = await enter(slow, ann="user")
    await engine.inner.streams.publish_control(RightsChanged(channel=LOBBY))
    for number in range(OUTBOX_COUNT + 1):
        await say(running, engine, str(number))
    await engine.run()
    await ann.settle()
    assert (kinds(ann), ann.last("room_left")["reason"]) == (["room_left"], INSUFFICIENT_STATE)
    assert running.gateway.channels() == {}


@pytest.mark.parametrize("way", ["leave", "torn", "join"])
async def test_who_goes_meanwhile(slow: Slow, way: str) -> None:
    """Whoever leaves or comes again while judged leaves nothing behind, and gets nothing twice."""
    running, engine = slow
    (ann,) = await enter(slow, ann="user")
    await engine.inner.streams.publish_control(RightsChanged(channel=LOBBY))
    await say(running, engine, "meanwhile")
    if way == "torn":
        ann.leave(None)
    else:
        ann.send({"type": way, "data": {"roomId": "lobby"}})
    await engine.run()
    await say(running, engine, "after")
    await engine.run()
    await ann.settle()
    assert contents(ann) == (["after"] if way == "join" else [])
    assert running.gateway.node.rights_events._checking == {}
