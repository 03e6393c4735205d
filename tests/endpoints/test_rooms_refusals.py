"""What the rooms endpoint refuses: every text, every limit, every way a session ends."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from portward.model.errors import ErrorKind
from portward.model.limits import LimitMode, Rate
from portward.protocols.rooms.messages import CODES, TEXTS
from portward.settings import Secret
from portward.settings.limits import Limits, RateLimit
from portward.settings.sections import Environment, GateSettings
from portward.settings.tokens import Tokens
from portward.telemetry.events import Event
from portward.testing import MemoryClient, connect
from tests.running_gateway import (
    LOBBY,
    RunningGateway,
    ask,
    contents,
    encoded,
    errors,
    forget,
    kinds,
    run_gateway,
    session_of,
    settings,
    settle,
)

UNLIMITED = RateLimit(rate=Rate(0, 1.0, 1))
FREE = Limits(messages=UNLIMITED, join=UNLIMITED, auth=UNLIMITED, history=UNLIMITED)


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway with the default settings of development."""
    async with run_gateway() as running:
        yield running


@pytest.fixture
async def free() -> AsyncIterator[RunningGateway]:
    """A gateway that counts neither messages nor joins nor attempts."""
    async with run_gateway(settings(rooms={"limits": FREE})) as running:
        yield running


def raw(client: MemoryClient, payload: str | bytes) -> None:
    """Send text as it is."""
    client.send_bytes(payload.encode() if isinstance(payload, str) else payload, binary=False)


# -- texts


def envelope(**changes: object) -> dict[str, Any]:
    """A sound envelope with some keys changed; None takes a key away."""
    whole = {"type": "heartbeat", "data": {}, "timestamp": 0} | changes
    return {key: value for key, value in whole.items() if value is not ...}


@pytest.mark.parametrize(
    "payload",
    [
        "", "hello", "{", "[1", '{"a":1}x', "nul", '{"a":1,"a":2}', '{"a":NaN}', '{"a":Infinity}',
        '{"a":1e400}', '{"a":9007199254740993}', '{"a":"\\ud800"}', '{"a":"\\u0000"}',
        '{"__proto__":{}}', '{"a":{"constructor":1}}', "[" * 33 + "]" * 33, "'a'", "\ufeff{}",
    ],
)  # fmt: skip
async def test_invalid_format(running: RunningGateway, payload: str) -> None:
    """What is not strict JSON has an invalid format, and the connection lives."""
    client = await running.client()
    raw(client, payload)
    await settle()
    told = client.all("error")[0]["data"]
    assert told.pop("details", {"rule": ""}).keys() <= {"rule", "depth"}
    assert told == {"message": "Invalid message format", "code": "invalid_format"}
    assert client.open


@pytest.mark.parametrize(
    "message",
    [
        [], 1, "text", None, {},
        envelope(type=...), envelope(type=5), envelope(data=...), envelope(data=[]),
        envelope(data="x"), envelope(timestamp=...), envelope(timestamp="0"),
        envelope(timestamp=True), envelope(extra=1), envelope(data={"extra": 1}),
        envelope(type="join", data={}), envelope(type="join", data={"roomId": 5}),
        envelope(type="join", data={"roomId": "a", "since": {"offset": 1}}),
        envelope(type="join", data={"roomId": "a", "since": {"offset": -1, "epoch": "x"}}),
        envelope(type="auth", data={"token": 5}), envelope(type="auth", data={"token": None}),
        envelope(type="auth", data={"token": "a", "wsToken": "b"}),
        envelope(type="message", data={"roomId": "a", "content": 5}),
        envelope(type="message", data={"roomId": "a", "content": "x", "userId": "admin"}),
        envelope(type="history", data={"roomId": "a", "limit": -1}),
        envelope(type="history", data={"roomId": "a", "limit": True}),
        envelope(type="history", data={"roomId": "a", "since": 1, "before": 2}),
        envelope(type="history", data={"roomId": "a", "before": -1}),
        envelope(type="typing", data={"roomId": "a", "active": 1}),
        envelope(type="kick", data={"roomId": "a", "userId": ""}),
        envelope(type="kick", data={"roomId": "a", "userId": "x" * 129}),
        envelope(type="set_permissions", data={"roomId": "a", "permissions": {"owner": []}}),
        envelope(type="refresh", data={"wsToken": "x"}),
    ],
)  # fmt: skip
async def test_invalid_structure(running: RunningGateway, message: object) -> None:
    """JSON that is no message of this dialect has an invalid structure."""
    client = await running.client()
    raw(client, json.dumps(message))
    await settle()
    assert client.all("error")[0]["data"] == {
        "message": "Invalid message structure",
        "code": "invalid_structure",
    }


