"""The stand-in upstream, as the official SDK and plain WebSocket clients see it."""

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
from openai.types.realtime import RealtimeServerEvent, RealtimeSessionCreateRequest
from pydantic import TypeAdapter
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from portward.demo.upstream import StandInUpstream
from portward.settings import Settings, SettingsError
from portward.settings.sections import Environment
from portward.testing.clock import FakeClock

KEY = "sk-stand-in"
MODEL = "gpt-realtime"
_EVENTS: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


@pytest.fixture
async def upstream() -> AsyncIterator[StandInUpstream]:
    """A stand-in on any port."""
    async with StandInUpstream(Settings(), FakeClock(), key=KEY) as made:
        yield made


@asynccontextmanager
async def sdk(upstream: StandInUpstream) -> AsyncIterator[AsyncRealtimeConnection]:
    """The official SDK, as an application would set it up."""
    base = upstream.url.partition("/realtime")[0]
    async with (
        AsyncOpenAI(api_key=KEY, websocket_base_url=base) as openai,
        openai.realtime.connect(model=MODEL) as connection,
    ):
        yield connection


class Client:
    """A plain client; every event that it receives is one that the SDK knows."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, kind: str, **fields: Any) -> None:
        """Send an event."""
        await self._socket.send(msgspec.json.encode({"type": kind, **fields}), text=True)

    async def send_text(self, text: str | bytes) -> None:
        """Send a message as it is."""
        await self._socket.send(text)

    async def next(self) -> dict[str, Any]:
        """The next event."""
        event: dict[str, Any] = msgspec.json.decode(await self._socket.recv())
        assert _EVENTS.validate_python(event).type == event["type"]
        return event

    async def until(self, kind: str) -> list[dict[str, Any]]:
        """The next events up to one of this kind."""
        events = [await self.next()]
        while events[-1]["type"] != kind:
            events.append(await self.next())
        return events


def dial(upstream: StandInUpstream, query: str = f"model={MODEL}", **headers: str) -> connect:
    """A plain client, with the key unless other headers are given."""
    url = f"{upstream.url.partition('?')[0]}?{query}"
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return connect(url, additional_headers=given or {"Authorization": f"Bearer {KEY}"}, proxy=None)


@pytest.fixture
async def client(upstream: StandInUpstream) -> AsyncIterator[Client]:
    """A client whose session has begun."""
    async with dial(upstream) as socket:
        made = Client(socket)
        assert (await made.next())["session"]["model"] == MODEL
        yield made


def said(text: str) -> Any:
    """A message of the user."""
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def test_production_is_refused() -> None:
    """A gateway in production cannot have this upstream."""
    settings = replace(Settings(), environment=Environment.PRODUCTION)
    with pytest.raises(SettingsError, match="never serves production"):
        StandInUpstream(settings, FakeClock(), key=KEY)


@pytest.mark.parametrize("modality", ["text", "audio"])
async def test_the_sdk_talks(upstream: StandInUpstream, modality: Any) -> None:
    """The official SDK has a session, sends a message, and receives an answer and its price."""
    async with sdk(upstream) as connection:
        await connection.session.update(
            session={"type": "realtime", "output_modalities": [modality]}
        )
        await connection.conversation.item.create(item=said("Say hello!"))
        await connection.response.create()
        kinds, text, sound = [], "", b""
        async for event in connection:
            kinds.append(event.type)
            if event.type in {
                "response.output_text.delta",
                "response.output_audio_transcript.delta",
            }:
                text += event.delta
            if event.type == "response.output_audio.delta":
                sound += base64.b64decode(event.delta)
            if event.type == "response.done":
                break
        assert kinds[:2] == ["session.created", "session.updated"]
        assert text == "You said: Say hello!"
        assert bool(sound) is (modality == "audio")
        assert event.type == "response.done"
        assert event.response.status == "completed"
        assert event.response.usage is not None
        assert (event.response.usage.total_tokens or 0) > 0


async def test_the_sdk_calls_a_tool(upstream: StandInUpstream) -> None:
    """The official SDK receives a function call, sends its outcome, and receives an answer with it."""
    properties = {"city": {"type": "string"}}
    tool: Any = {"type": "function", "name": "get_weather", "parameters": {}}
    tool["parameters"] = {"type": "object", "properties": properties}
    session: Any = {"type": "realtime", "output_modalities": ["text"], "tools": [tool]}
    async with sdk(upstream) as connection:
        await connection.session.update(session=session)
        await connection.conversation.item.create(item=said("What is the weather in Paris?"))
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


async def test_audio_is_counted(client: Client) -> None:
    """Audio that was appended and committed is an item; an empty buffer cannot be committed."""
    audio = base64.b64encode(bytes(96_000)).decode()
    await client.send("input_audio_buffer.append", audio=audio)
    await client.send("input_audio_buffer.commit")
    assert (await client.until("conversation.item.done"))[-1]["item"]["content"] == [
        {"type": "input_audio", "transcript": "2.0 seconds of audio"}
    ]
    await client.send("input_audio_buffer.append", audio=audio)
    await client.send("input_audio_buffer.clear")
    await client.send("input_audio_buffer.commit")
    assert (await client.until("error"))[-1]["error"]["code"] == "input_audio_buffer_commit_empty"


async def test_a_response_is_cancelled() -> None:
    """A response that is cancelled ends early; there is one at a time."""
    async with (
        StandInUpstream(Settings(), FakeClock(), key=KEY, pace=0.001) as upstream,
        dial(upstream) as socket,
    ):
        client = Client(socket)
        await client.send("response.cancel")
        assert (await client.until("error"))[-1]["error"]["code"] == "response_cancel_not_active"
        await client.send("conversation.item.create", item=said("a " * 2000))
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        await client.send("response.create")
        code = "conversation_already_has_active_response"
        assert (await client.until("error"))[-1]["error"]["code"] == code
        await client.send("response.cancel")
        done = (await client.until("response.done"))[-1]["response"]
        assert (done["status"], done["output"][0]["status"]) == ("cancelled", "incomplete")


NULLS: dict[str, Any] = RealtimeSessionCreateRequest.model_construct(type="realtime").model_dump(
    mode="json"
)


@pytest.mark.parametrize(
    "session",
    [
        NULLS,
        {"type": "realtime", "audio": {"input": {"turn_detection": None}, "output": None}},
        {"type": "realtime", "tools": None, "instructions": None, "max_output_tokens": None},
        {"type": "realtime", "tools": [{"type": "mcp", "server_label": "s"}], "tracing": "auto"},
    ],
)
async def test_what_sdks_leave_out(client: Client, session: dict[str, Any]) -> None:
    """A field that is null keeps its value, and a response can follow."""
    await client.send("session.update", session=session)
    updated = (await client.until("session.updated"))[-1]["session"]
    assert (updated["model"], bool(updated["instructions"])) == (MODEL, True)
    assert updated["audio"]["output"]["voice"]
    await client.send("conversation.item.create", item=said("hello"))
    await client.send("response.create", response=None)
    assert (await client.until("response.done"))[-1]["response"]["status"] == "completed"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", "invalid_json"),
        ("[]", "invalid_json"),
        ('{"type": 1}', "invalid_json"),
        (b'{"type": "response.create"}', "invalid_json"),
        ("[" * 100_000, "invalid_json"),
        ('{"type": "x"}', "invalid_value"),
        ('{"type": "session.update"}', "missing_required_parameter"),
        ('{"type": "session.update", "session": {"type": "y"}}', "invalid_value"),
        ('{"type": "conversation.item.create", "item": {"type": "y"}}', "invalid_value"),
        ('{"type": "conversation.item.create", "item": {"type": "message", "content": [1]}}',
         "invalid_value"),
        ('{"type": "response.create", "response": {"tools": 1}}', "invalid_value"),
        ('{"type": "response.create", "response": [1]}', "invalid_value"),
    ],
)  # fmt: skip
async def test_what_is_no_event(client: Client, message: str | bytes, code: str) -> None:
    """It is answered with an error, and the session goes on."""
    await client.send("conversation.item.create", item=said("hello"))
    await client.until("conversation.item.done")
    await client.send_text(message)
    assert (await client.until("error"))[-1]["error"]["code"] == code
    await client.send("response.create")
    assert (await client.until("response.done"))[-1]["response"]["status"] == "completed"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-None": "1"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": KEY},
        {"Authorization": f"Bearer {KEY}", "api-key": KEY},
    ],
)
async def test_a_wrong_key(upstream: StandInUpstream, headers: dict[str, str]) -> None:
    """Without the key, in one header, a handshake is refused."""
    with pytest.raises(InvalidStatus) as refused:
        await dial(upstream, **headers)
    response = refused.value.response
    assert response.status_code == 401
    assert response.body is not None
    assert msgspec.json.decode(response.body)["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize(
    ("query", "headers"), [("call_id=c", {}), (f"model={MODEL}", {"api-key": KEY})]
)
async def test_other_handshakes(
    upstream: StandInUpstream, query: str, headers: dict[str, str]
) -> None:
    """A call needs no model; Azure's clients send the key in another header."""
    async with dial(upstream, query, **headers) as socket:
        assert (await Client(socket).next())["session"]["model"] == MODEL


@pytest.mark.parametrize("query", ["", "model=gpt-5", "intent=transcription"])
async def test_an_unknown_model(upstream: StandInUpstream, query: str) -> None:
    """A model that does not exist is an event, and the end."""
    async with dial(upstream, query) as socket:
        assert (await Client(socket).next())["error"]["code"] == "model_not_found"
        with pytest.raises(ConnectionClosedError):
            await socket.recv()


async def test_the_end() -> None:
    """At the end clients are disconnected, and the port is free."""
    async with StandInUpstream(Settings(), FakeClock(), key=KEY) as upstream:
        socket_ = await dial(upstream)
        port = int(upstream.url.split(":")[2].partition("/")[0])
    async with asyncio.timeout(10):
        await socket_.wait_closed()
    assert socket_.close_code == 1001
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
