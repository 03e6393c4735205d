import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from portward.client.connection import Connection
from portward.client.errors import NoAnswer
from portward.client.inbox import Inbox
from portward.client.rejoining import Failure, rejoin
from portward.model.position import Position
from tests.client.peers import Answer, FakeLink, joined, refusing

PLACE = Position(4, "e")


@asynccontextmanager
async def connected(
    join: Callable[[Any], Any], limit: float = 5.0
) -> AsyncIterator[tuple[FakeLink, Connection]]:
    """A connection to a gateway that answers `join` so."""
    link = FakeLink({"join": join})
    connection = Connection(link, Inbox(1000), lambda *_: None, limit)
    reading = asyncio.create_task(connection.listen())
    yield link, connection
    await connection.close()
    await reading


def error(room: str, code: str, wait: int | None = None) -> Answer:
    """The error of one room."""
    kind, data = refusing(code, wait)(None)
    return kind, data | {"roomId": room}


async def test_several_rooms_take_one_message() -> None:
    """Two rooms and more are joined with one message, each from its position."""
    async with connected(joined()) as (link, connection):
        assert await rejoin(connection, {"lobby": PLACE, "hall": None}) == []
    assert [each["data"] for each in link.sent] == [
        {"rooms": [{"roomId": "lobby", "since": {"offset": 4, "epoch": "e"}}, {"roomId": "hall"}]}
    ]


async def test_one_room_takes_the_plain_form() -> None:
    """A single room is joined as every gateway knows it."""
    async with connected(joined()) as (link, connection):
        assert await rejoin(connection, {"lobby": PLACE}) == []
    assert link.sent[0]["data"]["roomId"] == "lobby"


@pytest.mark.parametrize(
    ("rooms", "sizes"), [(2, [2]), (128, [128]), (129, [128, 1]), (300, [128, 128, 44])]
)
async def test_a_message_names_128_rooms_at_most(rooms: int, sizes: list[int]) -> None:
    """More rooms than a message may name are joined with several messages."""
    async with connected(joined()) as (link, connection):
        assert await rejoin(connection, {f"r{each}": None for each in range(rooms)}) == []
    assert [len(each["data"]["rooms"]) for each in link.sent] == sizes


async def test_each_refused_room_is_returned() -> None:
    """Rooms that are refused come back with code, text and, where waiting helps, the time."""

    def join(_: Any) -> list[Answer]:
        failed = [
            {"roomId": "secret", "code": "permission_denied"},
            {"roomId": "busy", "code": "join_rate_limited", "retryAfterMs": 2500},
            {"roomId": "away", "code": "unavailable"},
        ]
        return [
            joined()({"roomId": "lobby"}),
            error("secret", "permission_denied"),
            error("busy", "join_rate_limited", 2500),
            ("joined", {"rooms": ["lobby"], "failed": failed}),
        ]

    async with connected(join) as (_, connection):
        names = ("lobby", "secret", "busy", "away")
        assert await rejoin(connection, dict.fromkeys(names)) == [
            Failure("secret", "permission_denied", "No: permission_denied", False, None),
            Failure("busy", "join_rate_limited", "No: join_rate_limited", True, 2.5),
            Failure("away", "unavailable", "unavailable", True, None),
        ]


async def test_older_gateway_is_asked_room_by_room() -> None:
    """A gateway that does not know the form with several rooms is asked for one after the other."""

    def join(data: dict[str, Any]) -> Any:
        if "rooms" in data:
            return refusing("invalid_structure")(data)
        if data["roomId"] == "secret":
            return refusing("permission_denied")(data)
        return joined()(data)

    async with connected(join) as (link, connection):
        failures = await rejoin(connection, {"lobby": PLACE, "secret": None, "hall": None})
    assert [each.room for each in failures] == ["secret"]
    assert [each["data"].get("roomId") for each in link.sent] == [None, "lobby", "secret", "hall"]


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
    async with connected(refusing(code, wait)) as (_, connection):
        failures = await rejoin(connection, {"lobby": None, "hall": None})
    assert [(each.room, each.code, each.temporary) for each in failures] == [
        ("lobby", code, temporary),
        ("hall", code, temporary),
    ]


async def test_answers_that_stop_coming() -> None:
    """When the last answer does not come in time, the request ends with `NoAnswer`."""

    def join(_: Any) -> list[Answer]:
        return [joined()({"roomId": "lobby"})]

    async with connected(join, limit=0.05) as (_, connection):
        with pytest.raises(NoAnswer):
            await rejoin(connection, {"lobby": None, "hall": None})