RESERVED = ("sender", "role", "ts", "id", "userId", "email", "offset", "signature", "timestamp")


@pytest.mark.parametrize("kind", ["join", "leave", "message", "history", "presence", "typing"])
@pytest.mark.parametrize("field", RESERVED)
async def test_forged_fields_are_refused(free: RunningGateway, kind: str, field: str) -> None:
    """A field that only the server writes is refused in every message, and nothing is told."""
    ann = await free.client("ann", "lobby")
    bob = await free.client("bob", "lobby")
    forget(ann, bob)
    data: dict[str, Any] = {"roomId": "lobby", field: "forged"}
    data |= {"content": "x"} if kind == "message" else {}
    data |= {"active": True} if kind == "typing" else {}
    ann.send({"type": kind, "data": data})
    await settle()
    assert errors(ann) == ["Invalid message structure"]
    assert bob.received == []


async def test_unknown_type(running: RunningGateway) -> None:
    """A type nobody knows is refused by name."""
    client = await running.client()
    await ask(client, "shout")
    assert client.last("error") == {"message": "Unknown message type", "code": "unknown_type"}


@pytest.mark.parametrize("data", [{}, {"token": ""}, {"wsToken": ""}, {"token": "", "wsToken": ""}])
async def test_token_required(running: RunningGateway, data: dict[str, str]) -> None:
    """Authenticating with nothing says what is missing."""
    client = await running.client()
    await ask(client, "auth", **data)
    assert client.last("error") == {"message": "Token required", "code": "token_required"}


async def test_refresh_needs_a_token(running: RunningGateway) -> None:
    """Refreshing with nothing says what is missing."""
    client = await running.client("ann")
    await ask(client, "refresh")
    await ask(client, "refresh", token="")
    assert errors(client) == ["Token required"] * 2


@pytest.mark.parametrize("kind", ["token", "wsToken"])
@pytest.mark.parametrize("value", ["x", "a.b.c", "x" * 9000, "ž", "eyJhbGciOiJub25lIn0.e30."])
async def test_authentication_failed(running: RunningGateway, kind: str, value: str) -> None:
    """A token that is none fails, is counted, and is in no log."""
    client = await running.client()
    await ask(client, "auth", **{kind: value})
    assert client.last("error") == {
        "message": "Authentication failed",
        "code": "authentication_failed",
    }
    assert running.count("auth_total", endpoint="rooms", result="failed") == 1
    assert running.events(Event.AUTH_FAIL) == 1
    assert client.open


async def test_expired_token_fails(running: RunningGateway) -> None:
    """A token past its expiry and leeway fails, and is counted as expired."""
    client = await running.client()
    token = running.token("ann", ttl=60)
    await running.advance(15)
    running.clock.set_wall(running.clock.time() + 76)
    await ask(client, "auth", token=token)
    assert errors(client) == ["Authentication failed"]
    assert running.count("auth_total", endpoint="rooms", result="expired") == 1


async def test_kinds_of_token_do_not_mix(running: RunningGateway) -> None:
    """An access token is no session token, and the other way round."""
    client = await running.client("ann")
    session = client.last("auth_success")["wsToken"]
    other = await running.client()
    await ask(other, "auth", wsToken=running.token("ann"))
    await ask(other, "auth", token=session)
    assert errors(other) == ["Authentication failed"] * 2


@pytest.mark.parametrize("by", ["jti", "user", "session", "token"])
async def test_revoked_token(running: RunningGateway, by: str) -> None:
    """A token that was taken back says so, however it was named."""
    token = running.token("ann", jti="j1", sid="s1")
    value = {"jti": "j1", "user": "ann", "session": "s1", "token": token}[by]
    await running.gateway.revoke(**{by: value})
    client = await running.client()
    await ask(client, "auth", token=token)
    assert client.last("error") == {
        "message": "Token has been revoked",
        "code": "token_revoked",
    }
    assert running.count("auth_total", endpoint="rooms", result="revoked") == 1


