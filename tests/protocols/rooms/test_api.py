"""Rooms, as the application handles them."""

import pytest

from portward.model.room import Room, RoomType
from tests.running_gateway import ask, errors, kinds, run_gateway, settings


async def test_records() -> None:
    """A room is made with defaults or from a record, read, replaced and forgotten."""
    async with run_gateway() as running:
        rooms = running.gateway.rooms
        assert await rooms.get("a") is None
        assert await rooms.set("a") == Room(id="a", name="a")
        record = Room(id="other", type=RoomType.DOCUMENT, max_participants=3)
        assert await rooms.set("a", record) == Room(
            id="a", name="a", type=RoomType.DOCUMENT, max_participants=3
        )
        found = await rooms.get("a")
        assert found is not None
        assert (found.id, found.type) == ("a", RoomType.DOCUMENT)
        assert await rooms.remove("a") is True
        assert await rooms.remove("a") is False


@pytest.mark.parametrize("room", ["", "a b", "a*", "ž"])
async def test_what_is_no_room(room: str) -> None:
    """A text that cannot be a room id is a mistake."""
    async with run_gateway() as running:
        with pytest.raises(ValueError, match="channel"):
            await running.gateway.rooms.get(room)


async def test_the_backends_rooms_do_not_count() -> None:
    """The bound is for rooms that joins make: the application makes as many as it wants."""
    async with run_gateway() as running:
        running.gateway.node.engine.rooms._max_rooms = 1  # type: ignore[attr-defined]  # of the memory engine
        for name in "abc":
            await running.gateway.rooms.set(name)
        await running.client("ann", "joined")
        refused = await running.client("ann")
        await ask(refused, "join", roomId="another")
        assert errors(refused) == ["Insufficient permissions"]
        await running.gateway.rooms.set("d", Room(id="d", name="one more"))


async def test_members_are_judged_again() -> None:
    """Who is in a room that changes stays in by the new record or is out."""
    async with run_gateway() as running:
        await running.room()
        ann = await running.client("ann", "lobby", roles=["user", "author"])
        bob = await running.client("bob", "lobby")
        await running.room(permissions={"read": ["author"], "write": [], "admin": []})
        assert "room_left" not in kinds(ann)
        assert bob.last("room_left")["reason"] == "permission_denied"
        await ask(bob, "join", roomId="lobby")
        assert errors(bob) == ["Insufficient permissions"]


async def test_stats() -> None:
    """The numbers are those of the endpoints that serve rooms, users counted once per room."""
    async with run_gateway(settings(echo={"enabled": True})) as running:
        stats = running.gateway.rooms.stats
        assert stats().total_connections == 0
        await running.client("ann", "a", "b")
        await running.client("ann", "a")
        bob = await running.client("bob", "a")
        await running.client()
        found = stats()
        assert (found.total_connections, found.authenticated_connections) == (4, 3)
        assert (found.total_rooms, found.total_participants) == (2, 3)
        bob.leave()
        assert stats().total_participants == 2
