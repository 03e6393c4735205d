"""A closed room, users with the right to read it, and a user without who tries each command."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from portward.engines.port import Engine
from portward.model.channel import Channel
from portward.model.limits import Rate
from portward.model.room import Room, RoomPermissions
from portward.settings import Settings
from portward.settings.limits import Limits, RateLimit
from portward.testing import FakeClock, MemoryClient, connect
from tests.running_gateway import RunningGateway, errors, forget, kinds, run_gateway, settings

UNLIMITED = RateLimit(rate=Rate(0, 1.0, 1))
FREE = Limits(messages=UNLIMITED, join=UNLIMITED, auth=UNLIMITED, history=UNLIMITED)
BOARD = Channel.parse("rooms:board")
STAFF = RoomPermissions(read=("staff",), write=("staff",), admin=("boss",))
CLOSED = Room(id="board", permissions=STAFF)
SECRET = "the merger"
HISTORY = 1000.0
DAY = 80_000.0


def given(idle: float = 100.0, history: float = HISTORY, *, auto_create: bool = True) -> Settings:
    """Rooms without limits, whose messages are kept for `history`."""
    return settings(
        rooms={"limits": FREE, "auto_create": auto_create},
        namespace={"idle_ttl": idle, "history_ttl": history},
    )


@asynccontextmanager
async def gateway_of(
    make_engine: Callable[[FakeClock], Engine | None], chosen: Settings
) -> AsyncIterator[RunningGateway]:
    """A gateway over the engine under test."""
    clock = FakeClock()
    async with run_gateway(chosen, engine=make_engine(clock), clock=clock) as running:
        yield running


NUMBERS = count()


async def asked(client: MemoryClient, kind: str, **data: Any) -> None:
    """Ask, and wait for the answer of an engine that may have threads."""
    number = str(next(NUMBERS))
    client.send({"type": kind, "data": data, "id": number})
    await told(client, lambda message: message.get("id") == number)


async def told(client: MemoryClient, wanted: Callable[[Any], bool]) -> None:
    """Wait until a client has been told something."""
    for _ in range(5000):
        await client.settle()
        if any(map(wanted, client.received)):
            return
        await asyncio.sleep(0.001)
    raise AssertionError(f"it was not told: {client.received}")


async def person(running: RunningGateway, name: str, *roles: str, **claims: Any) -> MemoryClient:
    """An authenticated client."""
    client = await connect(running.gateway, "/rooms")
    token = running.token(name, roles=roles, ttl=DAY, **claims)
    await asked(client, "auth", token=token)
    assert client.last("auth_success")["user"]["userId"] == name
    return client


async def member(running: RunningGateway, *roles: str, name: str = "sue") -> MemoryClient:
    """A member of the staff in the room."""
    client = await person(running, name, *(roles or ("staff",)))
    await asked(client, "join", roomId="board")
    assert client.last("room_joined")["roomId"] == "board", errors(client)
    return client


async def close_by_api(running: RunningGateway) -> None:
    """The backend declares the room."""
    await running.gateway.rooms.set("board", CLOSED)


async def close_by_joiner(running: RunningGateway) -> None:
    """Somebody makes the room by joining it, and its administrator closes it."""
    boss = await person(running, "boss", "user", "admin", permissions=["room.create"])
    await asked(boss, "join", roomId="board")
    permissions = {"read": ["staff"], "write": ["staff"], "admin": ["boss"]}
    boss.send({"type": "set_permissions", "data": {"roomId": "board", "permissions": permissions}})
    await told(boss, lambda message: message["type"] == "room_left")


async def try_to_read(running: RunningGateway, position: dict[str, Any]) -> None:
    """Ask for the room in every way there is, and be refused."""
    outsider = await person(running, "eve", "user", permissions=["room.create"])
    forget(outsider)
    questions: list[tuple[str, dict[str, Any]]] = [
        ("join", {"roomId": "board"}),
        ("join", {"roomId": "board", "since": {**position, "offset": 0}}),
        ("history", {"roomId": "board"}),
        ("history", {"roomId": "board", "limit": 0}),
        ("presence", {"roomId": "board"}),
        ("message", {"roomId": "board", "content": "let me in"}),
    ]
    for kind, data in questions:
        await asked(outsider, kind, **data)
    allowed = {"error", "room_left"}
    assert set(kinds(outsider)) <= allowed
    assert SECRET not in str(outsider.received)
    outsider.leave()


async def swept(engine: Engine) -> None:
    """Sweep, after the sweep of the node's own: there is one at a time."""
    while getattr(engine, "_sweeping", False):  # noqa: ASYNC110 - it is no event, and soon over
        await asyncio.sleep(0.001)
    await engine.sweep()