BEFORE_AUTH = [
    ("refresh", {"token": "x"}),
    ("join", {"roomId": "lobby"}),
    ("leave", {"roomId": "lobby"}),
    ("message", {"roomId": "lobby", "content": "x"}),
    ("history", {"roomId": "lobby"}),
    ("presence", {"roomId": "lobby"}),
    ("typing", {"roomId": "lobby", "active": True}),
    ("kick", {"roomId": "lobby", "userId": "ann"}),
    ("set_permissions", {"roomId": "lobby", "permissions": {"read": ["user"]}}),
]


@pytest.mark.parametrize(("kind", "data"), BEFORE_AUTH)
async def test_not_authenticated(running: RunningGateway, kind: str, data: dict[str, Any]) -> None:
    """Before authentication every message but `auth` and `heartbeat` is refused."""
    await running.room()
    client = await running.client()
    await ask(client, kind, **data)
    assert client.last("error") == {"message": "Not authenticated", "code": "not_authenticated"}


@pytest.mark.parametrize(
    "room",
    ["", " ", "a b", "a*", "a?", "[a]", "{a}", 'a"', "a\\b", "ä", "x" * 123, "a\u200b", "a\n"],
)
async def test_invalid_room_id(running: RunningGateway, room: str) -> None:
    """A room id outside the grammar is refused by name."""
    client = await running.client("ann")
    await ask(client, "join", roomId=room)
    assert client.last("error") == {"message": "Invalid room id", "code": "invalid_room_id"}
    assert await running.gateway.node.engine.streams.channels() == ()


@pytest.mark.parametrize("room", ["a", "A", "a:b", "x" * 122, "#!~", "a.b-c_d/e"])
async def test_room_ids_of_the_grammar(running: RunningGateway, room: str) -> None:
    """Printable ASCII without the forbidden characters names a room, case and all."""
    client = await running.client("ann", room)
    assert client.last("room_joined")["roomId"] == room


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("message", {"content": "x"}),
        ("leave", {}),
        ("typing", {"active": True}),
    ],
)
async def test_room_not_found(running: RunningGateway, kind: str, data: dict[str, Any]) -> None:
    """What takes being in a room says of any other that it is not found, existing or not."""
    await running.room("open")
    client = await running.client("ann")
    for room in ("open", "missing"):
        await ask(client, kind, roomId=room, **data)
    assert [error["data"] for error in client.all("error")] == [
        {"message": "Room not found", "code": "room_not_found"}
    ] * 2


async def test_words_of_every_fault() -> None:
    """The dialect has words for every fault there is, and they give nothing away."""
    words = {kind: TEXTS.get(kind, kind.text) for kind in ErrorKind}
    assert set(words.values()) >= {
        "Invalid message format", "Invalid message structure", "Unknown message type",
        "Token required", "Authentication failed", "Token has been revoked",
        "Authentication rate limit exceeded", "Rate limit exceeded", "Join rate limit exceeded",
        "Not authenticated", "Insufficient permissions", "Room is full", "Room not found",
        "Message too long", "Invalid room id",
    }  # fmt: skip
    assert words[ErrorKind.UNKNOWN_CHANNEL] == words[ErrorKind.PERMISSION_DENIED]
    assert CODES[ErrorKind.UNKNOWN_CHANNEL] == ErrorKind.PERMISSION_DENIED.code


# -- rights


@pytest.fixture
async def strict() -> AsyncIterator[RunningGateway]:
    """A gateway where joining makes no rooms."""
    async with run_gateway(settings(rooms={"auto_create": False})) as running:
        yield running


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("join", {}),
        ("join", {"since": {"offset": 1, "epoch": "x"}}),
        ("message", {"content": "x"}),
        ("leave", {}),
        ("history", {}),
        ("history", {"since": 0}),
        ("presence", {}),
        ("typing", {"active": True}),
        ("kick", {"userId": "bob"}),
        ("set_permissions", {"permissions": {"read": ["user"]}}),
    ],
)
async def test_missing_and_forbidden_look_the_same(
    strict: RunningGateway, kind: str, data: dict[str, Any]
) -> None:
    """A room that is not there and one that is not yours are answered with the same bytes."""
    await strict.room("secret", permissions={"read": ["staff"], "write": ["staff"]})
    await strict.client("boss", "secret", roles=["staff"])
    client = await strict.client("ann")
    answers = []
    for room in ("secret", "absent"):
        forget(client)
        await ask(client, kind, id="same", roomId=room, **data)
        answers.append(encoded(client.received))
    assert answers[0] == answers[1]
    assert b"error" in answers[0]


