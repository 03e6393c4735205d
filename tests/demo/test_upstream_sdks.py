"""The stand-in upstream takes what public SDKs send: every optional field may be there, and be null."""

import base64
import json
from typing import Any

import pytest
from openai.types.realtime import (
    RealtimeAudioConfig,
    RealtimeAudioConfigInput,
    RealtimeAudioConfigOutput,
    RealtimeResponseCreateParams,
    RealtimeSessionCreateRequest,
    RealtimeTranscriptionSessionCreateRequest,
)
from websockets.exceptions import ConnectionClosedError

from tests.demo.upstreams import KEY, Session, Talk, dial, upstream

PCM = {"rate": 24000, "type": "audio/pcm"}
AGENTS: dict[str, Any] = {
    "type": "realtime",
    "audio": {
        "input": {
            "format": PCM,
            "noise_reduction": None,
            "transcription": {"model": "gpt-4o-mini-transcribe"},
            "turn_detection": {"type": "semantic_vad", "interrupt_response": True},
        },
        "output": {"format": PCM, "voice": "ash", "speed": None},
    },
    "instructions": None,
    "max_output_tokens": None,
    "model": "gpt-realtime",
    "output_modalities": ["audio"],
    "parallel_tool_calls": True,
    "tool_choice": None,
    "tools": [
        {
            "description": "weather",
            "name": "get_weather",
            "parameters": {"properties": {"city": {"type": "string"}}, "type": "object"},
            "type": "function",
        }
    ],
}
"""What openai-agents 0.24 sends for an agent without instructions."""


def nulls(kind: Any, **given: Any) -> dict[str, Any]:
    """An object of the SDK with null in every optional field, as `model_dump` writes it."""
    found: dict[str, Any] = kind.model_construct(**given).model_dump(mode="json")
    return found


AUDIO = nulls(
    RealtimeAudioConfig,
    input=RealtimeAudioConfigInput.model_construct(),
    output=RealtimeAudioConfigOutput.model_construct(),
)
SESSIONS = {
    "openai-agents": AGENTS,
    "openai-agents, tracing": {"type": "realtime", "model": "gpt-realtime", "tracing": "auto"},
    "nothing but nulls": nulls(RealtimeSessionCreateRequest, type="realtime"),
    "nulls inside": nulls(RealtimeSessionCreateRequest, type="realtime", audio=AUDIO),
    "no instructions": {"type": "realtime", "instructions": None},
    "no audio": {"type": "realtime", "audio": None},
    "no output": {"type": "realtime", "audio": {"input": None, "output": None}},
    "no tools": {"type": "realtime", "tools": None, "tool_choice": None},
    "a server of tools": {
        "type": "realtime",
        "tools": [{"type": "mcp", "server_label": "s", "server_url": "https://x.example"}],
    },
    "reasoning": {"type": "realtime", "reasoning": {"effort": "low"}},
    "everything off": {
        "type": "realtime", "tracing": None, "prompt": None, "include": None, "truncation": None,
        "max_output_tokens": None, "output_modalities": None, "model": None,
        "parallel_tool_calls": None,
    },
}  # fmt: skip


@pytest.mark.parametrize("asked", SESSIONS.values(), ids=SESSIONS)
def test_sessions(asked: dict[str, Any]) -> None:
    """Null is a field that is not given, or one that is switched off; a response can follow."""
    session = Session()
    updated = session.one("session.update", session=asked)
    assert updated["type"] == "session.updated"
    assert updated["session"]["instructions"]
    assert updated["session"]["model"] == "gpt-realtime"
    assert updated["session"]["audio"]["output"]["voice"]
    session.tell("hello")
    assert session.respond()[-1]["response"]["status"] == "completed"


def test_what_null_switches_off() -> None:
    """Detection of turns, transcription and reduction of noise are off after null."""
    session = Session()
    on = {"transcription": {"model": "whisper-1"}, "noise_reduction": {"type": "near_field"}}
    session.one("session.update", session={"type": "realtime", "audio": {"input": on}})
    off = dict.fromkeys(on)
    updated = session.one("session.update", session={"type": "realtime", "audio": {"input": off}})
    assert {name: updated["session"]["audio"]["input"][name] for name in on} == off


