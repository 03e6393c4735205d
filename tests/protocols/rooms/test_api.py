"""Rooms, as the application handles them."""

import pytest

from portward.model.room import Room, RoomType
from tests.house import ask, errors, kinds, running, settings


async def test_records() -> None:
    """A room is made with defaults or from a record, read, replaced and forgotten."""
    async with running() as house:
        rooms = house.gateway.rooms
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
    async with running() as house:
        with pytest.raises(ValueError, match="channel"):
            await house.gateway.rooms.get(room)


async def test_the_backends_rooms_do_not_count() -> None:
    """The bound is for rooms that joins make: the application makes as many as it wants."""
    async with running() as house:
        house.gateway.node.engine.rooms._max_rooms = 1  # type: ignore[attr-defined]  # of the memory engine
        for name in "abc":
            await house.gateway.rooms.set(name)
        await house.client("ann", "joined")
        refused = await house.client("ann")
        await ask(refused, "join", roomId="another")
        assert errors(refused) == ["Insufficient permissions"]
        await house.gateway.rooms.set("d", Room(id="d", name="one more"))


async def test_members_are_judged_again() -> None:
    """Who is in a room that changes stays in by the new record or is out."""
    async with running() as house:
        await house.room()
        ann = await house.client("ann", "lobby", roles=["user", "author"])
        bob = await house.client("bob", "lobby")
        await house.room(permissions={"read": ["author"], "write": [], "admin": []})
        assert "room_left" not in kinds(ann)
        assert bob.last("room_left")["reason"] == "permission_denied"
        await ask(bob, "join", roomId="lobby")
        assert errors(bob) == ["Insufficient permissions"]


async def test_stats() -> None:
    """The numbers are those of the endpoints that serve rooms, users counted once per room."""
    async with running(settings(echo={"enabled": True})) as house:
        stats = house.gateway.rooms.stats
        assert stats().total_connections == 0
        await house.client("ann", "a", "b")
        await house.client("ann", "a")
        bob = await house.client("bob", "a")
        await house.client()
        found = stats()
        assert (found.total_connections, found.authenticated_connections) == (4, 3)
        assert (found.total_rooms, found.total_participants) == (2, 3)
        bob.leave()
        assert stats().total_participants == 2