async def test_auto_create(running: RunningGateway) -> None:
    """Where rooms are made by joining, the room has the defaults and is recorded."""
    await running.client("ann", "fresh")
    room = await running.gateway.rooms.get("fresh")
    assert room is not None
    assert (room.permissions.read, room.permissions.write) == (("user",), ("user",))
    assert (room.permissions.admin, room.max_participants) == (("admin",), 100)
    assert [entry.fields["channel"] for entry in running.audited(Event.ROOM_CREATE)] == [
        "rooms:fresh"
    ]


async def test_no_auto_create(strict: RunningGateway) -> None:
    """Where they are not, joining a room that is missing makes none."""
    client = await strict.client("ann")
    await ask(client, "join", roomId="fresh")
    assert errors(client) == ["Insufficient permissions"]
    assert await strict.gateway.rooms.get("fresh") is None
    assert strict.events(Event.AUTHZ_DENY) == 1


@pytest.mark.parametrize("permission", ["room.create", "room.*", "*"])
async def test_permission_to_create(strict: RunningGateway, permission: str) -> None:
    """The permission `room.create`, or a pattern over it, makes rooms by joining."""
    client = await strict.client("ann", "fresh", permissions=[permission])
    assert kinds(client)[-1] == "room_joined"


async def test_permission_to_create_from_a_role() -> None:
    """A role can bring the permission along."""
    given = settings(rooms={"auto_create": False}, roles={"host": ("room.create",)})
    async with run_gateway(given) as running:
        await running.client("ann", "fresh", roles=["user", "host"])


async def test_permission_to_create_from_the_directory(strict: RunningGateway) -> None:
    """The directory can give the permission to somebody who is connected already."""
    client = await strict.client("ann")
    await strict.gateway.operations.set_permissions("ann", ["room.create"])
    await ask(client, "join", roomId="fresh")
    assert kinds(client)[-1] == "room_joined"


async def test_creating_does_not_let_in(running: RunningGateway) -> None:
    """Who would not be let into the room it makes makes none."""
    client = await running.client("ann", roles=["guest"])
    await ask(client, "join", roomId="fresh")
    assert errors(client) == ["Insufficient permissions"]
    assert await running.gateway.rooms.get("fresh") is None


async def test_reading_is_not_writing(running: RunningGateway) -> None:
    """Who may read may not write, and is told the history all the same."""
    await running.room(permissions={"read": ["user"], "write": ["author"], "admin": ["admin"]})
    author = await running.client("bob", "lobby", roles=["author"])
    reader = await running.client("ann", "lobby")
    await ask(author, "message", roomId="lobby", content="x")
    await ask(reader, "message", roomId="lobby", content="y")
    await ask(reader, "history", roomId="lobby")
    assert errors(reader) == ["Insufficient permissions"]
    assert contents(reader) == ["x"]
    assert len(reader.last("history")["messages"]) == 1


async def test_history_and_presence_without_joining(running: RunningGateway) -> None:
    """What one could join one may also look into from outside."""
    await running.room()
    await running.client("bob", "lobby")
    ann = await running.client("ann")
    await ask(ann, "history", roomId="lobby")
    await ask(ann, "presence", roomId="lobby")
    assert kinds(ann)[-2:] == ["history", "presence"]


async def test_kick(running: RunningGateway) -> None:
    """An administrator of a room removes a user from it, on every connection, and not from others."""
    await running.room()
    boss = await running.client("boss", "lobby", roles=["admin"])
    tabs = [await running.client("bob", "lobby", "other") for _ in range(2)]
    await ask(boss, "kick", roomId="lobby", userId="bob", id="k")
    for tab in tabs:
        assert tab.last("room_left") == {"roomId": "lobby", "reason": "kicked"}
        assert tab.open
        assert list(session_of(tab).subscriptions) == ["rooms:other"]
    assert boss.last("user_left")["userId"] == "bob"
    assert boss.all("done")[0]["id"] == "k"
    [entry] = running.audited(Event.ROOM_KICK)
    assert (entry.fields["actor"], entry.fields["user"]) == ("boss", "bob")


async def test_kicked_hears_nothing_more(running: RunningGateway) -> None:
    """What was said before a kick and not yet written is not written after it."""
    await running.room()
    boss = await running.client("boss", "lobby", roles=["admin"])
    bob = await running.client("bob", "lobby")
    bob.reading = False
    await ask(boss, "message", roomId="lobby", content="x")
    await ask(boss, "kick", roomId="lobby", userId="bob")
    bob.read()
    assert kinds(bob)[-1] == "room_left"
    assert contents(bob) == []


