import asyncio
import base64
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from portward.demo import upstream as module
from portward.demo.upstream import CANARY, StandInUpstream
from portward.settings import Settings, SettingsError
from portward.settings.sections import Environment
from portward.testing.clock import FakeClock
from tests.demo.upstreams import KEY, MODEL, dial, still, talk, until, upstream


def test_production_is_refused() -> None:
    """A gateway in production cannot have this upstream."""
    settings = replace(Settings(), environment=Environment.PRODUCTION)
    with pytest.raises(SettingsError, match="never serves production"):
        StandInUpstream(settings, FakeClock(), key=KEY)


# -- the official SDK


@asynccontextmanager
async def connected(made: StandInUpstream) -> AsyncIterator[AsyncRealtimeConnection]:
    """The official SDK, as an application would set it up."""
    async with (
        AsyncOpenAI(api_key=KEY, websocket_base_url=made.base_url) as openai,
        openai.realtime.connect(model=MODEL) as connection,
    ):
        yield connection


@pytest.mark.parametrize("modality", ["text", "audio"])
async def test_sdk(modality: str) -> None:
    """The official SDK talks to it: a session, a question, an answer, its price."""
    async with upstream() as (made, _), connected(made) as connection:
        await connection.session.update(
            session={"type": "realtime", "output_modalities": [modality]}  # type: ignore[list-item] # one of the two
        )
        await connection.conversation.item.create(
            item={
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "Say hello!"}],
            }
        )
        await connection.response.create()
        kinds, text, heard = [], "", b""
        async for event in connection:
            kinds.append(event.type)
            if event.type == "response.output_text.delta":
                text += event.delta
            if event.type == "response.output_audio_transcript.delta":
                text += event.delta
            if event.type == "response.output_audio.delta":
                heard += base64.b64decode(event.delta)
            if event.type == "response.done":
                break
        assert kinds[:4] == [
            "session.created",
            "session.updated",
            "conversation.item.added",
            "conversation.item.done",
        ]
        assert text == "You said: Say hello!"
        assert bool(heard) is (modality == "audio")
        assert event.type == "response.done"
        assert event.response.status == "completed"
        usage = event.response.usage
        assert usage is not None
        assert usage.total_tokens == (usage.input_tokens or 0) + (usage.output_tokens or 0) > 0


async def test_sdk_calls_a_tool() -> None:
    """The official SDK sees a function call, gives its outcome, and hears an answer with it."""
    tool: Any = {
        "type": "function",
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
    async with upstream() as (made, _), connected(made) as connection:
        text: Any = {"type": "realtime", "output_modalities": ["text"], "tools": [tool]}
        await connection.session.update(session=text)
        question: Any = {"type": "input_text", "text": "What is the weather in Paris?"}
        await connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [question]}
        )
        await connection.response.create()
        async for event in connection:
            if event.type == "response.function_call_arguments.done":
                assert (event.name, event.arguments) == ("get_weather", '{"city":"Paris"}')
                call = event.call_id
            if event.type == "response.done":
                break
        await connection.conversation.item.create(
            item={"type": "function_call_output", "call_id": call, "output": "Sunny."}
        )
        await connection.response.create()
        async for event in connection:
            if event.type == "response.output_text.done":
                assert event.text == "The tool answered: Sunny."
            if event.type == "response.done":
                break


# -- handshakes


async def dialled(made: StandInUpstream) -> ClientConnection:
    """A connection, once it is open."""
    return await dial(made)


async def status(made: StandInUpstream, **options: Any) -> tuple[int, dict[str, Any]]:
    """The status and the body a handshake is refused with."""
    with pytest.raises(InvalidStatus) as refused:
        await dial(made, **options)
    answer = refused.value.response
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.body is not None
    return answer.status_code, msgspec.json.decode(answer.body)["error"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"bearer {KEY}"},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": KEY},
        {"Authorization": "Bearer cl\xe9"},
        [("Authorization", f"Bearer {KEY}"), ("Authorization", f"Bearer {KEY}")],
    ],
)
async def test_wrong_key(headers: Any) -> None:
    """A wrong key is 401, with a body no client of a relay may see."""
    async with upstream() as (made, _):
        code, error = await status(made, additional_headers=headers)
        assert (code, error["code"]) == (401, "invalid_api_key")
        assert CANARY in error["message"]
        assert made.open == 0


