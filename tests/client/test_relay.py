import asyncio
import json
from typing import Any

import pytest

from portward.client import (
    AuthenticationRefused,
    ConnectionLost,
    ConversationEnded,
    Portward,
    RelayClient,
    RequestRefused,
)
from tests.client.scripted import World, refused, settle


def relay_world() -> World:
    """A world whose gateway has a relay."""
    answers: dict[str, Any] = {
        "authenticate": lambda _: [("auth_success", {"userId": "ann"})],
        "connect_realtime": lambda data: [
            ("realtime_connected", {"model": data.get("model", "first")}),
            ("session.created", {"session": {}}),
        ],
        "ping": lambda _: [("pong", {})],
        "refresh": lambda _: [("refresh_success", {"expiresAt": 1})],
    }
    return World("flat", answers)


async def connected(client: Portward, model: str | None = None) -> RelayClient:
    """A conversation under way."""
    relay = client.relay()
    connecting = asyncio.create_task(relay.connect(model))
    await settle()
    await connecting
    return relay


async def read(relay: RelayClient, count: int) -> list[Any]:
    """Some messages, which are there."""
    return [await asyncio.wait_for(anext(relay.__aiter__()), 5) for _ in range(count)]


async def test_a_conversation() -> None:
    """The client authenticates, asks for the upstream, and then everything is the upstream's."""
    world = relay_world()
    async with world.client() as client:
        events: list[Any] = []
        binary: list[bytes] = []
        relay = client.relay()
        relay.on("event", events.append)
        relay.on("binary", binary.append)
        relay = await connected(client, "large")
        assert relay.model == "large"
        assert [each["type"] for each in world.last.sent] == ["authenticate", "connect_realtime"]
        assert (world.headers, world.last.of("authenticate")) == ([{}], [{"token": "token-secret"}])
        world.last.say_raw(b"\x00sound")
        world.last.say_raw("no JSON")
        world.last.say("response.done", {"id": "1", "error": None})
        world.last.say("error", {"error": {"type": "invalid_request_error"}})
        world.last.say("error", {"code": "event_refused", "message": "x", "event": "y"})
        await settle()
        kinds = [each if isinstance(each, str) else each["type"] for each in events]
        assert kinds == ["session.created", "no JSON", "response.done", "error", "error"]
        assert binary == [b"\x00sound"]
        await relay.send({"type": "response.create", "text": "ü"})
        await relay.send(b"\x01")
        await relay.send('{"type":"as.it.is"}')
        assert world.last.sent[2:] == [
            {"type": "response.create", "text": "ü"},
            b"\x01",
            {"type": "as.it.is"},
        ]


async def test_iterating() -> None:
    """Events, texts and binary messages come in order."""
    world = relay_world()
    async with world.client() as client:
        relay = await connected(client)
        world.last.say_raw(b"\x00")
        await settle()
        assert [
            each if isinstance(each, bytes) else each["type"] for each in await read(relay, 2)
        ] == [
            "session.created",
            b"\x00",
        ]


@pytest.mark.parametrize(
    ("code", "reason", "temporary", "state"),
    [
        (None, "", True, "idle"),
        (1014, "bad gateway", True, "idle"),
        (3001, "shutdown", True, "idle"),
        (1000, "upstream closed", False, "idle"),
        (4999, "upstream closed", False, "idle"),
        (3503, "force disconnect", False, "stopped"),
        (3504, "quota exceeded", False, "stopped"),
    ],
)
async def test_a_conversation_ends(
    code: int | None, reason: str, temporary: bool, state: str
) -> None:
    """The end is said, nothing connects by itself, and another conversation is asked for."""
    world = relay_world()
    async with world.client() as client:
        ends: list[Any] = []
        client.relay().on("ended", ends.append)
        relay = await connected(client)
        await read(relay, 1)
        world.last.end(code, reason)
        await world.advance(100, 5)
        assert (relay.state, len(world.transports)) == (state, 1)
        assert [(type(each), each.temporary) for each in ends] == [(ConversationEnded, temporary)]
        with pytest.raises(ConversationEnded):
            await read(relay, 1)
        with pytest.raises(ConnectionLost):
            await relay.send({"type": "response.create"})
        connecting = asyncio.create_task(relay.connect())
        await world.advance(1)
        await connecting
        assert len(world.transports) == 2
        assert (await read(relay, 1))[0]["type"] == "session.created"


async def test_a_named_time_before_the_next_conversation() -> None:
    """A time that the gateway named is waited for before the next conversation."""
    world = relay_world()
    async with world.client() as client:
        relay = await connected(client)
        unavailable = {"code": "upstream_unavailable", "message": "x", "retryMs": 5000}
        world.last.say("error", unavailable)
        world.last.end(1014, "bad gateway")
        await settle()
        connecting = asyncio.create_task(relay.connect())
        await world.advance(4.5)
        assert len(world.transports) == 1
        await world.advance(2)
        await connecting


async def test_the_upstream_that_cannot_be_reached() -> None:
    """Before a conversation stands attempts are repeated, as everywhere."""
    world = relay_world()
    connects = world.answers["connect_realtime"]
    world.answers["connect_realtime"] = lambda _: []
    async with world.client() as client:
        relay = client.relay()
        connecting = asyncio.create_task(relay.connect())
        await world.advance(15)
        assert relay.state == "connecting"
        world.last.end(1014, "bad gateway")
        world.answers["connect_realtime"] = connects
        await world.advance(1)
        await connecting


async def test_a_model_that_is_not_allowed() -> None:
    """A refused model is raised."""
    world = relay_world()
    world.answers["connect_realtime"] = refused("model_not_allowed")
    async with world.client() as client:
        with pytest.raises(RequestRefused, match="model_not_allowed"):
            await asyncio.wait_for(client.relay(model="x").connect(), 5)


@pytest.mark.parametrize(("tokens", "asked"), [("fixed", 1), (lambda reason: reason, 2)])
async def test_a_refused_token(tokens: Any, asked: int) -> None:
    """A token that is refused is replaced once, then the client stops."""
    world = relay_world()
    world.answers["authenticate"] = refused("invalid_token")
    async with world.client(get_token=tokens) as client:
        with pytest.raises(AuthenticationRefused):
            await asyncio.wait_for(client.relay().connect(), 5)
        assert len(world.last.of("authenticate")) == asked
        assert client.relay().state == "stopped"


async def test_limits_and_refresh() -> None:
    """A refusal by a limit is waited for; a token that runs out is replaced, unseen."""
    world = relay_world()
    accepts = world.answers["authenticate"]
    world.answers["authenticate"] = refused("rate_limited", 1000)
    async with world.client() as client:
        relay = client.relay()
        connecting = asyncio.create_task(relay.connect())
        await settle()
        world.answers["authenticate"] = accepts
        await world.advance(2)
        await connecting
        await read(relay, 1)
        world.last.say("token_expiring", {"expiresAt": 1})
        await world.advance(2)
        assert world.last.of("refresh") == [{"token": "token-secret"}]
        world.last.say("later", {})
        await settle()
        assert (await read(relay, 1))[0]["type"] == "later"


async def test_silence() -> None:
    """A conversation without a message is probed by the gateway's own ping, which is no event."""
    world = relay_world()
    async with world.client(get_token=None) as client:
        relay = await connected(client)
        assert world.last.kinds() == ["connect_realtime"]
        await read(relay, 1)
        await world.advance(26)
        assert world.last.kinds().count("ping") == 1
        reading = asyncio.create_task(read(relay, 1))
        await world.advance(1)
        assert not reading.done()
        world.last.say_raw(json.dumps({"type": "x"}))
        await reading
