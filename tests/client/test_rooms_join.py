import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from portward.client.codec import RoomsCodec
from portward.client.requests import RequestConnection
from portward.client.rooms_join import join_rooms
from portward.model.position import Position
from portward.testing import FakeClock
from tests.client.scripted import Answers, FakeRooms, FakeTransport, refused

PLACE = Position(4, "e")


@asynccontextmanager
async def connected(
    join: Callable[[Any], Answers],
) -> AsyncIterator[tuple[FakeTransport, RequestConnection]]:
    """A connection to a gateway that answers `join` so."""
    transport = FakeTransport("rooms", {"join": join})
    clock = FakeClock()

    async def at_once() -> None:
        return

    connection = RequestConnection(transport, RoomsCodec(clock.time), clock, 10.0, lambda *_: None)
    reading = asyncio.create_task(connection.read(at_once))
    yield transport, connection
    await connection.close()
    await reading


async def test_one_room_takes_the_plain_form() -> None:
    """A single room is joined in the form that every gateway knows."""
    async with connected(FakeRooms().join) as (transport, connection):
        assert await join_rooms(connection, {"lobby": PLACE}) == []
    assert transport.of("join") == [{"roomId": "lobby", "since": {"offset": 4, "epoch": "e"}}]


@pytest.mark.parametrize(
    ("rooms", "sizes"), [(2, [2]), (128, [128]), (129, [128, 1]), (300, [128, 128, 44])]
)
async def test_a_message_names_128_rooms_at_most(rooms: int, sizes: list[int]) -> None:
    """More rooms than a message may name are joined with several messages."""
    async with connected(FakeRooms().join) as (transport, connection):
        assert await join_rooms(connection, {f"r{each}": None for each in range(rooms)}) == []
    assert [len(each["rooms"]) for each in transport.of("join")] == sizes


async def test_each_refused_room_is_returned() -> None:
    """Rooms that are refused come back with code, text and, where waiting helps, the time."""
    rooms = FakeRooms()
    rooms.refusals = {"secret": ("permission_denied", None), "busy": ("join_rate_limited", 2500)}
    async with connected(rooms.join) as (_, connection):
        failures = await join_rooms(connection, dict.fromkeys(("lobby", "secret", "busy")))
    assert [
        (each.room, each.error.code, each.error.text, each.error.temporary, each.error.retry_after)
        for each in failures
    ] == [
        ("secret", "permission_denied", "No: permission_denied", False, None),
        ("busy", "join_rate_limited", "No: join_rate_limited", True, 2.5),
    ]


async def test_an_older_gateway_is_asked_room_by_room() -> None:
    """A gateway that does not know the form with several rooms is asked for one after the other."""
    rooms = FakeRooms()

    def join(data: dict[str, Any]) -> Answers:
        if "rooms" in data:
            return refused("invalid_structure")(data)
        if data["roomId"] == "secret":
            return refused("permission_denied")(data)
        return rooms.join(data)

    async with connected(join) as (transport, connection):
        failures = await join_rooms(connection, {"lobby": PLACE, "secret": None, "hall": None})
    assert [each.room for each in failures] == ["secret"]
    assert [each.get("roomId") for each in transport.of("join")] == [
        None,
        "lobby",
        "secret",
        "hall",
    ]


@pytest.mark.parametrize(
    ("code", "wait", "temporary"),
    [
        ("rate_limited", 800, True),
        ("unavailable", None, True),
        ("not_authenticated", None, False),
        ("limit_exceeded", None, False),
        ("invalid_room_id", None, False),
    ],
)
async def test_a_refusal_of_the_message_is_one_of_each_room(
    code: str, wait: int | None, temporary: bool
) -> None:
    """An error that names no room counts for all of them."""
    async with connected(refused(code, wait)) as (_, connection):
        failures = await join_rooms(connection, {"lobby": None, "hall": None})
    assert [(each.room, each.error.code, each.error.temporary) for each in failures] == [
        ("lobby", code, temporary),
        ("hall", code, temporary),
    ]
