from typing import Any

import pytest

from portward.demo.upstream_intake import Invalid, item_from, merged


def message(**changes: Any) -> dict[str, Any]:
    """An item as a client may send it."""
    content = [{"type": "input_text", "text": "x"}]
    return {"type": "message", "role": "user", "content": content} | changes


@pytest.mark.parametrize(
    ("item", "param"),
    [
        (None, "item"),
        ([], "item"),
        ({}, "item.type"),
        (message(type="mcp_call"), "item.type"),
        (message(id=""), "item.id"),
        (message(id=1), "item.id"),
        (message(role="tool"), "item.role"),
        (message(role=[]), "item.role"),
        (message(content=None), "item.content"),
        (message(content=[1]), "item.content"),
        (message(content=[{"type": "output_text"}]), "item.content"),
        (message(content=[{"type": []}]), "item.content"),
        (message(content=[{"type": "input_text", "text": 1}]), "item.content"),
        ({"type": "function_call_output", "call_id": "c"}, "item.output"),
        ({"type": "function_call", "call_id": "c", "name": 1}, "item.name"),
    ],
)
def test_items_that_are_none(item: Any, param: str) -> None:
    """What is no item is refused by its name."""
    with pytest.raises(Invalid) as refused:
        item_from(item)
    assert refused.value.error["param"] == param


def test_sound_is_not_kept() -> None:
    """Of sound and pictures only their place is kept."""
    content = [
        {"type": "input_audio", "audio": "AAAA", "transcript": "x"},
        {"type": "input_image", "image_url": "data:,"},
    ]
    assert item_from(message(content=content))["content"] == [
        {"type": "input_audio", "transcript": "x"},
        {"type": "input_image"},
    ]


def test_roles() -> None:
    """Each role has its own kinds of content."""
    said = [{"type": "output_text", "text": "x"}]
    assert item_from(message(role="assistant", content=said))["role"] == "assistant"
    assert item_from(message(role="system"))["status"] == "completed"


def test_merging() -> None:
    """Objects are merged, everything else is replaced, and what was there stays as it was."""
    base = {"a": {"b": 1, "c": {"d": 2}}, "e": [1]}
    assert merged(base, {"a": {"c": {"d": 3}}, "e": [], "f": None}) == {
        "a": {"b": 1, "c": {"d": 3}},
        "e": [],
        "f": None,
    }
    assert base == {"a": {"b": 1, "c": {"d": 2}}, "e": [1]}
    assert merged(base, {"a": None})["a"] is None
