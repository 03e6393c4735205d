"""A user without the right never reads a closed room, while its record and its messages change."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from portward.engines.port import Engine
from portward.engines.sqlite import SqliteEngine
from portward.model.channel import Channel
from portward.model.errors import CommandError, ErrorKind
from portward.model.events import RightsChanged
from portward.model.namespace import AccessRule
from portward.model.publication import Draft
from portward.model.room import Room, RoomOrigin, RoomPermissions
from portward.settings import Settings
from portward.settings.presets import ENDPOINTS, NAMESPACES
from portward.telemetry.events import Event
from portward.testing import FakeClock, connect
from tests.closed_room import (
    BOARD,
    CLOSED,
    FREE,
    HISTORY,
    SECRET,
    asked,
    close_by_api,
    close_by_joiner,
    gateway_of,
    given,
    member,
    person,
    swept,
    try_to_read,
)
from tests.running_gateway import (
    RunningGateway,
    ask,
    contents,
    errors,
    forget,
    kinds,
    run_gateway,
    settings,
    settle,
)
from tests.slow_engine import arrive, slow_gateway

pytestmark = pytest.mark.p1

RATIOS = pytest.mark.parametrize("idle", [100.0, HISTORY, 5000.0], ids=["short", "equal", "long"])
STEPS = 40
"""More steps than a join or a history takes."""


@pytest.fixture(params=["memory", "sqlite"])
def make_engine(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Callable[[FakeClock], Engine | None]:
    """Makes the engine under test; None is the memory engine."""
    if request.param == "memory":
        return lambda _: None
    return lambda clock: SqliteEngine(str(tmp_path / "engine.db"), clock)


WAYS = pytest.mark.parametrize("close", [close_by_api, close_by_joiner], ids=["api", "joiner"])


@RATIOS
@WAYS
@pytest.mark.parametrize("auto_create", [True, False], ids=["development", "production"])
@pytest.mark.parametrize("inside", [True, False], ids=["inhabited", "empty"])
async def test_time_opens_no_closed_room(
    make_engine: Callable[[FakeClock], Engine | None],
    idle: float,
    close: Callable[[RunningGateway], Any],
    *,
    auto_create: bool,
    inside: bool,
) -> None:
    """Who may not read a room never may, and who may is never locked out, however long it lasts."""
    async with gateway_of(make_engine, given(idle, auto_create=auto_create)) as running:
        await close(running)
        insider = await member(running)
        await asked(insider, "message", roomId="board", content=SECRET)
        position = insider.last("room_joined")["position"]
        if not inside:
            insider.leave()
        for _ in range(4):
            await leap(running, 0.4 * max(idle, HISTORY))
            await try_to_read(running, position)
            other = await member(running, name="ted")
            await asked(other, "leave", roomId="board")
            other.leave()
        if inside:
            forget(insider)
            await asked(insider, "history", roomId="board")
            assert kinds(insider)[-1] == "history"


async def leap(running: RunningGateway, seconds: float) -> None:
    """Let time pass as it does: with sweeps, and with pongs of those who are there."""
    for _ in range(8):
        running.clock.advance(seconds / 8)
        await settle()
        for session in running.gateway.node.registry:
            session.last_seen = running.clock.monotonic()
        await swept(running.gateway.node.engine)
        await settle()


async def test_a_joiners_room_ends_with_what_was_said_in_it(
    make_engine: Callable[[FakeClock], Engine | None],
) -> None:
    """A room that nobody chose a rule for ends when it is empty and forgotten, and begins anew."""
    async with gateway_of(make_engine, given(100.0)) as running:
        ann = await person(running, "ann", "user")
        await asked(ann, "join", roomId="fresh")
        await asked(ann, "message", roomId="fresh", content="hello")
        epoch = ann.last("room_joined")["position"]["epoch"]
        ann.leave()
        for _ in range(4):
            await leap(running, 0.2 * HISTORY)
            assert await running.gateway.rooms.get("fresh") is not None
        await leap(running, 0.2 * HISTORY + 250)
        assert await running.gateway.rooms.get("fresh") is None
        bob = await person(running, "bob", "user")
        await asked(bob, "join", roomId="fresh")
        assert bob.last("room_joined")["position"]["epoch"] != epoch


# -- a record that went without its messages, as stores of older versions have them


async def lose_record(running: RunningGateway, channel: Channel = BOARD) -> None:
    """Take a record away as an expiry of an older version, or an eviction, does."""
    rooms: Any = running.gateway.node.engine.rooms
    if isinstance(running.gateway.node.engine, SqliteEngine):
        store = running.gateway.node.engine.store
        await store.execute("DELETE FROM rooms WHERE channel = ?", (channel,))
        rooms._cache.pop(channel, None)
    else:
        rooms._rooms.drop(channel)


@pytest.mark.parametrize("auto_create", [True, False], ids=["development", "production"])
async def test_messages_without_a_record_are_read_by_nobody(
    make_engine: Callable[[FakeClock], Engine | None], *, auto_create: bool
) -> None:
    """Where messages are kept and no record is, joining is refused, until an operator acts."""
    async with gateway_of(make_engine, given(auto_create=auto_create)) as running:
        await close_by_api(running)
        insider = await member(running)
        await asked(insider, "message", roomId="board", content=SECRET)
        position = insider.last("room_joined")["position"]
        await lose_record(running)
        await try_to_read(running, position)
        assert running.audited(Event.AUTHZ_DENY)[0].fields["reason"] == (
            "messages are kept there without a record"
        )
        with pytest.raises(CommandError) as refused:
            await running.gateway.publish("rooms:board", "x")
        assert refused.value.kind is ErrorKind.UNKNOWN_ROOM
        assert await running.gateway.operations.orphans() == (BOARD,)
        # One who sat in it reads no more, and cannot say more.
        forget(insider)
        await asked(insider, "history", roomId="board")
        await asked(insider, "message", roomId="board", content=SECRET)
        assert set(kinds(insider)) == {"error"}
        await running.gateway.rooms.set("board", CLOSED)
        assert await running.gateway.operations.orphans() == ()
        await try_to_read(running, position)
        await member(running, name="ted")


async def test_an_orphan_can_be_removed(
    make_engine: Callable[[FakeClock], Engine | None],
) -> None:
    """Removing a room deletes messages that have no record, and the name is free again."""
    async with gateway_of(make_engine, given()) as running:
        await close_by_api(running)
        await running.gateway.publish("rooms:board", SECRET)
        await lose_record(running)
        assert await running.gateway.rooms.remove("board")
        assert not await running.gateway.rooms.remove("board")
        ann = await person(running, "ann", "user")
        await asked(ann, "join", roomId="board")
        assert ann.last("room_joined")["position"]["offset"] == 0


# -- publishing without a record


@pytest.mark.parametrize("auto_create", [True, False], ids=["development", "production"])
async def test_publishing_to_a_room_without_a_record(
    make_engine: Callable[[FakeClock], Engine | None], *, auto_create: bool
) -> None:
    """Where joining makes rooms, so does publishing; elsewhere the room is unknown."""
    async with gateway_of(make_engine, given(auto_create=auto_create)) as running:
        if not auto_create:
            with pytest.raises(CommandError) as refused:
                await running.gateway.publish("rooms:news", "x")
            assert refused.value.kind is ErrorKind.UNKNOWN_ROOM
            assert refused.value.detail == "no such room; auto_create is off"
            assert await running.gateway.node.engine.streams.channels() == ()
            return
        await running.gateway.publish("rooms:news", "x")
        record = await running.gateway.operations.room(Channel.parse("rooms:news"))
        assert record is not None
        assert (record.origin, record.room.permissions) == (
            RoomOrigin.PUBLISHER,
            RoomPermissions(),
        )
        ann = await person(running, "ann", "user")
        await asked(ann, "history", roomId="news")
        assert [each["content"] for each in ann.last("history")["messages"]] == ["x"]


async def test_a_refusal_says_that_auto_create_is_off() -> None:
    """The log tells an operator why nobody can join: the client is told what it is always told."""
    async with run_gateway(given(auto_create=False)) as running:
        ann = await running.client("ann")
        await ask(ann, "join", roomId="lobby")
        assert errors(ann) == ["Insufficient permissions"]
        [entry] = running.audited(Event.AUTHZ_DENY)
        assert entry.fields["reason"] == "no such room; auto_create is off"


# -- races between a reader and the removal


async def remake_closed(engine: Any) -> None:
    """An open room is removed, made anew with a rule, and something is said there, all at once."""
    inner = engine.inner
    await inner.rooms.remove(BOARD)
    await inner.rooms.save(BOARD, CLOSED, RoomOrigin.BACKEND)
    record = await inner.rooms.get(BOARD)
    draft_of = engine_draft(SECRET)
    await inner.streams.publish(BOARD, draft_of, NAMESPACES["rooms"], None, record.life)


def engine_draft(data: str) -> Any:
    """A publication on its way."""
    return Draft(id="0" * 32, time=1, data=data)


async def close_in_place(engine: Any) -> None:
    """An open room gets a rule, and something is said there."""
    inner = engine.inner
    await inner.rooms.save(BOARD, CLOSED, RoomOrigin.BACKEND)
    record = await inner.rooms.get(BOARD)
    await inner.streams.publish(BOARD, engine_draft(SECRET), NAMESPACES["rooms"], None, record.life)


CHANGES = pytest.mark.parametrize("change", [remake_closed, close_in_place])


@pytest.mark.parametrize("told", [True, False], ids=["told", "not told"])
@pytest.mark.parametrize("moment", range(STEPS))
@CHANGES
async def test_a_reader_and_a_change(
    change: Callable[[Any], Any], moment: int, *, told: bool
) -> None:
    """Whenever a room changes while it is read, also when the bus loses it: nothing of it is handed out."""
    async with slow_gateway(settings(rooms={"limits": FREE})) as (running, engine):
        await engine.inner.rooms.save(BOARD, Room(id="board"), RoomOrigin.BACKEND)
        readers = [await arrive(running, engine, name) for name in ("eve", "eva")]
        readers[0].send({"type": "join", "data": {"roomId": "board"}})
        readers[1].send({"type": "history", "data": {"roomId": "board"}})
        await engine.run(moment)
        # What is read is tested here: what is announced is lost, so that it can only be read.
        engine.inner.streams.sink, sink = None, engine.inner.streams.sink
        await change(engine)
        engine.inner.streams.sink = sink
        if told:
            await engine.inner.streams.publish_control(RightsChanged(channel=BOARD))
        await engine.run()
        for reader in readers:
            assert SECRET not in str(reader.received)


async def test_several_channels_at_once() -> None:
    """Lists of channels are judged by the same records: one that is closed is left out."""
    endpoints = {
        **ENDPOINTS,
        "alerts": replace(ENDPOINTS["alerts"], limits=FREE, namespace="alerts"),
    }
    namespaces = {**NAMESPACES, "alerts": replace(NAMESPACES["alerts"], authorize=AccessRule.ROLES)}
    async with run_gateway(Settings(endpoints=endpoints, namespaces=namespaces)) as running:
        operations = running.gateway.operations
        board, other = Channel.parse("alerts:board"), Channel.parse("alerts:other")
        await operations.set_room(board, CLOSED)
        await operations.set_room(other, Room(id="other"))
        for channel in (board, other):
            await running.gateway.publish(
                str(channel), {"callId": channel.name, "severity": "low", "data": {"x": SECRET}},
                type="k",
            )  # fmt: skip
        token = running.token("eve")
        eve = await connect(running.gateway, "/alerts", authorization=f"Bearer {token}")
        await lose_record(running, other)
        eve.send({"type": "subscribe", "callIds": ["board", "other", "fresh"]})
        await settle()
        eve.send({"type": "get_history", "callId": "board"})
        eve.send({"type": "get_history"})
        await settle()
        assert SECRET not in str(eve.received)
        assert contents(eve) == []
