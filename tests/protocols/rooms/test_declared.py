"""Rooms that the settings declare, in a running gateway."""

from msgspec.structs import replace

from portward.model.room import Room, RoomOrigin, RoomPermissions
from portward.protocols.rooms.declared import RETRY
from portward.settings import Settings
from portward.settings.rooms import DeclaredPermissions, DeclaredRoom
from tests.house import LOBBY, House, ask, errors, kinds, running, settings
from tests.slow_engine import slow_house

STAFF = DeclaredPermissions(read=("staff",), write=("staff",))


def declaring(**declared: DeclaredRoom) -> Settings:
    """Settings of a gateway where joining makes no room, and these are declared."""
    return replace(settings(rooms={"auto_create": False}), rooms=declared)


async def record(house: House) -> RoomPermissions | None:
    """Who may do what in the lobby."""
    found = await house.gateway.operations.room(LOBBY)
    assert found is None or found.origin is RoomOrigin.SETTINGS
    return None if found is None else found.room.permissions


async def test_a_declared_room_is_there_from_the_start() -> None:
    """Who comes first finds it, though joining makes no room."""
    async with running(declaring(lobby=DeclaredRoom())) as house:
        await house.client("ann", "lobby")
        other = await house.client("ann")
        await ask(other, "join", roomId="another")
        assert errors(other) == ["Insufficient permissions"]


async def test_the_settings_win_at_the_start_and_leave_alone_what_is_the_same() -> None:
    """A record that says otherwise is replaced; one that says the same has nobody judged again."""
    async with running(declaring(lobby=DeclaredRoom(permissions=STAFF))) as house:
        await house.gateway.rooms.set("lobby", Room(id="lobby"))
        ann = await house.client("ann", "lobby")
        house.gateway.reload(declaring(lobby=DeclaredRoom(permissions=STAFF)))
        await ann.settle()
        assert ann.last("room_left")["reason"] == "permission_denied"
        before = house.count("events_total", event="room.permissions")
        house.gateway.reload(declaring(lobby=DeclaredRoom(permissions=STAFF)))
        await ann.settle()
        assert house.count("events_total", event="room.permissions") == before


async def test_a_room_that_is_declared_no_longer_keeps_its_rule() -> None:
    """What is kept in a room is not opened, nor lost, because a table was taken out."""
    async with running(declaring(lobby=DeclaredRoom(permissions=STAFF))) as house:
        sue = await house.client("sue", "lobby", roles=["staff"])
        house.gateway.reload(declaring())
        await sue.settle()
        assert "room_left" not in kinds(sue)
        assert await record(house) == RoomPermissions(("staff",), ("staff",))


async def test_a_store_that_is_away_is_asked_again() -> None:
    """What the store does not take at a reload is written as soon as it does."""
    async with slow_house(declaring()) as (house, engine):
        engine.fails = {"rooms.save"}
        house.gateway.reload(declaring(lobby=DeclaredRoom()))
        await engine.run()
        engine.fails.clear()
        assert await engine.inner.rooms.get(LOBBY) is None
        house.clock.advance(RETRY)
        await engine.run()
        found = await engine.inner.rooms.get(LOBBY)
        assert found is not None
        assert found.origin is RoomOrigin.SETTINGS