RESPONSES: dict[str, dict[str, Any]] = {
    "nothing but nulls": nulls(RealtimeResponseCreateParams),
    "instructions": {"instructions": "Be brief.", "metadata": None, "input": None},
    "null inside": {"audio": {"output": {"voice": None, "format": None}}, "tools": None},
}


@pytest.mark.parametrize("asked", RESPONSES.values(), ids=RESPONSES)
def test_responses(asked: dict[str, Any]) -> None:
    """A response with nulls is one with the session's values."""
    session = Session()
    session.tell("hello")
    assert session.respond(**asked)[-1]["response"]["status"] == "completed"


ITEMS: list[dict[str, Any]] = [
    {
        "type": "message", "role": "user", "id": None, "object": None, "status": None,
        "content": [{"type": "input_text", "text": "hi", "audio": None, "transcript": None}],
    },
    {"type": "function_call_output", "call_id": "c", "output": "o", "id": None, "status": None},
]  # fmt: skip


@pytest.mark.parametrize("item", ITEMS)
def test_items(item: dict[str, Any]) -> None:
    """An item with nulls is one without these fields."""
    added = Session().take("conversation.item.create", item=item, previous_item_id=None)
    assert [each["type"] for each in added] == [
        "conversation.item.added",
        "conversation.item.done",
    ]


@pytest.mark.parametrize(
    ("model", "usage"),
    [("whisper-1", {"type": "duration"}), ("gpt-4o-transcribe", {"type": "tokens"})],
)
@pytest.mark.parametrize("apart", [False, True], ids=["in a conversation", "alone"])
def test_transcriptions(model: str, usage: dict[str, Any], apart: bool) -> None:
    """What was said is transcribed, with a usage in seconds or in tokens as the model is billed."""
    session = Session(None if apart else "gpt-realtime")
    kind = "transcription" if apart else "realtime"
    sound = {"input": {"transcription": {"model": model, "language": None}}}
    assert session.one("session.update", session={"type": kind, "audio": sound})
    session.take("input_audio_buffer.append", audio=base64.b64encode(bytes(48_000)).decode())
    events = session.take("input_audio_buffer.commit")
    done = events[-1]
    assert done["type"] == "conversation.item.input_audio_transcription.completed"
    assert done["usage"]["type"] == usage["type"]
    assert done["usage"].get("seconds", 1.0) == 1.0
    assert done["usage"].get("total_tokens", 1) > 0


def test_a_session_that_transcribes_gives_no_answers() -> None:
    """It has a type of its own, takes no fields of the other, and no wish for a response."""
    session = Session(None)
    asked = nulls(RealtimeTranscriptionSessionCreateRequest, type="transcription")
    assert session.one("session.update", session=asked)["session"]["type"] == "transcription"
    assert session.refused("session.update", session={"type": "realtime"})[1] == "session.type"
    assert session.refused("response.create") == ("invalid_value", "type")


async def test_parameters_of_the_address() -> None:
    """A transcription has no model in its address, a call needs none, and anything else does."""
    async with upstream() as (made, _):
        base = made.url.partition("?")[0]
        for query, kind in (("intent=transcription", "transcription"), ("call_id=c", "realtime")):
            async with dial(made, url=f"{base}?{query}") as socket:
                created = await Talk(socket).hear("session.created")
                assert created["session"]["type"] == kind
        for query, code in (
            ("intent=transcription&model=gpt-realtime", "invalid_parameter"),
            ("", "model_not_found"),
        ):
            async with dial(made, url=f"{base}?{query}") as socket:
                assert json.loads(await socket.recv())["error"]["code"] == code
                with pytest.raises(ConnectionClosedError):
                    await socket.recv()


async def test_the_key_may_be_in_another_header() -> None:
    """Azure's clients send it in `api-key`."""
    async with upstream() as (made, _), dial(made, additional_headers={"api-key": KEY}) as socket:
        assert (await Talk(socket).hear("session.created"))["session"]["model"]
