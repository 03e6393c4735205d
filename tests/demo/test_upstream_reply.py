from typing import Any

import pytest

from tests.demo.upstreams import Session, joined, sound

MESSAGE = [
    "response.created",
    "rate_limits.updated",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
]
END = ["conversation.item.done", "response.output_item.done", "response.done"]
WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


@pytest.fixture
def session() -> Session:
    """A session with one question in it."""
    made = Session()
    made.tell("How are you?")
    return made


def kinds(events: list[dict[str, Any]]) -> list[str]:
    """The types of events, each run of deltas as one."""
    found = [event["type"] for event in events]
    return [each for number, each in enumerate(found) if number == 0 or each != found[number - 1]]


def test_text(session: Session) -> None:
    """A written answer comes word by word, and whole at the end."""
    events = session.respond(output_modalities=["text"])
    assert kinds(events) == [
        *MESSAGE,
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        *END,
    ]
    text = "You said: How are you?"
    assert joined(events, "response.output_text.delta") == text
    (done,) = [each for each in events if each["type"] == "response.output_text.done"]
    assert done["text"] == text
    response = events[-1]["response"]
    assert response["status"] == "completed"
    assert response["status_details"] is None
    (item,) = response["output"]
    assert item["status"] == "completed"
    assert item["content"] == [{"type": "output_text", "text": text}]


def test_voice(session: Session) -> None:
    """A spoken answer comes with its words, and with sound as long as they are."""
    events = session.respond()
    assert kinds(events)[-6:] == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        *END,
    ]
    text = "You said: How are you?"
    assert joined(events, "response.output_audio_transcript.delta") == text
    heard = sound(events)
    assert len(heard) == len(text) * 2400
    assert any(heard)
    usage = events[-1]["response"]["usage"]
    assert usage["output_token_details"] == {"text_tokens": 6, "audio_tokens": len(text)}
    assert session.respond()[-1]["response"]["audio"]["output"]["voice"] == "marin"


def test_ids_agree(session: Session) -> None:
    """Every event of a response names the same response and the same item."""
    events = session.respond()
    response, item = events[0]["response"]["id"], events[2]["item"]["id"]
    assert {each["response_id"] for each in events if "response_id" in each} == {response}
    assert {each["item_id"] for each in events if "item_id" in each} == {item}
    assert {each["item"]["id"] for each in events if "item" in each} == {item}
    assert events[-1]["response"]["id"] == response


def test_usage_grows_with_the_text(session: Session) -> None:
    """A longer question and a longer answer cost more, and the sum is the sum."""
    before = session.respond(output_modalities=["text"])[-1]["response"]["usage"]
    session.tell("word " * 100)
    after = session.respond(output_modalities=["text"])[-1]["response"]["usage"]
    for name in ("input_tokens", "output_tokens", "total_tokens"):
        assert after[name] > before[name]
    assert after["total_tokens"] == after["input_tokens"] + after["output_tokens"]
    assert after["input_token_details"]["text_tokens"] == after["input_tokens"]


def test_metadata(session: Session) -> None:
    """What the client notes on a response is on it."""
    events = session.respond(metadata={"topic": "x"})
    assert events[0]["response"]["metadata"] == {"topic": "x"}
    assert events[-1]["response"]["metadata"] == {"topic": "x"}


def test_function_call(session: Session) -> None:
    """When the user names what a tool is for, it is called with arguments that fit."""
    session.tell("What is the weather in Paris?")
    events = session.respond(tools=[WEATHER])
    assert kinds(events) == [
        *MESSAGE[:-1],
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        *END,
    ]
    (done,) = [each for each in events if each["type"].endswith("arguments.done")]
    assert (done["name"], done["arguments"]) == ("get_weather", '{"city":"Paris"}')
    assert joined(events, "response.function_call_arguments.delta") == done["arguments"]
    (item,) = events[-1]["response"]["output"]
    assert item["type"] == "function_call"
    assert item["call_id"] == done["call_id"]
    output = {"type": "function_call_output", "call_id": item["call_id"], "output": "Sunny."}
    session.take("conversation.item.create", item=output)
    said = session.respond(tools=[WEATHER])[-1]["response"]["output"][0]["content"][0]
    assert said["transcript"] == "The tool answered: Sunny."


@pytest.mark.parametrize("after", [0, 4, 5, 8])
def test_cancelling(session: Session, after: int) -> None:
    """A response that is cancelled stops there, and ends in order, with the price of what was said."""
    events = session.respond(cancel_after=after, output_modalities=["text"])
    response = events[-1]["response"]
    assert response["status"] == "cancelled"
    assert response["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    (item,) = response["output"]
    assert item["status"] == "incomplete"
    said = joined(events, "response.output_text.delta")
    assert item["content"][0]["text"] == said
    assert len(said) < len("You said: How are you?")
    assert response["usage"]["output_tokens"] == -(-len(said) // 4)


def test_cancelling_a_function_call(session: Session) -> None:
    """A call that is cancelled is cut off."""
    session.tell("What is the weather in Paris?")
    events = session.respond(cancel_after=4, tools=[WEATHER])
    (item,) = events[-1]["response"]["output"]
    assert events[-1]["response"]["status"] == "cancelled"
    assert '{"city":"Paris"}'.startswith(item["arguments"])
    assert len(item["arguments"]) == 8


@pytest.mark.parametrize("where", ["session", "response"])
def test_limit(session: Session, where: str) -> None:
    """An answer is no longer than it may be."""
    text: dict[str, Any] = {"output_modalities": ["text"], "max_output_tokens": 2}
    if where == "session":
        session.one("session.update", session={"type": "realtime"} | text)
    response = session.respond(**text if where == "response" else {})[-1]["response"]
    assert (response["status"], response["max_output_tokens"]) == ("incomplete", 2)
    assert response["status_details"]["reason"] == "max_output_tokens"
    assert response["usage"]["output_tokens"] <= 2
