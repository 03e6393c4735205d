"""What clients of the stand-in upstream may say, and in which words it is refused."""

from typing import Any, Final

import msgspec

from portward.demo.upstream_words import Json, make_id

MOST_TOKENS: Final = 4096
_TOOLS: Final[dict[object, str]] = {"function": "name", "mcp": "server_label"}
"""Kinds of tools, each with the field that names it."""
_PARTS: Final = {
    "user": ("input_text", "input_audio", "input_image"),
    "system": ("input_text",),
    "assistant": ("output_text", "output_audio"),
}


_NULLABLE: Final = frozenset(
    {"turn_detection", "transcription", "noise_reduction", "tracing", "prompt", "include"}
)
"""Fields that null switches off; any other field that is null is one that was not given."""
ACCEPTED: Final = frozenset({"parallel_tool_calls", "reasoning"})
"""Fields of a session that are taken and change nothing here."""


class Invalid(Exception):  # noqa: N818 - an answer, not an error
    """What a client asked for cannot be done; becomes an `error` event and the session lives."""

    def __init__(self, message: str, code: str, param: str | None = None) -> None:
        super().__init__(code)
        self.error: Json = {
            "type": "invalid_request_error",
            "code": code,
            "message": message,
            "param": param,
        }


def read(message: str | bytes) -> Json:
    """An event: a JSON object with a `type`, in a text message.

    Raises:
        Invalid: it is none.
    """
    try:
        event = msgspec.json.decode(message) if isinstance(message, str) else None
    except (msgspec.DecodeError, RecursionError):
        event = None
    if not isinstance(event, dict):
        raise Invalid("The message is no JSON object.", "invalid_json")
    if not isinstance(event.get("type"), str):
        raise missing("type")
    return event


def missing(param: str) -> Invalid:
    """The refusal of an event that lacks something."""
    text = f"Missing required parameter: '{param}'."
    return Invalid(text, "missing_required_parameter", param)


def wrong(param: str) -> Invalid:
    """The refusal of a value that cannot be."""
    return Invalid(f"Invalid value: '{param}'.", "invalid_value", param)


def inside(event: Json, name: str) -> Json:
    """The object an event carries.

    Raises:
        Invalid: there is none.
    """
    found = event.get(name)
    if not isinstance(found, dict):
        raise missing(name)
    return found


def given(asked: Json) -> Json:
    """The fields that are given: SDKs send null for what their users left out."""
    kept: Json = {}
    for name, value in asked.items():
        if isinstance(value, dict):
            kept[name] = given(value)
        elif value is not None or name in _NULLABLE:
            kept[name] = value
    return kept


def item_from(asked: Any) -> Json:
    """An item of a conversation, whole, with an id.

    Raises:
        Invalid: it is no message and no output of a function.
    """
    if not isinstance(asked, dict):
        raise wrong("item")
    given = asked.get("id")
    if given is not None and not (isinstance(given, str) and given):
        raise wrong("item.id")
    made: Json = {"id": given or make_id("item"), "object": "realtime.item", "status": "completed"}
    fields: tuple[str, ...]
    match asked.get("type"):
        case "message":
            return made | _message(asked)
        case "function_call_output":
            fields = ("call_id", "output")
        case "function_call":
            fields = ("call_id", "name", "arguments")
        case _:
            raise wrong("item.type")
    for name in fields:
        if not isinstance(asked.get(name), str):
            raise missing(f"item.{name}")
    return made | {"type": asked["type"]} | {name: asked[name] for name in fields}


def _message(asked: Json) -> Json:
    role, content = asked.get("role"), asked.get("content")
    if not isinstance(role, str) or role not in _PARTS:
        raise wrong("item.role")
    if not isinstance(content, list):
        raise missing("item.content")
    for part in content:
        if not isinstance(part, dict) or part.get("type") not in _PARTS[role]:
            raise wrong("item.content")
        if not all(isinstance(part.get(name, ""), str | None) for name in ("text", "transcript")):
            raise wrong("item.content")
    # Sound and pictures are not sent back; only their place is.
    kept = ("type", "text", "transcript", "detail")
    parts = [{name: part[name] for name in kept if name in part} for part in content]
    return {"type": "message", "role": role, "content": parts}


def check(asked: Json, prefix: str) -> None:
    """Look at what a session and a response have in common.

    Raises:
        Invalid: a value cannot be.
    """
    limit, spoken = asked.get("max_output_tokens", "inf"), asked.get("output_modalities", ["text"])
    sound = {
        "tools": _tools(asked.get("tools", [])),
        "instructions": isinstance(asked.get("instructions", ""), str),
        "output_modalities": spoken in (["text"], ["audio"]),
        "max_output_tokens": limit == "inf" or (type(limit) is int and 1 <= limit <= MOST_TOKENS),
        "metadata": _metadata(asked.get("metadata")),
    }
    for name, fine in sound.items():
        if not fine:
            raise wrong(f"{prefix}.{name}")


def _tools(tools: Any) -> bool:
    return isinstance(tools, list) and all(
        isinstance(tool, dict) and isinstance(tool.get(_TOOLS.get(tool.get("type"), "")), str)
        for tool in tools
    )


def _metadata(found: Any) -> bool:
    if found is None:
        return True
    return isinstance(found, dict) and all(isinstance(each, str) for each in found.values())


def merged(base: Json, change: Json) -> Json:
    """`base` with what `change` has, objects in objects alike."""
    out = dict(base)
    for name, value in change.items():
        before = base.get(name)
        both = isinstance(before, dict) and isinstance(value, dict)
        out[name] = merged(before, value) if both else value  # type: ignore[arg-type] # it is a dict
    return out