async def test_only_administrators_kick(running: RunningGateway) -> None:
    """Who does not administer a room removes nobody."""
    await running.room()
    ann, bob = await running.client("ann", "lobby"), await running.client("bob", "lobby")
    await ask(ann, "kick", roomId="lobby", userId="bob")
    assert errors(ann) == ["Insufficient permissions"]
    assert bob.all("room_left") == []


async def test_set_permissions(running: RunningGateway) -> None:
    """An administrator changes who may do what, and everyone is judged again at once."""
    await running.room()
    boss = await running.client("boss", "lobby", roles=["admin"])
    ann = await running.client("ann", "lobby")
    bob = await running.client("bob", "lobby", roles=["user", "author"])
    permissions = {"read": ["author"], "write": ["author"], "admin": ["admin"]}
    await ask(boss, "set_permissions", roomId="lobby", permissions=permissions, id="s")
    assert boss.all("done")[0]["id"] == "s"
    assert ann.last("room_left") == {"roomId": "lobby", "reason": "permission_denied"}
    assert bob.all("room_left") == []
    assert (await running.gateway.rooms.get("lobby")).permissions.read == ("author",)  # type: ignore[union-attr]  # it was just made
    assert len(running.audited(Event.ROOM_PERMISSIONS)) == 1


async def test_only_administrators_set_permissions(running: RunningGateway) -> None:
    """Who does not administer a room does not change who does."""
    await running.room()
    ann = await running.client("ann", "lobby")
    await ask(ann, "set_permissions", roomId="lobby", permissions={"admin": ["user"]})
    assert errors(ann) == ["Insufficient permissions"]


async def test_writer_that_is_read_only_now(running: RunningGateway) -> None:
    """Who loses the right to write stays, hears, and is refused when writing."""
    await running.room()
    ann = await running.client("ann", "lobby")
    await running.room(permissions={"read": ["user"], "write": ["author"], "admin": []})
    await ask(ann, "message", roomId="lobby", content="x")
    assert errors(ann) == ["Insufficient permissions"]
    await running.gateway.publish(LOBBY, "y")
    await settle()
    assert contents(ann) == ["y"]


# -- capacity


async def test_room_is_full(running: RunningGateway) -> None:
    """The bound of a room counts users: a further connection of one who is there comes in."""
    await running.room(maxParticipants=2)
    await running.client("ann", "lobby")
    await running.client("bob", "lobby")
    cat = await running.client("cat")
    await ask(cat, "join", roomId="lobby")
    assert cat.last("error") == {"message": "Room is full", "code": "room_full"}
    await running.client("bob", "lobby")
    assert running.gateway.channels() == {LOBBY: 3}


async def test_place_becomes_free(running: RunningGateway) -> None:
    """A user that leaves makes room for another."""
    await running.room(maxParticipants=1)
    ann = await running.client("ann", "lobby")
    ann.leave()
    await settle()
    await running.client("bob", "lobby")


async def test_room_is_full_without_presence() -> None:
    """Where presence is not kept, connections are counted."""
    async with run_gateway(settings(namespace={"presence": False})) as running:
        await running.room(maxParticipants=1)
        ann = await running.client("ann", "lobby")
        bob = await running.client("bob")
        await ask(bob, "join", roomId="lobby")
        await ask(ann, "join", roomId="lobby")
        assert errors(bob) == ["Room is full"]
        assert kinds(ann)[-1] == "room_joined"
        await ask(ann, "presence", roomId="lobby")
        assert errors(ann) == ["Insufficient permissions"]


async def test_too_many_rooms() -> None:
    """One connection is in so many rooms at most, and leaving one makes room for another."""
    async with run_gateway(settings(namespace={"max_subscriptions": 2})) as running:
        ann = await running.client("ann", "a", "b")
        await ask(ann, "join", roomId="c")
        await ask(ann, "join", roomId="b")
        assert errors(ann) == ["Too many rooms"]
        await ask(ann, "leave", roomId="a")
        await ask(ann, "join", roomId="c")
        assert ann.last("room_joined")["roomId"] == "c"


# -- limits


def limited(**limits: Rate) -> Limits:
    """Limits of an endpoint."""
    changes: dict[str, Any] = {
        name: RateLimit(rate=rate, mode=rate.mode) for name, rate in limits.items()
    }
    return Limits(**changes)


