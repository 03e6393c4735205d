"""The page on rooms is true: its examples pass through the real protocol."""

import json
import re
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from portward.app.gateway import Gateway
from portward.model.disconnects import Disconnect
from portward.model.errors import ErrorKind
from portward.model.room import Room, RoomPermissions
from portward.protocols.rooms.messages import CODES, TEXTS
from portward.protocols.rooms.protocol import RoomsProtocol
from portward.settings import Secret, Settings
from portward.testing import FakeClock, MemoryClient, connect, memory_gateway
from tests.docs.pages import DOCS, Block, blocks

PAGE = DOCS / "endpoints" / "rooms.md"
SECRET = "a secret of the test that signs messages"
VAULT = Room(
    id="vault", name="Vault", permissions=RoomPermissions(read=("staff",), write=("staff",))
)
SHAPES = dict[str, set[str]]


def shape(value: Any) -> Any:
    """The keys of a value with the types of what they hold; of a list the shapes of its members."""
    if isinstance(value, dict):
        return {key: shape(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return sorted({json.dumps(shape(each)) for each in value})
    return type(value).__name__


async def say(client: MemoryClient, kind: str, identifier: str | None = None, **data: Any) -> None:
    """Send a message and let it be answered."""
    envelope: dict[str, Any] = {"type": kind, "data": data}
    if identifier is not None:
        envelope["id"] = identifier
    client.send(envelope)
    await client.settle()


async def enter(gateway: Gateway, user: str, *roles: str, ttl: float = 3600.0) -> MemoryClient:
    """Connect and authenticate."""
    client = await connect(gateway)
    token = gateway.token(user, roles=list(roles), email=f"{user}@example.com", ttl=ttl)
    await say(client, "auth", "1", token=token)
    return client


def wait(clock: FakeClock, seconds: float, *clients: MemoryClient) -> None:
    """Let time pass while the clients answer pings."""
    for _ in range(int(seconds / 10)):
        clock.advance(10.0)
        for client in clients:
            client.session.count_frame(control=True)


async def conversation() -> list[Any]:
    """Hear everything the protocol has to say."""
    clock = FakeClock()
    async with memory_gateway(clock=clock) as gateway:
        alice = await enter(gateway, "alice", "user", ttl=100.0)
        boss = await enter(gateway, "boss", "user", "admin")
        carol = await enter(gateway, "carol", "user")
        dave = await enter(gateway, "dave", "user", ttl=20.0)
        newer = gateway.token("alice", roles=["user"], email="alice@example.com", ttl=100.0)
        await say(alice, "refresh", "2", token=newer)
        for client in (boss, alice, carol):
            await say(client, "join", "3", roomId="lobby")
        position = alice.last("room_joined")["position"]
        await say(alice, "message", "4", roomId="lobby", content="hello")
        await say(alice, "history", "5", roomId="lobby")
        await say(alice, "presence", "6", roomId="lobby")
        await say(alice, "typing", roomId="lobby", active=True)
        await say(alice, "join", "7", roomId="lobby", since=position)
        await gateway.rooms.set("vault", VAULT)
        several = [{"roomId": "lobby", "since": position}, {"roomId": "plans"}, {"roomId": "vault"}]
        await say(alice, "join", "7", rooms=several)
        await say(alice, "leave", "8", roomId="lobby")
        await say(alice, "join", roomId="lobby")
        await say(boss, "kick", "9", roomId="lobby", userId="alice")
        await gateway.publish("rooms:lobby", {"text": "from the backend"}, type="notice")
        carol.leave()
        boss.send_bytes(b'{"a":{"constructor":1}}', binary=False)
        for _ in range(60):
            await say(alice, "heartbeat", "10")
            await say(boss, "heartbeat")
        wait(clock, 60.0, alice, boss)
        await say(boss, "heartbeat", "11")
        gateway.node.background.run(gateway.drain(5.0))
        await boss.settle()
        wait(clock, 10.0)
        await boss.settle()
        return [*alice.received, *boss.received, *carol.received, *dave.received]


@pytest.mark.parametrize("block", blocks("json client", PAGE), ids=repr)
def test_client_examples_are_understood(block: Block) -> None:
    """The protocol decodes every message the page has a client send."""
    protocol = RoomsProtocol("rooms", expose_email=True)
    command = protocol.decode(block.text.encode(), binary=False)
    assert command.id == json.loads(block.text).get("id")


async def test_server_examples_have_the_keys_of_the_dialect() -> None:
    """Every message the page has the gateway send has the keys and types of a real one."""
    real: SHAPES = {}
    for message in await conversation():
        real.setdefault(message["type"], set()).add(json.dumps(shape(message)))
    wrong = [
        block
        for block in blocks("json server", PAGE)
        if json.dumps(shape(json.loads(block.text)))
        not in real.get(json.loads(block.text)["type"], set())
    ]
    assert wrong == []


async def test_page_shows_every_message() -> None:
    """Every type the protocol says, and every type it understands, has an example."""
    said = {message["type"] for message in await conversation()}
    shown = {json.loads(block.text)["type"] for block in blocks("json server", PAGE)}
    asked = {json.loads(block.text)["type"] for block in blocks("json client", PAGE)}
    assert shown == said
    assert asked == set(RoomsProtocol("rooms", expose_email=True)._readers)


def test_error_table_is_whole() -> None:
    """The table of errors has every code with its text, and no other."""
    section = PAGE.read_text(encoding="utf-8").partition("## Errors")[2].partition("## Limits")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \|", section, re.MULTILINE)
    elsewhere = {
        ErrorKind.EVENT_REFUSED,
        ErrorKind.MODEL_REFUSED,
        ErrorKind.NOT_CONNECTED,
        ErrorKind.ALREADY_DECIDED,
        ErrorKind.UNKNOWN_NAMESPACE,
    }
    here = set(ErrorKind) - elsewhere
    expected = {(CODES.get(kind, kind.code), TEXTS.get(kind, kind.text)) for kind in here}
    assert sorted(rows) == sorted(expected)


def test_close_codes_are_real() -> None:
    """Every code of the table of close codes is one the endpoint closes with, with its reason."""
    section = PAGE.read_text(encoding="utf-8").partition("## Close codes")[2]
    rows = re.findall(r"^\| (\d[\d, ]*) \| (?:`([^`]+)`)? ?\|", section, re.MULTILINE)
    shown = {(int(code), reason) for codes, reason in rows for code in codes.split(",")}
    here = set(Disconnect) - {Disconnect.UPSTREAM_CLOSED, Disconnect.BAD_GATEWAY, Disconnect.QUOTA}
    closes = {RoomsProtocol.closes.get(ending, (ending.code, ending.reason)) for ending in here}
    assert shown <= closes
    assert {code for code, _ in closes} - {code for code, _ in shown} == {1001, 1013}


def test_room_record_is_one() -> None:
    """The record of a room on the page is one, with every key and the defaults it tells."""
    (block,) = blocks("json", PAGE)
    room = msgspec.json.decode(block.text, type=Room)
    assert room == Room(id="lobby", name="Lobby")
    assert json.loads(block.text).keys() == json.loads(msgspec.json.encode(room)).keys()


async def test_signature_is_verified_as_shown() -> None:
    """The code on the page accepts a message as the gateway signed it, and no other."""
    (block,) = blocks("python", PAGE)
    names: dict[str, Any] = {}
    exec(block.text, names)  # noqa: S102 - it is the page's own example
    settings = Settings()
    rooms = replace(settings.endpoints["rooms"], sign_messages=True, sign_secret=Secret(SECRET))
    settings = replace(settings, endpoints={**settings.endpoints, "rooms": rooms})
    async with memory_gateway(settings) as gateway:
        client = await enter(gateway, "alice", "user")
        await say(client, "join", roomId="lobby")
        await say(client, "message", roomId="lobby", content="Grüße \u2028 & <b>\ttabs</b>")
        await gateway.publish("rooms:lobby", {"b": [1.5, None, True], "a": {"ü": "\x7f/\b"}})
        await client.settle()
        signed = [message["data"] for message in client.all("message")]
    assert [names["is_authentic"](message, SECRET) for message in signed] == [True, True]
    assert not names["is_authentic"]({**signed[0], "content": "other"}, SECRET)