async def test_other_paths() -> None:
    """There is one path."""
    async with upstream() as (made, _):
        for path in ("/v1/other", "/", "/v1/realtime/", "/realtime"):
            made_up = made.url.replace("/v1/realtime", path)
            assert (await status(made, url=made_up))[0] == 404


@pytest.mark.parametrize("model", ["gpt-none", "", "gpt-realtime%20"])
async def test_unknown_model(model: str) -> None:
    """A model nobody has is told of in an event, and the connection ends."""
    async with upstream() as (made, _), dial(made, model=model) as client:
        event = msgspec.json.decode(await client.recv())
        assert event["type"] == "error"
        assert event["error"]["code"] == "model_not_found"
        with pytest.raises(ConnectionClosedError):
            await client.recv()
        assert client.close_code == 4000


async def test_models_are_given() -> None:
    """Which models there are can be said."""
    async with upstream(models=("mine",)) as (made, _), dial(made, model="mine") as client:
        assert msgspec.json.decode(await client.recv())["session"]["model"] == "mine"


async def test_what_was_sent_is_remembered() -> None:
    """Handshakes and messages are there to be looked at, and a handshake's headers show in no repr."""
    async with upstream() as (made, _):
        headers = {"Authorization": f"Bearer {KEY}", "Cookie": "a=b"}
        async with dial(made, additional_headers=headers) as client:
            await client.send("{}")
            await client.send(b"{}")
            await until(lambda: len(made.received) == 2)
        (seen,) = made.handshakes
        assert seen.target == f"/v1/realtime?model={MODEL}"
        assert ("Cookie", "a=b") in seen.headers
        assert KEY not in repr(seen)
        assert list(made.received) == ["{}", b"{}"]


