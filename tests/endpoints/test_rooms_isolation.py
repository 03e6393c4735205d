"""What is somebody else's stays somebody else's: every verb, from every side."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from portward.model.limits import Rate
from portward.model.namespace import AccessRule
from portward.settings.limits import Limits, RateLimit
from portward.testing import MemoryClient
from tests.running_gateway import (
    RunningGateway,
    ask,
    encoded,
    forget,
    run_gateway,
    settings,
    settle,
)

pytestmark = pytest.mark.p0

UNLIMITED = RateLimit(rate=Rate(0, 1.0, 1))
FREE = Limits(
    messages=UNLIMITED, join=UNLIMITED, auth=UNLIMITED, attempts=UNLIMITED, history=UNLIMITED
)
CANARY = "c4n4ry"

VERBS: dict[str, dict[str, Any]] = {
    "join": {},
    "rejoin": {"since": {"offset": 0, "epoch": "guessed"}},
    "history": {},
    "page": {"since": 0},
    "presence": {},
    "message": {"content": "x"},
    "typing": {"active": True},
    "leave": {},
    "kick": {"userId": "owner"},
    "set_permissions": {"permissions": {"read": ["guest", "user"], "admin": ["guest", "user"]}},
}
WORDS = {"rejoin": "join", "page": "history"}
READ = {"join", "rejoin", "history", "page", "presence"}
INSIDE = {"leave", "typing", "message"}


async def attempt(client: MemoryClient, verb: str, room: str) -> bool:
    """Whether a verb is allowed."""
    forget(client)
    await ask(client, WORDS.get(verb, verb), id="x", roomId=room, **VERBS[verb])
    return not client.all("error")


# -- roles


ALLOWED = {
    "guest": set(),
    "user": READ,
    "author": READ,
    "admin": READ | {"kick", "set_permissions"},
}
"""What each role may do from outside a room."""
ALLOWED_INSIDE = {
    "user": READ | {"leave"},
    "author": READ | INSIDE,
    "admin": READ | INSIDE | {"kick", "set_permissions"},
}
"""What each role may do from inside."""
PERMISSIONS = {"read": ["user"], "write": ["author"], "admin": ["admin"]}


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway without limits, where joining makes no rooms, with one room."""
    async with run_gateway(settings(rooms={"limits": FREE, "auto_create": False})) as running:
        await running.room(permissions=PERMISSIONS)
        yield running


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("role", ALLOWED)
async def test_roles_from_outside(running: RunningGateway, role: str, verb: str) -> None:
    """From outside a room each role may do exactly what its row says."""
    client = await running.client("eve", roles=[role])
    assert await attempt(client, verb, "lobby") is (verb in ALLOWED[role])


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("role", ALLOWED_INSIDE)
async def test_roles_from_inside(running: RunningGateway, role: str, verb: str) -> None:
    """From inside a room each role may do exactly what its row says."""
    client = await running.client("eve", "lobby", roles=[role])
    assert await attempt(client, verb, "lobby") is (verb in ALLOWED_INSIDE[role])


async def test_nothing_is_told_outside(running: RunningGateway) -> None:
    """Who is outside hears nothing of what goes on inside, whatever it tries."""
    owner = await running.client("owner", "lobby", roles=["admin"], email=f"{CANARY}@example.com")
    guest = await running.client("eve", roles=["guest"])
    forget(guest)
    heard = b""
    for verb, data in VERBS.items():
        await ask(guest, WORDS.get(verb, verb), roomId="lobby", **data)
        await ask(owner, "message", roomId="lobby", content=CANARY)
        await ask(owner, "typing", roomId="lobby", active=True)
        heard += encoded(guest.received)
        forget(guest)
        await running.advance(1)
    assert b"owner" not in heard
    assert CANARY.encode() not in heard
    assert owner.all("typing") == []
    assert [each["data"]["userId"] for each in owner.all("message")] == ["owner"] * len(VERBS)


# -- tenants


@pytest.fixture
async def tenants() -> AsyncIterator[RunningGateway]:
    """A gateway whose channels belong to workspaces."""
    given = settings(rooms={"limits": FREE}, namespace={"authorize": AccessRule.MEMBERSHIP})
    async with run_gateway(given) as running:
        yield running


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("own", [True, False], ids=["own", "foreign"])
@pytest.mark.parametrize("source", ["token", "directory"])
async def test_tenants(tenants: RunningGateway, source: str, own: bool, verb: str) -> None:
    """A member may read and write in its own workspace, and do nothing at all in another."""
    running = tenants
    await running.client(
        "owner", "w2:general" if not own else "w1:general", workspaceId="w2" if not own else "w1"
    )
    claims = {"workspaceId": "w1"} if source == "token" else {}
    if source == "directory":
        await running.gateway.operations.set_workspaces("eve", ["w1"])
    client = await running.client("eve", **claims)
    room = "w1:general" if own else "w2:general"
    assert await attempt(client, verb, room) is (own and verb in READ)
    if own and verb in READ:
        await ask(client, "join", roomId=room)
        assert await attempt(client, "message", room)


async def test_nothing_crosses_between_tenants(tenants: RunningGateway) -> None:
    """Two rooms of the same name in two workspaces are two rooms."""
    running = tenants
    first = await running.client("ann", "w1:general", workspaceId="w1")
    second = await running.client("bob", "w2:general", workspaceId="w2")
    forget(first)
    await ask(second, "message", roomId="w2:general", content=CANARY)
    await ask(second, "typing", roomId="w2:general", active=True)
    await ask(first, "history", roomId="w1:general")
    await ask(first, "presence", roomId="w1:general")
    second.leave()
    await settle()
    heard = encoded(first.received)
    assert CANARY.encode() not in heard
    assert b"bob" not in heard


# -- names nobody has taken


async def test_unknown_names_cost_nothing(running: RunningGateway) -> None:
    """Thousands of tries at names nobody has taken leave no room, no channel and no stream."""
    client = await running.client("eve")
    for number in range(2_000):
        await ask(client, "join", roomId=f"guess-{number}")
        await ask(client, "history", roomId=f"guess-{number}")
        if number % 9 == 0:
            await ask(client, "heartbeat")
        await running.advance(0.02)
    engine = running.gateway.node.engine
    assert await engine.streams.channels() == ()
    assert running.gateway.channels() == {}
    assert await running.gateway.presence("rooms:guess-1") == ()
    assert engine.presence._rooms == {}  # type: ignore[attr-defined]  # of the memory engine
    assert client.open


# -- entrances


@pytest.mark.parametrize("state", ["anonymous", "expired", "revoked"])
@pytest.mark.parametrize("verb", VERBS)
async def test_every_entrance_needs_authentication(
    running: RunningGateway, state: str, verb: str
) -> None:
    """Without a credential, or with one that is over, no verb does anything."""
    client = await running.client()
    if state != "anonymous":
        token = running.token("eve", roles=["admin"], ttl=1)
        if state == "revoked":
            await running.gateway.revoke(user="eve")
        else:
            running.clock.set_wall(running.clock.time() + 32)
        await ask(client, "auth", token=token)
    assert not await attempt(client, verb, "lobby")
    assert client.last("error")["message"] == "Not authenticated"
    room = await running.gateway.rooms.get("lobby")
    assert room is not None
    assert room.permissions.read == ("user",)