@pytest.mark.parametrize(
    ("limits", "kind", "data", "text", "code"),
    [
        ({"messages": Rate(3, 60.0, 3)}, "heartbeat", {}, "Rate limit exceeded", "rate_limited"),
        (
            {"join": Rate(3, 60.0, 3)},
            "join",
            {"roomId": "lobby"},
            "Join rate limit exceeded",
            "join_rate_limited",
        ),
        (
            {"history": Rate(3, 60.0, 3)},
            "history",
            {"roomId": "lobby"},
            "Rate limit exceeded",
            "rate_limited",
        ),
    ],
)
async def test_limits_of_a_user(
    limits: dict[str, Rate], kind: str, data: dict[str, Any], text: str, code: str
) -> None:
    """Past its limit a message is refused with a time; who waits that long gets through."""
    async with run_gateway(settings(rooms={"limits": limited(**limits)})) as running:
        await running.room()
        ann = await running.client("ann")
        forget(ann)
        while not ann.all("error"):
            await ask(ann, kind, id="x", **data)
        assert len(ann.received) == 4
        error = ann.all("error")[0]
        assert error["id"] == "x"
        assert error["data"].keys() == {"message", "code", "retryAfterMs"}
        assert (error["data"]["message"], error["data"]["code"]) == (text, code)
        assert 0 < error["data"]["retryAfterMs"] <= 20_001
        await running.advance(error["data"]["retryAfterMs"] / 1000)
        await ask(ann, kind, **data)
        assert kinds(ann)[-1] != "error"
        assert running.events(Event.RATELIMIT_HIT) == 1


async def test_messages_are_counted_by_user() -> None:
    """Two connections of a user share the limit, two users do not, whatever their address."""
    limits = limited(messages=Rate(5, 60.0, 5))
    async with run_gateway(settings(rooms={"limits": limits})) as running:
        tabs = [await running.client("ann", peer=f"10.0.0.{n}") for n in range(2)]
        bob = await running.client("bob", peer="10.0.0.3")
        for tab in (*tabs, *tabs, *tabs):
            await ask(tab, "heartbeat")
        assert sum(len(tab.all("heartbeat_response")) for tab in tabs) == 5
        await ask(bob, "heartbeat")
        assert errors(bob) == []


async def test_unauthenticated_messages_are_counted_by_address() -> None:
    """Before authentication the address is what counts."""
    limits = limited(messages=Rate(2, 60.0, 2))
    async with run_gateway(settings(rooms={"limits": limits})) as running:
        first, second = await running.client(), await running.client()
        other = await running.client(peer="10.0.0.9")
        for client in (first, second, first, other):
            await ask(client, "heartbeat")
        assert (errors(first), errors(second)) == (["Rate limit exceeded"], [])
        assert errors(other) == []


async def test_malformed_messages_count_too() -> None:
    """A message that cannot be read is counted like any other."""
    limits = limited(messages=Rate(2, 60.0, 2))
    async with run_gateway(settings(rooms={"limits": limits})) as running:
        client = await running.client()
        for _ in range(3):
            client.send({"type": "nonsense", "data": {}, "id": "x"})
        await settle()
        assert errors(client) == ["Unknown message type"] * 2 + ["Rate limit exceeded"]
        assert [error["id"] for error in client.all("error")] == ["x"] * 3


async def test_authentication_attempts_are_counted_by_address(running: RunningGateway) -> None:
    """Ten refused tokens at once of one address are answered so, the next one with a time to wait."""
    clients = [await running.client() for _ in range(11)]
    for number, client in enumerate(clients):
        await ask(client, "auth", token=f"x{number}")
    assert [errors(client)[0] for client in clients[:10]] == ["Authentication failed"] * 10
    refused = clients[10].last("error")
    assert refused["message"] == "Authentication rate limit exceeded"
    assert refused["code"] == "auth_rate_limited"
    assert 0 < refused["retryAfterMs"] <= 601
    await running.authenticate(clients[10], "ann")
    other = await running.client(peer="10.0.0.9")
    await ask(other, "auth", token="x10")
    assert errors(other) == ["Authentication failed"]


async def test_first_credentials_are_no_messages_of_their_address() -> None:
    """What the limit of messages counts of an address keeps nobody there from authenticating."""
    limits = limited(messages=Rate(2, 60.0, 2))
    async with run_gateway(settings(rooms={"limits": limits})) as running:
        noisy = await running.client()
        for _ in range(4):
            await ask(noisy, "heartbeat")
        assert errors(noisy) == ["Rate limit exceeded"] * 2
        for number in range(5):
            await running.authenticate(await running.client(), f"user{number}")
        late = await running.client()
        await ask(late, "auth", token="x")
        assert errors(late) == ["Authentication failed"]


