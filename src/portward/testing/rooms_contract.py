"""The part of the engine's contract about rooms: a record guards its stream, and both end together."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import pytest

from portward.engines.port import MAX_ROOMS_OF_USER, Engine, Member, RoomEnded, RoomMade
from portward.model.channel import Channel
from portward.model.events import BusEvent, RightsChanged
from portward.model.namespace import Namespace
from portward.model.publication import Draft, HistoryQuery
from portward.model.room import Room, RoomOrigin, RoomPermissions

ROOM = Channel.parse("rooms:general")
OTHER = Channel.parse("rooms:other")
OPEN = Room(id="general")
CLOSED = Room(id="general", permissions=RoomPermissions(read=("staff",), write=("staff",)))
ROOMS_BOUND = MAX_ROOMS_OF_USER + 2
"""How many rooms of joiners the engine under test admits: give it as `max_rooms`."""

Elapse = Callable[[float], Awaitable[None]]


class _Sink(Protocol):
    events: list[BusEvent]


class RoomsContract:
    """Inherited by `EngineContract`."""

    @pytest.fixture
    def tick(self) -> float:
        """A short time for this engine, in seconds."""
        return 60.0

    @pytest.fixture
    def elapse(self, leap: Callable[[float], None], tick: float) -> Elapse:
        """Let a number of ticks pass. Override it, and `tick`, where time cannot be made to leap."""

        async def leap_ahead(ticks: float) -> None:
            leap(ticks * tick)

        return leap_ahead

    @pytest.fixture
    def unix(self) -> Callable[[], float]:
        """The engine's Unix time. Override it where the engine has a clock of its own."""
        return time.time

    async def test_a_record_is_saved_replaced_and_removed(self, engine: Engine) -> None:
        """A record is read back, another one replaces it in the same life, and a removed one is gone."""
        rooms = engine.rooms
        assert await rooms.get(ROOM) is None
        await rooms.save(ROOM, OPEN, RoomOrigin.BACKEND)
        first = await rooms.get(ROOM)
        await rooms.save(ROOM, CLOSED, RoomOrigin.SETTINGS)
        second = await rooms.get(ROOM)
        assert first is not None
        assert second is not None
        assert (first.room, first.origin) == (OPEN, RoomOrigin.BACKEND)
        assert (second.room, second.origin, second.life) == (
            CLOSED,
            RoomOrigin.SETTINGS,
            first.life,
        )
        assert await rooms.all() == {ROOM: second}
        assert await rooms.remove(ROOM)
        assert await rooms.get(ROOM) is None
        assert await rooms.all() == {}
        assert not await rooms.remove(ROOM)

    async def test_a_record_that_was_chosen_outlives_everything(
        self, engine: Engine, elapse: Elapse, tick: float
    ) -> None:
        """Time does not remove a record of the backend, the settings or an administrator."""
        origins = (RoomOrigin.BACKEND, RoomOrigin.SETTINGS, RoomOrigin.ADMIN)
        for origin in origins:
            await engine.rooms.save(_channel(origin), CLOSED, origin)
            await engine.rooms.use(_channel(origin), tick)
        for _ in range(3):
            await elapse(3)
            await engine.sweep()
        records = await engine.rooms.all()
        assert {name: each.origin for name, each in records.items()} == {
            _channel(origin): origin for origin in origins
        }

    async def test_a_record_with_an_end_takes_its_stream_along(
        self,
        engine: Engine,
        sink: _Sink,
        elapse: Elapse,
        tick: float,
        unix: Callable[[], float],
    ) -> None:
        """From its end on a record is not there; the sweep deletes the stream and announces it."""
        namespace = _kept(history=1000 * tick)
        end = unix() + tick
        await engine.rooms.save(ROOM, CLOSED, RoomOrigin.BACKEND, expires=end)
        await _publish(engine, ROOM, namespace)
        await elapse(1.5)
        assert await engine.rooms.get(ROOM) is None
        await engine.sweep()
        assert not await engine.streams.is_readable(ROOM)
        assert RightsChanged(channel=ROOM) in sink.events

    async def test_a_record_after_one_that_expired_is_another_life(
        self, engine: Engine, elapse: Elapse, tick: float, unix: Callable[[], float]
    ) -> None:
        """What a record guarded until its end is not handed to the next one of the same name."""
        makers: tuple[Callable[[Engine, Channel], Awaitable[object]], ...] = (_join, _save)
        for number, make in enumerate(makers):
            channel = _channel(str(number))
            end = unix() + tick
            await engine.rooms.save(channel, CLOSED, RoomOrigin.BACKEND, expires=end)
            await _publish(engine, channel, _kept(history=1000 * tick))
            await elapse(1.5)
            await make(engine, channel)
            record = await engine.rooms.get(channel)
            assert record is not None
            assert record.expires is None
            assert not await engine.streams.is_readable(channel)

    async def test_a_made_record_replaces_none(self, engine: Engine, tick: float) -> None:
        """Making a room that is there changes nothing, whoever made it before."""
        made = engine.rooms.make
        await engine.rooms.save(ROOM, CLOSED, RoomOrigin.BACKEND)
        assert await made(ROOM, OPEN, RoomOrigin.JOINER, "ann", tick) is RoomMade.EXISTS
        assert await made(OTHER, OPEN, RoomOrigin.JOINER, "ann", tick) is RoomMade.MADE
        assert await made(OTHER, CLOSED, RoomOrigin.JOINER, "bob", tick) is RoomMade.EXISTS
        kept, other = await engine.rooms.get(ROOM), await engine.rooms.get(OTHER)
        assert kept is not None
        assert other is not None
        assert kept.room == CLOSED
        assert (other.room, other.origin, other.maker) == (OPEN, RoomOrigin.JOINER, "ann")

    @pytest.mark.parametrize("origin", [RoomOrigin.JOINER, RoomOrigin.PUBLISHER])
    async def test_a_made_record_ends_unused(
        self, engine: Engine, sink: _Sink, elapse: Elapse, tick: float, origin: RoomOrigin
    ) -> None:
        """A room that nobody declared and nobody uses is swept, which is announced."""
        assert await engine.rooms.make(ROOM, OPEN, origin, "", tick) is RoomMade.MADE
        await elapse(1.5)
        assert await engine.rooms.get(ROOM) is not None
        await engine.sweep()
        assert await engine.rooms.get(ROOM) is None
        assert await engine.rooms.all() == {}
        assert RightsChanged(channel=ROOM) in sink.events

    async def test_a_made_record_stays_while_a_connection_is_present(
        self, engine: Engine, elapse: Elapse, tick: float
    ) -> None:
        """However long a connection is in the room, the record stays; after it has left, it ends."""
        await _join(engine, ROOM, tick)
        await engine.presence.enter(ROOM, Member("c1", "ann"))
        for _ in range(3):
            await elapse(1.5)
            await engine.sweep()
        assert await engine.rooms.get(ROOM) is not None
        await engine.presence.leave(ROOM, "c1", "ann")
        await elapse(1.5)
        await engine.sweep()
        assert await engine.rooms.get(ROOM) is None

    async def test_a_made_record_stays_while_a_node_listens(
        self, engine: Engine, elapse: Elapse, tick: float
    ) -> None:
        """A room without presence is in use as long as its publications are listened to."""
        await _join(engine, ROOM, tick)
        await engine.streams.subscribe(ROOM)
        for _ in range(3):
            await elapse(1.5)
            await engine.sweep()
        assert await engine.rooms.get(ROOM) is not None

    @pytest.mark.parametrize("history", [0.5, 1.0, 4.0], ids=["shorter", "equal", "longer"])
    async def test_a_made_record_guards_what_is_kept(
        self, engine: Engine, elapse: Elapse, tick: float, history: float
    ) -> None:
        """Whatever lives longer, there is no moment with a publication and without the record."""
        await _join(engine, ROOM, tick)
        await _publish(engine, ROOM, _kept(history=history * tick))
        for _ in range(16):
            await elapse(0.5)
            await engine.sweep()
            kept = await engine.streams.is_readable(ROOM)
            record = await engine.rooms.get(ROOM)
            assert record is not None or not kept
        assert record is None

    async def test_no_room_is_made_over_what_is_kept(self, engine: Engine, tick: float) -> None:
        """Where something is kept and no record guards it, joining makes none; the backend may."""
        await _publish(engine, ROOM, _kept(history=1000 * tick))
        made = await engine.rooms.make(ROOM, OPEN, RoomOrigin.JOINER, "ann", tick)
        assert made is RoomMade.ORPHAN
        assert await engine.rooms.get(ROOM) is None
        await engine.rooms.save(ROOM, CLOSED, RoomOrigin.BACKEND)
        assert await engine.streams.is_readable(ROOM)

    async def test_what_has_no_record_can_be_removed(self, engine: Engine, tick: float) -> None:
        """Removing a room deletes its stream also where there is no record."""
        await _publish(engine, ROOM, _kept(history=1000 * tick))
        assert await engine.rooms.remove(ROOM)
        assert not await engine.streams.is_readable(ROOM)
        made = await engine.rooms.make(ROOM, OPEN, RoomOrigin.JOINER, "ann", tick)
        assert made is RoomMade.MADE

    @pytest.mark.parametrize("again", [False, True], ids=["removed", "made anew"])
    async def test_nothing_is_published_by_a_record_that_was_removed(
        self, engine: Engine, tick: float, *, again: bool
    ) -> None:
        """A publication that was on its way when its room was removed reaches no later room."""
        namespace = _kept(history=1000 * tick)
        await engine.rooms.save(ROOM, CLOSED, RoomOrigin.BACKEND)
        record = await engine.rooms.get(ROOM)
        assert record is not None
        await engine.streams.publish(ROOM, _draft("before"), namespace, None, record.life)
        assert await engine.rooms.remove(ROOM)
        if again:
            assert await _join(engine, ROOM, tick) is RoomMade.MADE
        with pytest.raises(RoomEnded):
            await engine.streams.publish(ROOM, _draft("late"), namespace, None, record.life)
        page = await engine.streams.history(ROOM, HistoryQuery(limit=10), namespace)
        assert page.publications == ()
        assert not await engine.streams.is_readable(ROOM)

    async def test_a_record_allows_publications_of_its_own_life(
        self, engine: Engine, tick: float
    ) -> None:
        """A room made anew is published to by its own record."""
        namespace = _kept(history=1000 * tick)
        for room in (CLOSED, OPEN):
            await engine.rooms.save(ROOM, room, RoomOrigin.BACKEND)
            record = await engine.rooms.get(ROOM)
            assert record is not None
            await engine.streams.publish(ROOM, _draft(room.name), namespace, None, record.life)
            page = await engine.streams.history(ROOM, HistoryQuery(limit=10), namespace)
            assert [each.data for each in page.publications] == [room.name]
            assert await engine.rooms.remove(ROOM)

    async def test_rooms_of_joiners_are_bounded(self, engine: Engine, tick: float) -> None:
        """So many rooms of one user, so many of all; a removed one makes place, others do not count."""
        made, rooms = RoomMade.MADE, engine.rooms
        joined = [await _join(engine, _channel(f"a{n}"), tick) for n in range(MAX_ROOMS_OF_USER)]
        assert set(joined) == {made}
        assert await _join(engine, ROOM, tick) is RoomMade.MAKER_FULL
        assert await _join(engine, _channel("b1"), tick, maker="bob") is made
        assert await _join(engine, _channel("b2"), tick, maker="bob") is made
        assert await _join(engine, _channel("b3"), tick, maker="bob") is RoomMade.FULL
        await rooms.save(ROOM, OPEN, RoomOrigin.BACKEND)
        published = await rooms.make(OTHER, OPEN, RoomOrigin.PUBLISHER, "", tick)
        assert published is made
        assert await rooms.remove(_channel("a0"))
        assert await _join(engine, _channel("a100"), tick) is made
        assert await _join(engine, _channel("a101"), tick) is not made

    async def test_an_administrator_makes_a_room_stay(
        self, engine: Engine, elapse: Elapse, tick: float
    ) -> None:
        """A joiner's room whose permissions were chosen stays, and still counts for its maker."""
        await _join(engine, ROOM, tick)
        await engine.rooms.save(ROOM, CLOSED, RoomOrigin.ADMIN)
        await elapse(3)
        await engine.sweep()
        record = await engine.rooms.get(ROOM)
        assert record is not None
        assert (record.room, record.origin, record.maker) == (CLOSED, RoomOrigin.ADMIN, "ann")

    async def test_a_room_of_a_joiner_becomes_the_backends(
        self, engine: Engine, elapse: Elapse, tick: float
    ) -> None:
        """Whatever made it: a record that the backend has set stays and counts for nobody."""
        await _join(engine, ROOM, tick)
        await engine.rooms.save(ROOM, CLOSED, RoomOrigin.BACKEND)
        await elapse(3)
        await engine.sweep()
        record = await engine.rooms.get(ROOM)
        assert record is not None
        assert (record.room, record.maker) == (CLOSED, "")

    async def test_two_who_make_one_room(self, engine: Engine, tick: float) -> None:
        """Of several who make the same room at once one does, and all find the same record."""
        made = await asyncio.gather(*(_join(engine, ROOM, tick, maker=f"u{n}") for n in range(5)))
        assert sorted(made) == [RoomMade.EXISTS] * 4 + [RoomMade.MADE]


def _channel(name: str) -> Channel:
    return Channel.parse(f"rooms:{name}")


def _kept(history: float) -> Namespace:
    return Namespace(name="rooms", history_size=5, history_ttl=history, idle_ttl=1.0)


def _draft(data: object) -> Draft:
    return Draft(id="0" * 32, time=1, data=data)


async def _publish(engine: Engine, channel: Channel, namespace: Namespace) -> None:
    await engine.streams.publish(channel, _draft("secret"), namespace, None)


async def _join(
    engine: Engine, channel: Channel, tick: float = 60.0, maker: str = "ann"
) -> RoomMade:
    return await engine.rooms.make(channel, OPEN, RoomOrigin.JOINER, maker, tick)


async def _save(engine: Engine, channel: Channel) -> None:
    await engine.rooms.save(channel, OPEN, RoomOrigin.BACKEND)
