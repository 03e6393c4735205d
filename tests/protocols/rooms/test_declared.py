"""Rooms that the settings declare, in a running gateway."""

from msgspec.structs import replace

from portward.model.room import Room, RoomOrigin, RoomPermissions
from portward.protocols.rooms.declared import RETRY
from portward.settings import Settings
from portward.settings.rooms import DeclaredPermissions, DeclaredRoom
from tests.running_gateway import LOBBY, RunningGateway, ask, errors, kinds, run_gateway, settings
from tests.slow_engine import slow_gateway

STAFF = DeclaredPermissions(read=("staff",), write=("staff",))


def declaring(**declared: DeclaredRoom) -> Settings:
    """Settings of a gateway where joining makes no room, and these are declared."""
    return replace(settings(rooms={"auto_create": False}), rooms=declared)


async def record(running: RunningGateway) -> RoomPermissions | None:
    """Who may do what in the lobby."""
    found = await running.gateway.operations.room(LOBBY)
    assert found is None or found.origin is RoomOrigin.SETTINGS
    return None if found is None else found.room.permissions


async def test_a_declared_room_is_there_from_the_start() -> None:
    """Who comes first finds it, though joining makes no room."""
    async with run_gateway(declaring(lobby=DeclaredRoom())) as running:
        await running.client("ann", "lobby")
        other = await running.client("ann")
        await ask(other, "join", roomId="another")
        assert errors(other) == ["Insufficient permissions"]


async def test_the_settings_win_at_the_start_and_leave_alone_what_is_the_same() -> None:
    """A record that says otherwise is replaced; one that says the same has nobody judged again."""
    async with run_gateway(declaring(lobby=DeclaredRoom(permissions=STAFF))) as running:
        await running.gateway.rooms.set("lobby", Room(id="lobby"))
        ann = await running.client("ann", "lobby")
        running.gateway.reload(declaring(lobby=DeclaredRoom(permissions=STAFF)))
        await ann.settle()
        assert ann.last("room_left")["reason"] == "permission_denied"
        before = running.count("events_total", event="room.permissions")
        running.gateway.reload(declaring(lobby=DeclaredRoom(permissions=STAFF)))
        await ann.settle()
        assert running.count("events_total", event="room.permissions") == before


async def test_a_room_that_is_declared_no_longer_keeps_its_rule() -> None:
    """What is kept in a room is not opened, nor lost, because a table was taken out."""
    async with run_gateway(declaring(lobby=DeclaredRoom(permissions=STAFF))) as running:
        sue = await running.client("sue", "lobby", roles=["staff"])
        running.gateway.reload(declaring())
        await sue.settle()
        assert "room_left" not in kinds(sue)
        assert await record(running) == RoomPermissions(("staff",), ("staff",))


async def test_a_store_that_is_away_is_asked_again() -> None:
    """What the store does not take at a reload is written as soon as it does."""
    async with slow_gateway(declaring()) as (running, engine):
        engine.fails = {"rooms.save"}
        running.gateway.reload(declaring(lobby=DeclaredRoom()))
        await engine.run()
        engine.fails.clear()
        assert await engine.inner.rooms.get(LOBBY) is None
        running.clock.advance(RETRY)
        await engine.run()
        found = await engine.inner.rooms.get(LOBBY)
        assert found is not None
        assert found.origin is RoomOrigin.SETTINGS