async def test_typing_has_a_limit_of_its_own() -> None:
    """It is counted by user and room: messages, other rooms and other users lose nothing by it."""
    limits = Limits(messages=RateLimit(rate=Rate(5, 60.0, 5)))
    async with run_gateway(settings(rooms={"limits": limits})) as running:
        await running.room("other")
        ann, bob = (
            await running.client("ann", "lobby", "other"),
            await running.client("bob", "lobby"),
        )
        tab = await running.client("ann", peer="10.0.0.2")
        for _ in range(30):
            await ask(ann, "typing", roomId="lobby", active=True)
        assert (errors(ann), len(bob.all("typing"))) == ([], 30)
        await ask(ann, "typing", id="x", roomId="lobby", active=True)
        refused = ann.last("error")
        assert (refused["message"], refused["code"]) == ("Rate limit exceeded", "rate_limited")
        assert refused["retryAfterMs"] == pytest.approx(2000, abs=2)
        assert running.count("limit_refusals_total", limit="typing", mode="enforce") == 1
        for client, room in ((ann, "other"), (bob, "lobby")):
            await ask(client, "typing", roomId=room, active=True)
            assert len(errors(client)) == (client is ann)
        for _ in range(3):
            await ask(ann, "message", roomId="lobby", content="hello")
        assert len(bob.all("message")) == 3
        await ask(tab, "heartbeat")
        assert errors(tab) == ["Rate limit exceeded"]
        await running.advance(2)
        await ask(ann, "typing", roomId="lobby", active=False)
        assert bob.all("typing")[-1]["data"]["active"] is False


async def test_typing_elsewhere_is_a_message() -> None:
    """In a room one is not in, and before authentication, it counts as any message does."""
    limits = limited(messages=Rate(3, 60.0, 3))
    async with run_gateway(settings(rooms={"limits": limits})) as running:
        ann, stranger = await running.client("ann"), await running.client(peer="10.0.0.2")
        for client, text in ((ann, "Room not found"), (stranger, "Not authenticated")):
            for number in range(5):
                await ask(client, "typing", roomId=f"room{number}", active=True)
            assert errors(client) == [text] * 3 + ["Rate limit exceeded"] * 2


async def test_observe_counts_without_refusing() -> None:
    """In the mode `observe` a limit refuses nobody, and tells what it would have refused."""
    limits = limited(messages=Rate(1, 60.0, 1, LimitMode.OBSERVE))
    async with run_gateway(settings(rooms={"limits": limits})) as running:
        client = await running.client()
        for _ in range(5):
            await ask(client, "heartbeat")
        assert errors(client) == []
        assert running.count("limit_refusals_total", limit="messages", mode="observe") == 4
        assert running.events(Event.RATELIMIT_HIT) == 4


async def test_refusals_in_a_row_end_the_connection() -> None:
    """The tenth refusal in a row, each after its wait, ends the connection, with leave to come back."""
    limits = limited(messages=Rate(2, 2.0, 2))
    async with run_gateway(settings(rooms={"limits": limits})) as running:
        client, neighbour = await running.client("ann"), await running.client("ann")
        await ask(neighbour, "heartbeat")
        for number in range(10):
            assert client.open
            await ask(neighbour, "heartbeat")
            await ask(client, "heartbeat")
            assert errors(client) == ["Rate limit exceeded"] * (number + 1)
            running.clock.advance(1.01)
        assert client.closed == (3013, "too many requests")


@pytest.mark.parametrize("wave", [10, 100])
async def test_refusals_of_one_wait_count_once(wave: int) -> None:
    """However many messages were on their way, each is answered, and together they are one refusal."""
    limits = limited(messages=Rate(2, 2.0, 2))
    async with run_gateway(settings(rooms={"limits": limits})) as running:
        client, neighbour = await running.client("ann"), await running.client("ann")
        await ask(neighbour, "heartbeat")
        for number in range(9):
            await ask(neighbour, "heartbeat")
            for _ in range(wave):
                await ask(client, "heartbeat")
            assert errors(client) == ["Rate limit exceeded"] * wave * (number + 1)
            running.clock.advance(1.01)
        assert client.open
        await ask(client, "heartbeat")
        assert session_of(client).refusals == 0


