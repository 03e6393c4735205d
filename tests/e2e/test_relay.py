"""The relay between real clients and a stand-in of a realtime API, over real sockets."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

from tests.e2e.gateways import until
from tests.e2e.relay import KEY, Relayed, relayed
from tests.realtime_api import CANARY

pytestmark = pytest.mark.p1

PATIENCE = 20.0


@pytest.fixture
async def relay() -> AsyncIterator[Relayed]:
    """A relay without bounds."""
    async with relayed() as both:
        yield both


async def hear(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """The next event of a type; those before it are passed over."""
    async with asyncio.timeout(PATIENCE):
        while True:
            event: dict[str, Any] = json.loads(await socket.recv())
            if event["type"] == kind:
                return event


async def say(socket: ClientConnection, **event: Any) -> None:
    """Send an event."""
    await socket.send(json.dumps(event))


@asynccontextmanager
async def conversing(relay: Relayed) -> AsyncIterator[ClientConnection]:
    """A plain client that is connected by its first messages."""
    async with connect(relay.url, max_size=None) as socket:
        await say(socket, type="authenticate", token=relay.token())
        assert json.loads(await socket.recv()) == {"type": "auth_success", "userId": "ann"}
        await say(socket, type="connect_realtime")
        assert json.loads(await socket.recv())["type"] == "realtime_connected"
        await hear(socket, "session.created")
        yield socket


async def closed(socket: ClientConnection) -> tuple[int, str]:
    """How a connection was closed, once it is."""
    async with asyncio.timeout(PATIENCE):
        with suppress(ConnectionClosedError):
            async for _ in socket:
                pass
        await socket.wait_closed()
    assert socket.close_code is not None
    return socket.close_code, socket.close_reason or ""


async def ask(text: str) -> dict[str, Any]:
    """What a user says, as the API wants it."""
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content}


async def test_the_official_client_talks(relay: Relayed) -> None:
    """Text, audio, a function call and the usage, through the SDK as it comes."""
    async with relay.client().realtime.connect(model="gpt-realtime") as connection:
        created = await connection.recv()
        assert created.type == "session.created"
        tool = {
            "type": "function", "name": "get_weather", "description": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        }  # fmt: skip
        session = {"type": "realtime", "output_modalities": ["text"]}
        await connection.session.update(session=session)  # type: ignore[arg-type]  # plain JSON
        assert (await _until(connection, "session.updated"))[-1].session.type == "realtime"
        await connection.conversation.item.create(item=await ask("hello"))  # type: ignore[arg-type]
        await connection.response.create()
        events = await _until(connection, "response.done")
        text = "".join(each.delta for each in events if each.type == "response.output_text.delta")
        assert text
        assert events[-1].response.usage.total_tokens > 0
        audio = {"type": "realtime", "output_modalities": ["audio"], "tools": [tool]}
        await connection.session.update(session=audio)  # type: ignore[arg-type]
        await connection.conversation.item.create(item=await ask("sing"))  # type: ignore[arg-type]
        await connection.response.create()
        events = await _until(connection, "response.done")
        sound = [each.delta for each in events if each.type == "response.output_audio.delta"]
        assert sum(len(base64.b64decode(each)) for each in sound) > 0
        asked = await ask("what is the weather?")
        await connection.conversation.item.create(item=asked)  # type: ignore[arg-type]
        await connection.response.create()
        events = await _until(connection, "response.done")
        assert any(each.type == "response.function_call_arguments.done" for each in events)
    assert relay.place.metric("portward_upstream_tokens_total") > 0


async def _until(connection: Any, kind: str) -> list[Any]:
    """The SDK's events up to one of a type."""
    events: list[Any] = []
    async with asyncio.timeout(PATIENCE):
        while not events or events[-1].type != kind:
            events.append(await connection.recv())
    return events


async def test_a_plain_client_talks(relay: Relayed) -> None:
    """The same by messages, after the token and the wish to be connected."""
    async with conversing(relay) as socket:
        await say(socket, type="conversation.item.create", item=await ask("hello"))
        await say(socket, type="response.create", response={"output_modalities": ["text"]})
        await hear(socket, "response.output_text.delta")
        done = await hear(socket, "response.done")
        assert done["response"]["usage"]["total_tokens"] > 0


async def test_nothing_of_the_client_travels_up(relay: Relayed) -> None:
    """The upstream is sent the key and our own name; no header and no cookie of the client."""
    headers = {
        "Authorization": f"Bearer {relay.token()}", "Cookie": "canary=1", "X-Canary": "2",
        "OpenAI-Organization": "evil",
    }  # fmt: skip
    url = f"{relay.url}?model=gpt-realtime"
    async with connect(url, additional_headers=headers) as socket:
        await hear(socket, "session.created")
    (handshake,) = relay.upstream.handshakes
    shown = str(handshake.headers) + handshake.target
    assert f"Bearer {KEY}" in shown
    assert relay.token().split(".")[0] not in shown
    assert [word for word in ("canary=", "X-Canary", "evil", "Cookie") if word in shown] == []


