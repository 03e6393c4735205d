from typing import Any

import pytest

from portward.demo.upstream_words import (
    arguments,
    chosen_tool,
    in_words,
    make_id,
    reply_to,
    said,
    text_tokens,
    tone,
)

TOOLS = [{"name": "set_volume"}, {"name": "get_weather"}]


def message(text: str, role: str = "user") -> dict[str, Any]:
    """An item."""
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}


def test_ids() -> None:
    """Ids say what they are of, and are not repeated."""
    assert make_id("item").startswith("item_")
    assert make_id("item") != make_id("item")


@pytest.mark.parametrize("text", ["", "one", "one two", " one  two ", "\n"])
def test_words(text: str) -> None:
    """A text in pieces is the text."""
    assert "".join(in_words(text)) == text


def test_tokens() -> None:
    """Tokens are counted by letters, and only nothing costs nothing."""
    assert [text_tokens("x" * size) for size in (0, 1, 4, 5)] == [0, 1, 1, 2]


def test_tone_is_bounded() -> None:
    """A word without end does not hum without end."""
    assert len(tone("x" * 100_000)) == len(tone("x" * 20))


def test_reply_is_bounded() -> None:
    """What is said back is no longer than anybody would listen to."""
    assert len(reply_to(message("x" * 100_000), 0)) < 3000


def test_said() -> None:
    """Every kind of item has its words."""
    parts = [{"text": "a"}, {"transcript": "b"}, {"transcript": None}, {}]
    assert said({"type": "message", "content": parts}) == "a b"
    assert said({"type": "function_call", "name": "f", "arguments": "{}"}) == "f {}"
    assert said({"type": "function_call_output", "output": "x"}) == "x"


@pytest.mark.parametrize(
    ("text", "choice", "name"),
    [
        ("How is the Weather?", "auto", "get_weather"),
        ("Weather, please", "auto", "get_weather"),
        ("Turn the volume down", "auto", "set_volume"),
        ("Whether or not", "auto", None),
        ("weather", "none", None),
        ("anything", "required", "set_volume"),
        ("anything", {"type": "function", "name": "get_weather"}, "get_weather"),
        ("weather", {"type": "function", "name": "other"}, None),
    ],
)
def test_chosen_tool(text: str, choice: Any, name: str | None) -> None:
    """The tool is the one that is demanded, or the one that is spoken of."""
    tool = chosen_tool(TOOLS, choice, message(text))
    assert (tool["name"] if tool else None) == name


def test_no_tool() -> None:
    """Without tools or without a question nothing is called."""
    assert chosen_tool([], "required", message("weather")) is None
    assert chosen_tool(TOOLS, "required", None) is None
    output = {"type": "function_call_output", "output": "weather"}
    assert chosen_tool(TOOLS, "required", output) is None


@pytest.mark.parametrize(
    ("parameters", "made"),
    [
        (None, {}),
        ([], {}),
        ({}, {}),
        ({"properties": []}, {}),
        ({"properties": {"a": {"type": "string"}}}, {"a": "Paris"}),
        ({"properties": {"a": {"type": "integer"}, "b": {"type": "boolean"}}}, {"a": 1, "b": True}),
        ({"properties": {"a": {"type": ["string"]}, "b": 1, "c": {}}}, dict.fromkeys("abc")),
    ],
)
def test_arguments(parameters: Any, made: dict[str, Any]) -> None:
    """Arguments fit what the tool asks for, however it asks."""
    assert arguments({"name": "f", "parameters": parameters}, "in Paris?") == made
    assert arguments({"name": "f"}, "") == {}