async def test_port() -> None:
    """A port can be asked for, and is let go of at the end."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for _ in range(2):
        async with upstream(port=port) as (made, _):
            assert f":{port}/" in made.url
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="address"):
        await upstream(port=taken.getsockname()[1]).__aenter__()


# -- switches


@pytest.mark.parametrize("code", [400, 401, 403, 404, 429, 500, 503])
async def test_refuse(code: int) -> None:
    """Told to refuse, it refuses everybody, and lives on for who is there."""
    async with upstream() as (made, _), talk(made) as talking:
        made.refuse = code
        assert (await status(made))[0] == code
        await talking.say("input_audio_buffer.clear")
        await talking.hear("input_audio_buffer.cleared")
        made.refuse = None
        async with talk(made):
            pass


async def test_slow_handshake() -> None:
    """Told to be slow, it answers a handshake when its time has come."""
    async with upstream() as (made, clock):
        made.slow_handshake = 5.0
        connecting = asyncio.ensure_future(dialled(made))
        await until(lambda: clock.pending == 1)
        clock.advance(4.9)
        assert not connecting.done()
        clock.advance(0.1)
        await (await connecting).close()


async def test_slow_handshake_at_the_end() -> None:
    """Whoever still waits for a handshake does not hold up the end."""
    async with upstream() as (made, clock):
        made.slow_handshake = 5.0
        connecting = asyncio.ensure_future(dialled(made))
        await until(lambda: clock.pending == 1)
    connection = await connecting
    await connection.wait_closed()
    assert connection.close_code == 1001


async def test_stall_of_an_open_connection() -> None:
    """Told to stall, it reads nothing and says nothing, until it is told to go on."""
    async with upstream() as (made, _), talk(made) as talking:
        made.stall = True
        assert made.stall
        await talking.say("input_audio_buffer.clear")
        hearing = asyncio.ensure_future(talking.hear("input_audio_buffer.cleared"))
        await still(lambda: len(made.received))
        assert not made.received
        assert not hearing.done()
        made.stall = False
        await hearing


async def test_stall_takes_nothing() -> None:
    """While it stalls, a client can write no more than the sockets hold."""
    async with upstream() as (made, _), talk(made) as talking:
        made.stall = True
        sent = [0]

        async def send() -> None:
            while True:
                await talking.socket.send("x" * 65536)
                sent[0] += 1

        sending = asyncio.ensure_future(send())
        stopped = await still(lambda: sent[0])
        assert stopped < 256
        made.stall = False
        await until(lambda: sent[0] > stopped)
        sending.cancel()
        made.drop()


async def test_stall_in_the_middle_of_a_response() -> None:
    """A response that is being told stops too."""
    async with upstream() as (made, clock), talk(made) as talking:
        made.pace = 1.0
        await talking.say("response.create")
        await talking.hear("response.created")
        made.stall = True
        await until(lambda: clock.pending == 1)
        clock.advance(1.0)
        hearing = asyncio.ensure_future(talking.hear("rate_limits.updated"))
        await still(lambda: clock.pending)
        assert not hearing.done()
        made.stall = False
        await hearing


async def test_stall_of_a_new_connection() -> None:
    """Told to stall, it still accepts, and no more than that."""
    async with upstream() as (made, _):
        made.stall = True
        async with dial(made) as client:
            hearing = asyncio.ensure_future(client.recv())
            await still(lambda: made.open)
            assert made.open == 1
            assert not hearing.done()
            made.stall = False
            assert msgspec.json.decode(await hearing)["type"] == "session.created"


async def test_stall_of_what_is_over() -> None:
    """Stalling and going on do nothing to a connection that is gone."""
    async with upstream() as (made, _), talk(made):
        peers = set(made._peers)
        made.stall = True
        made.drop()
        await still(lambda: 0)
        for peer in peers:
            peer.stop()
            peer.go_on()
        made.stall = False
        await until(lambda: made.open == 0)


async def test_drop() -> None:
    """Told to drop, it cuts everybody off without a word."""
    async with upstream() as (made, _), talk(made) as one, talk(made) as other:
        made.drop()
        for talking in (one, other):
            with pytest.raises(ConnectionClosedError) as lost:
                await talking.socket.recv()
            assert lost.value.rcvd is None
        await until(lambda: made.open == 0)
        async with talk(made):
            pass


async def test_close() -> None:
    """Told to close, it says the code and the reason to everybody."""
    async with upstream() as (made, _), talk(made) as one, talk(made) as other:
        await made.close(4321, "session_expired")
        for talking in (one, other):
            with pytest.raises(ConnectionClosedError):
                await talking.socket.recv()
            assert (talking.socket.close_code, talking.socket.close_reason) == (
                4321,
                "session_expired",
            )


@pytest.mark.parametrize("size", [300, 65536])
async def test_flood(size: int) -> None:
    """Told to flood, it sends as many messages of that size as it was told."""
    async with upstream() as (made, _), talk(made) as talking:
        flooding = asyncio.ensure_future(made.flood(size, 100))
        for _ in range(100):
            message = await talking.socket.recv(decode=False)
            assert len(message) == size
        await flooding
        assert made.flooded == 100 * size


async def test_flood_of_who_does_not_read() -> None:
    """A flood is not faster than it is taken, and ends with the connection."""
    async with upstream() as (made, _), talk(made):
        flooding = asyncio.ensure_future(made.flood(65536, 4096))
        await still(lambda: made.flooded)
        assert not flooding.done()
        assert made.flooded < 32 * 1024 * 1024
        made.drop()
        await flooding


async def test_the_end() -> None:
    """At the end everybody is told 1001."""
    async with upstream() as (made, _):
        client = await dial(made)
        await client.recv()
    with pytest.raises(ConnectionClosed):
        await client.recv()
    assert client.close_code == 1001


async def test_the_end_of_who_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads nothing does not hold up the end."""
    monkeypatch.setattr(module, "CLOSE_TIME", 0.05)
    async with upstream() as (made, _):
        client = await dial(made, max_queue=1)
        flooding = asyncio.ensure_future(made.flood(65536, 4096))
        await still(lambda: made.flooded)
        assert not flooding.done()
    await flooding
    client.transport.abort()
