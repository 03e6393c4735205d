"""The reloadable keys of declared rooms: what a client of the running gateway sees of each."""

from itertools import count
from typing import Any, Final

import httpx

from tests.e2e.listeners import EnvelopeClient
from tests.reload.case import ClientSide, Observe, ReloadCase
from tests.reload.issuer import token
from tests.reload.process import API_KEY, WAIT
from tests.reload.tokens_cases import ONE, A

_users = count()


async def _user(client: ClientSide, *roles: str) -> EnvelopeClient:
    speaker = EnvelopeClient(await client.open("/rooms"))
    name = f"declared-{next(_users)}"
    answer = await speaker.ask("auth", token=token(A, sub=name, roles=list(roles)))
    assert answer["type"] == "auth_success", answer
    return speaker


def _joins(room: str, *roles: str) -> Observe:
    """What a user with these roles is answered who joins."""

    async def observe(client: ClientSide) -> object:
        return (await (await _user(client, *roles)).ask("join", roomId=room))["type"]

    return observe


def _says(room: str, content: str) -> Observe:
    """What becomes of a message in a room."""

    async def observe(client: ClientSide) -> object:
        speaker = await _user(client, "user")
        assert (await speaker.ask("join", roomId=room))["type"] == "room_joined"
        await speaker.say("message", "q", roomId=room, content=content)
        while True:
            message = await speaker.hear()
            if message["type"] in {"message", "error"}:
                return message["data"].get("content", message["data"].get("code"))

    return observe


def _kicks(room: str) -> Observe:
    """What a user is answered who removes another one."""

    async def observe(client: ClientSide) -> object:
        speaker = await _user(client, "user")
        assert (await speaker.ask("join", roomId=room))["type"] == "room_joined"
        return (await speaker.ask("kick", roomId=room, userId="nobody"))["type"]

    return observe


async def _stays(client: ClientSide) -> object:
    """Whether one who was let in is still in the room: it is removed at the reload, not at a message."""
    if "insider" not in client.kept:
        client.kept["insider"] = await _user(client, "user")
        return (await client.kept["insider"].ask("join", roomId="staying"))["type"]
    speaker: EnvelopeClient = client.kept["insider"]
    return (await speaker.hear_until("room_left"))["data"]["reason"]


async def _two_join(client: ClientSide) -> object:
    """What the second of two users is answered."""
    first, second = await _user(client, "user"), await _user(client, "user")
    assert (await first.ask("join", roomId="small"))["type"] == "room_joined"
    answer = await second.ask("join", roomId="small")
    for each in (first, second):
        await each.ask("leave", roomId="small")
    return answer["data"].get("code", "in")


def _record(room: str, namespace: str, key: str) -> Observe:
    """A part of the record, as a backend reads it; the status where there is none."""

    async def observe(client: ClientSide) -> object:
        async with httpx.AsyncClient(trust_env=False, timeout=WAIT) as http:
            answer = await http.post(
                f"{client.gateway.admin}/api/rooms_get",
                json={"id": room, "namespace": namespace},
                headers={"X-API-Key": API_KEY},
            )
        return answer.json()["result"][key] if answer.is_success else answer.status_code

    return observe


def _given(room: str, key: str, value: object, **more: object) -> dict[str, Any]:
    return {**ONE, **more, f"rooms.{room}.{key}": value}


def _written(room: str, key: str, value: object, **more: object) -> dict[str, Any]:
    writers = {f"rooms.{room}.permissions.write": ["author"]}
    return _given(room, key, value, **writers, **more)


ROLES: Final = {"namespaces.asked.authorize": "roles"}

ROOMS: Final = (
    ReloadCase(
        key="rooms.<name>.permissions.read",
        before=_written("reading", "permissions.read", ["user"]),
        after=_written("reading", "permissions.read", ["staff"]),
        observe=_joins("reading", "user"),
        seen_before="room_joined",
        seen_after="error",
    ),
    ReloadCase(
        key="rooms.<name>.permissions.read",
        before=_written("staying", "permissions.read", ["user"]),
        after=_written("staying", "permissions.read", ["staff"]),
        observe=_stays,
        seen_before="room_joined",
        seen_after="permission_denied",
        note="while a user is in the room",
    ),
    ReloadCase(
        key="rooms.<name>.permissions.write",
        before=_given("writing", "permissions.write", ["author"]),
        after=_given("writing", "permissions.write", ["user"]),
        observe=_says("writing", "hello"),
        seen_before="permission_denied",
        seen_after="hello",
    ),
    ReloadCase(
        key="rooms.<name>.permissions.admin",
        before=_given("ruling", "permissions.admin", ["admin"]),
        after=_given("ruling", "permissions.admin", ["user"]),
        observe=_kicks("ruling"),
        seen_before="error",
        seen_after="done",
    ),
    ReloadCase(
        key="rooms.<name>.max_participants",
        before=_given("small", "max_participants", 1),
        after=_given("small", "max_participants", 2),
        observe=_two_join,
        seen_before="room_full",
        seen_after="in",
    ),
    ReloadCase(
        key="rooms.<name>.type",
        before=_given("typed", "type", "chat"),
        after=_given("typed", "type", "document"),
        observe=_says("typed", "<b>"),
        seen_before="b",
        seen_after="<b>",
    ),
    ReloadCase(
        key="rooms.<name>.sanitize",
        before=_given("clean", "sanitize", "none"),
        after=_given("clean", "sanitize", "strip"),
        observe=_says("clean", "java\tscript:<b>"),
        seen_before="java\tscript:<b>",
        seen_after="b",
    ),
    ReloadCase(
        key="rooms.<name>.name",
        before=_given("named", "name", "The first"),
        after=_given("named", "name", "The second"),
        observe=_record("named", "rooms", "name"),
        seen_before="The first",
        seen_after="The second",
    ),
    ReloadCase(
        key="rooms.<name>.namespace",
        before=_given("moved", "namespace", "rooms", **ROLES),
        after=_given("moved", "namespace", "asked", **ROLES),
        observe=_record("moved", "asked", "id"),
        seen_before=404,
        seen_after="moved",
    ),
    ReloadCase(
        key="rooms.<name>.type",
        before=ONE,
        after=_given("added", "type", "chat"),
        observe=_joins("added", "user"),
        seen_before="error",
        seen_after="room_joined",
        note="of a room that is declared anew",
    ),
)