async def test_success_forgives_refusals() -> None:
    """One message that passes starts the count again."""
    limits = limited(messages=Rate(1, 1.0, 1))
    async with run_gateway(settings(rooms={"limits": limits})) as running:
        client = await running.client()
        for _ in range(3):
            for _ in range(10):
                await ask(client, "heartbeat")
            await running.advance(1)
        assert client.open


async def test_faults_in_a_row_end_the_connection(free: RunningGateway) -> None:
    """The twentieth fault in a row ends the connection for good."""
    client = await free.client()
    for _ in range(19):
        raw(client, "nonsense")
    await settle()
    assert client.open
    raw(client, "nonsense")
    await settle()
    assert client.closed == (3501, "bad request")
    assert len(errors(client)) == 20
    assert free.count("faults_total", endpoint="rooms", code="invalid_format") == 20


async def test_success_forgives_faults(free: RunningGateway) -> None:
    """One sound message starts the count again."""
    client = await free.client()
    for _ in range(3):
        for _ in range(19):
            raw(client, "nonsense")
        await ask(client, "heartbeat")
    assert client.open


async def test_others_do_not_notice(free: RunningGateway) -> None:
    """While one client sends nonsense until it is closed, the others go on undisturbed."""
    ann, bob = await free.client("ann", "lobby"), await free.client("bob", "lobby")
    bad = await free.client("eve", "lobby")
    for number in range(25):
        raw(bad, "nonsense" * number)
        await ask(ann, "message", roomId="lobby", content=str(number))
    assert bad.closed == (3501, "bad request")
    assert contents(bob) == [str(number) for number in range(25)]


# -- how sessions end


async def test_authentication_timeout(running: RunningGateway) -> None:
    """Who has not authenticated after thirty seconds is closed in the words of this dialect."""
    client = await running.client()
    for _ in range(29):
        await ask(client, "heartbeat")
        await running.advance(1)
    assert client.open
    await running.advance(1.3)
    assert client.closed == (1008, "Authentication timeout")
    assert running.closes("auth_timeout") == 1


async def test_authentication_timeout_is_absolute(free: RunningGateway) -> None:
    """Neither pings nor failed attempts nor half a message put the deadline off."""
    client = await free.client()
    for _ in range(300):
        client.session.count_frame(control=True)
        await ask(client, "auth", token="x")
        client.session.partial(True)
        client.session.partial(False)
        await ask(client, "heartbeat")
        await free.advance(0.1)
    await free.advance(0.3)
    assert client.closed == (1008, "Authentication timeout")


async def test_idle() -> None:
    """A connection without any frame for a minute is closed in the words of this dialect."""
    async with run_gateway(settings(rooms={"ping_interval": 0.0})) as running:
        client = await running.client("ann")
        await running.advance(59)
        assert client.open
        client.session.count_frame(control=True)
        await running.advance(59)
        assert client.open
        await running.advance(2)
        assert client.closed == (1008, "Connection timeout")
        assert running.events(Event.HB_TIMEOUT) == 1


async def test_answering_pings_is_life(running: RunningGateway) -> None:
    """A quiet client that answers pings stays for as long as its token lasts."""
    client = await running.client("ann")
    await running.advance(1800)
    assert client.open
    assert 70 <= client.pings <= 72


async def test_binary_is_refused(running: RunningGateway) -> None:
    """A binary message ends a connection that speaks text."""
    client = await running.client("ann")
    client.send_bytes(b"{}", binary=True)
    await settle()
    assert client.closed == (1003, "")


async def test_production_defaults() -> None:
    """In production rooms are not made by joining and addresses are not shown."""
    given = settings(
        environment=Environment.PRODUCTION,
        gate=GateSettings(allowed_origins=("https://app.example.com",)),
        tokens=Tokens(secrets=(Secret("Kq3vT9xw2LmZ7sRb5nYc8dHf1gJp4uXa"),)),
    )
    async with run_gateway(given) as running:
        client = await connect(running.gateway, origin="https://app.example.com")
        await running.authenticate(client, "ann")
        await ask(client, "join", roomId="lobby")
        assert errors(client) == ["Insufficient permissions"]
        await running.room()
        await ask(client, "join", roomId="lobby")
        await running.client("bob", "lobby", email="bob@example.com")
        assert client.last("user_joined") == {"userId": "bob", "roomId": "lobby"}