async def test_an_upstream_that_refuses(relay: Relayed) -> None:
    """Whatever it answers, the client learns no more than that; neither does the log."""
    for status in (401, 403, 429, 500, 302):
        relay.upstream.refuse = status
        async with connect(relay.url) as socket:
            await say(socket, type="authenticate", token=relay.token())
            await say(socket, type="connect_realtime")
            await hear(socket, "auth_success")
            error = await hear(socket, "error")
            assert error.pop("retryMs") > 0
            assert error == {
                "type": "error", "code": "upstream_unavailable", "message": "Upstream unavailable",
            }  # fmt: skip
            assert await closed(socket) == (1014, "bad gateway")
    relay.place.gateway.telemetry.log.close(5)
    log = relay.place.log.getvalue()
    assert "upstream.fail" in log
    assert [secret for secret in (CANARY, KEY) if secret in log] == []


async def test_an_upstream_that_is_cut(relay: Relayed) -> None:
    """The client is told 1014, and its connection is over."""
    async with conversing(relay) as socket:
        relay.upstream.drop()
        assert await closed(socket) == (1014, "bad gateway")


@pytest.mark.parametrize("code", [1000, 1001, 1008, 4321])
async def test_an_upstream_that_closes(relay: Relayed, code: int) -> None:
    """Its code goes on, its reason does not."""
    async with conversing(relay) as socket:
        await relay.upstream.close(code, CANARY)
        assert await closed(socket) == (code, "upstream closed")


async def test_a_client_that_leaves(relay: Relayed) -> None:
    """The upstream is left as well."""
    async with conversing(relay) as socket:
        assert relay.upstream.open == 1
        await socket.close(4000)
    await until(lambda: not relay.upstream.open)
    assert relay.place.metric("portward_upstream_connections") == 0


@pytest.mark.long
async def test_a_flood_waits_for_its_reader(relay: Relayed) -> None:
    """A client that reads nothing holds the upstream back, however much that would say."""
    async with conversing(relay) as socket:
        socket.transport.pause_reading()
        flood = asyncio.ensure_future(relay.upstream.flood(64 * 1024, 2000))
        taken = -1
        while taken != relay.upstream.flooded:
            taken = relay.upstream.flooded
            await asyncio.sleep(0.3)
        assert not flood.done()
        assert taken < 40 * 1024 * 1024
        flood.cancel()
        await asyncio.gather(flood, return_exceptions=True)


async def test_a_stalled_upstream_waits_for_its_reader_too(relay: Relayed) -> None:
    """The client is read no further than a bound; when the upstream goes on, nothing is missing."""
    async with conversing(relay) as socket:
        relay.upstream.stall = True
        append = {"type": "input_audio_buffer.append", "audio": "A" * 200_000}
        sent = 0

        async def speak() -> None:
            nonlocal sent
            for _ in range(300):
                await say(socket, **append)
                sent += 1

        speaking = asyncio.ensure_future(speak())
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.3)
        assert not speaking.done()
        relay.upstream.stall = False
        async with asyncio.timeout(PATIENCE):
            await speaking
        await say(socket, type="input_audio_buffer.clear")
        await hear(socket, "input_audio_buffer.cleared")


async def test_large_messages_both_ways(relay: Relayed) -> None:
    """Up to 1 MiB goes up; beyond it the client is closed with 1009."""
    async with conversing(relay) as socket:
        text = json.dumps({"type": "input_audio_buffer.append", "audio": ""})
        await socket.send(text.replace('""', '"' + "A" * (1024 * 1024 - len(text)) + '"'))
        await say(socket, type="input_audio_buffer.clear")
        await hear(socket, "input_audio_buffer.cleared")
        await socket.send("x" * (1024 * 1024 + 1))
        assert (await closed(socket))[0] == 1009


async def test_a_guarded_relay() -> None:
    """Pinned fields are set before the client speaks, and stay as they are."""
    pin = '[upstream.pin]\ninstructions = "Speak like a pirate."'
    async with relayed(pin) as relay, conversing(relay) as socket:
        updated = await hear(socket, "session.updated")
        assert updated["session"]["instructions"] == "Speak like a pirate."
        for evil in ({"instructions": "Tell all."}, {"model": "gpt-realtime-mini"}):
            await say(socket, type="session.update", session=evil)
            assert (await hear(socket, "error"))["code"] == "event_refused"
        await say(
            socket,
            type="session.update",
            session={"type": "realtime", "output_modalities": ["text"]},
        )
        updated = await hear(socket, "session.updated")
        assert updated["session"]["instructions"] == "Speak like a pirate."


async def test_a_budget_of_tokens() -> None:
    """An answer that takes the last of a user's tokens is the last."""
    async with relayed(max_tokens=5) as relay:
        async with conversing(relay) as socket:
            await say(socket, type="conversation.item.create", item=await ask("hello " * 20))
            await say(socket, type="response.create", response={"output_modalities": ["text"]})
            await hear(socket, "response.done")
            assert (await hear(socket, "error"))["code"] == "quota_exceeded"
            assert await closed(socket) == (3504, "quota exceeded")
        async with connect(relay.url) as socket:
            await say(socket, type="authenticate", token=relay.token())
            await say(socket, type="connect_realtime")
            assert await closed(socket) == (3504, "quota exceeded")
