"""Methods about rooms."""

from typing import Any

import pytest
from msgspec.structs import replace

from portward.admin.rooms import RoomRequest, RoomsSetRequest, room_channel
from portward.model.channel import Channel
from portward.model.errors import CommandError, ErrorKind
from tests.admin.service import PUBLISHER, READER, Service


def test_a_room_is_a_channel() -> None:
    """A room's id and namespace make the name of its channel."""
    assert RoomRequest(id="a").channel == "rooms:a"
    assert RoomsSetRequest(id="a:b", namespace="workspaces").channel == "workspaces:a:b"


@pytest.mark.parametrize(("namespace", "room"), [("rooms", "a b"), ("ro*ms", "a"), ("", "a")])
def test_a_room_that_is_no_channel_is_a_fault(namespace: str, room: str) -> None:
    """An id that cannot be part of a channel's name is refused as such."""
    with pytest.raises(CommandError) as caught:
        room_channel(namespace, room)
    assert caught.value.kind is ErrorKind.INVALID_CHANNEL


async def test_a_room_is_made_read_and_removed(service: Service) -> None:
    """The record is answered whole; a room that is not there is 404 with number 102."""
    asked = {
        "id": "plans",
        "name": "Plans",
        "type": "document",
        "permissions": {"read": ["user"], "write": ["staff"], "admin": ["admin"]},
        "maxParticipants": 7,
        "sanitize": "none",
    }
    assert await service.call("rooms_set", **asked) == asked
    assert await service.call("rooms_get", READER, id="plans") == asked
    assert await service.call("rooms_remove", id="plans") == {"removed": True}
    assert await service.call("rooms_remove", id="plans") == {"removed": False}
    assert (await service.fail("rooms_get", id="plans"))[:2] == (404, 102)


async def test_a_room_belongs_to_a_namespace(service: Service) -> None:
    """Rooms are of the namespace `rooms` unless another is named."""
    await service.call("rooms_set", id="w1:board", namespace="workspaces")
    assert (await service.call("rooms_get", id="w1:board", namespace="workspaces"))["id"]
    assert (await service.fail("rooms_get", id="w1:board"))[0] == 404
    assert (await service.fail("rooms_set", id="a", namespace="nowhere"))[:2] == (404, 102)


@pytest.mark.parametrize(
    "body",
    [
        {"id": ""},
        {"id": "a b"},
        {"id": "a", "type": "party"},
        {"id": "a", "maxParticipants": -1},
        {"id": "a", "max_participants": 5},
        {"id": "a", "permissions": {"delete": []}},
    ],
)
async def test_a_record_that_is_none_is_refused(service: Service, body: dict[str, object]) -> None:
    """Names, types and numbers of a record are checked."""
    assert (await service.fail("rooms_set", **body))[:2] == (400, 107)


@pytest.mark.parametrize("ttl", ["0", "-1", '"1h"', "true", "1e12", "Infinity", "NaN", "[1]"])
async def test_a_time_that_is_none_is_refused(service: Service, ttl: str) -> None:
    """The time of a room is a positive number of seconds, ten years at most."""
    response = await service.post("rooms_set", raw=f'{{"id": "a", "ttl": {ttl}}}'.encode())
    assert response.status_code == 400
    assert await service.gateway.rooms.get("a") is None


async def test_a_room_with_an_end(service: Service) -> None:
    """With `ttl` a room ends, with what was said in it, and whoever is there is put out."""
    await service.call("rooms_set", id="event", ttl=100)
    ann = await service.join("ann", "event")
    await service.call("publish", channel="rooms:event", data="hello")
    [listed] = (await service.call("rooms_list"))["rooms"]
    assert listed["expiresAt"] == service.clock.time() + 100
    service.clock.advance(99)
    assert (await service.call("rooms_get", id="event"))["id"] == "event"
    service.clock.advance(20)
    await ann.settle()
    assert ann.last("room_left") == {"roomId": "event", "reason": "permission_denied"}
    assert (await service.fail("rooms_get", id="event"))[0] == 404
    assert not await service.gateway.node.engine.streams.is_readable(Channel.parse("rooms:event"))
    await service.call("rooms_set", id="event", ttl=100)
    await service.call("rooms_set", id="event")
    [listed] = (await service.call("rooms_list"))["rooms"]
    assert listed["expiresAt"] is None


async def test_rooms_are_listed(service: Service) -> None:
    """Each with its record and where it came from, by name, a page at a time."""
    await service.call("rooms_set", id="plans", permissions={"read": ["staff"], "write": []})
    await service.call("rooms_set", id="w1:board", namespace="workspaces")
    await service.join("ann", "joined")
    await service.call("publish", channel="rooms:news", data="hello")
    result = await service.call("rooms_list", READER)
    assert (result["total"], result["orphans"]) == (4, [])
    shown = [
        (each["namespace"], each["id"], each["origin"], each["user"]) for each in result["rooms"]
    ]
    assert shown == [
        ("rooms", "joined", "joiner", "ann"),
        ("rooms", "news", "publisher", None),
        ("rooms", "plans", "backend", None),
        ("workspaces", "w1:board", "backend", None),
    ]
    assert result["rooms"][2]["permissions"] == {"read": ["staff"], "write": [], "admin": ["admin"]}
    page = await service.call("rooms_list", namespace="rooms", limit=1, offset=1)
    assert ([each["id"] for each in page["rooms"]], page["total"]) == (["news"], 3)
    assert (await service.fail("rooms_list", PUBLISHER))[0] == 403


async def test_messages_without_a_record_are_listed(service: Service) -> None:
    """What lost its record is named, until a record is set or it is removed."""
    for name in ("lost", "gone"):
        await service.call("rooms_set", id=name)
        await service.call("publish", channel=f"rooms:{name}", data="hello")
        rooms: Any = service.gateway.node.engine.rooms
        rooms._rooms.drop(Channel.parse(f"rooms:{name}"))
    listed = await service.call("rooms_list", READER, orphans=True)
    assert listed == {"rooms": [], "orphans": ["rooms:gone", "rooms:lost"], "total": 2}
    assert (await service.call("rooms_list", orphans=True, namespace="live"))["total"] == 0
    await service.call("rooms_set", id="lost")
    assert await service.call("rooms_remove", id="gone") == {"removed": True}
    assert (await service.call("rooms_list", orphans=True))["orphans"] == []


async def test_publishing_to_an_unknown_room(service: Service) -> None:
    """Where joining makes no rooms, a backend is told that the room is unknown, and why."""
    for endpoint in service.gateway.node.endpoints.values():
        endpoint.rules = replace(endpoint.rules, auto_create=False)
    status, number, text = await service.fail("publish", channel="rooms:nowhere", data=1)
    assert (status, number) == (404, 102)
    assert "auto_create is off" in text
