"""What the stand-in upstream says: replies, tones, counts of tokens, arguments of a tool."""

import base64
import math
import secrets
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

RATE: Final = 24_000
"""Samples a second; two bytes each (`audio/pcm`)."""
_LETTERS: Final = 4
_HEARD: Final = 4800
_SPOKEN: Final = 2400
_LETTER_TIME: Final = 0.05
_LOUDNESS: Final = 6000
_PITCH: Final = 440.0
_LONGEST_WORD: Final = 20
_LONGEST: Final = 2000
_SPACE: Final = " "
Json = dict[str, Any]


def make_id(kind: str) -> str:
    """A name nobody had before, like `item_4f…`."""
    return f"{kind}_{secrets.token_hex(10)}"


def text_tokens(text: str) -> int:
    """About one for every four letters, as a real model counts."""
    return math.ceil(len(text) / _LETTERS)


def heard_tokens(size: int) -> int:
    """One for every tenth of a second of `size` bytes of speech that came in."""
    return math.ceil(size / _HEARD)


def spoken_tokens(size: int) -> int:
    """One for every twentieth of a second of `size` bytes of speech that went out."""
    return math.ceil(size / _SPOKEN)


def tone(word: str) -> bytes:
    """A hum as long as the word, in the place of a voice."""
    count = int(RATE * _LETTER_TIME) * min(len(word), _LONGEST_WORD)
    wave = (math.sin(2 * math.pi * _PITCH * each / RATE) for each in range(count))
    return b"".join(struct.pack("<h", int(_LOUDNESS * each)) for each in wave)


def encoded(sound: bytes) -> str:
    """Sound as events carry it."""
    return base64.b64encode(sound).decode()


def in_words(text: str) -> list[str]:
    """The pieces in which a text is told: joined, they are the text."""
    words = text.split(_SPACE)
    return [word + _SPACE for word in words[:-1]] + words[-1:]


def reply_to(item: Json | None, heard: int) -> str:
    """What there is to say to the last item of a conversation; `heard` are its bytes of speech."""
    if item is None:
        return "Hello. I am a stand-in and say back what I am told."
    if item["type"] == "function_call_output":
        return f"The tool answered: {item['output']}"
    if heard:
        return f"I heard {heard / 2 / RATE:.1f} seconds of sound."
    return f"You said: {said(item)[:_LONGEST]}"


def said(item: Json) -> str:
    """The words of an item, whoever's they are."""
    if item["type"] == "function_call":
        return f"{item['name']} {item['arguments']}"
    if item["type"] == "function_call_output":
        return str(item["output"])
    parts = (part.get("text") or part.get("transcript") or "" for part in item["content"])
    return _SPACE.join(filter(None, parts))


def chosen_tool(tools: Sequence[Json], choice: Any, item: Json | None) -> Json | None:
    """The tool to call: the one that is demanded, or one whose name has a word the user said."""
    if item is None or item["type"] != "message" or choice == "none":
        return None
    if isinstance(choice, Mapping):
        return next((tool for tool in tools if tool["name"] == choice.get("name")), None)
    if choice == "required":
        return next(iter(tools), None)
    words = {word.strip(".,!?").lower() for word in said(item).split()}
    return next((tool for tool in tools if words & set(tool["name"].lower().split("_"))), None)


def arguments(tool: Json, text: str) -> Json:
    """Arguments that fit the tool's schema: the last word of `text` for what is a string."""
    schema = tool.get("parameters")
    wanted = schema.get("properties") if isinstance(schema, dict) else None
    last = (text.split() or [""])[-1].strip(".,!?")
    made = {"string": last, "number": 1.5, "integer": 1, "boolean": True, "array": [], "object": {}}
    if not isinstance(wanted, dict):
        return {}
    return {name: made.get(_kind(each)) for name, each in wanted.items()}


def _kind(schema: Any) -> str:
    kind = schema.get("type") if isinstance(schema, dict) else None
    return kind if isinstance(kind, str) else ""
