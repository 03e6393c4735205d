"""Rules of strict JSON by name, and how deep in a text one of them is broken.

Both are sent to the client in the `details` of an error, without any of its own text. For text that is
no JSON at all there are no details.
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from enum import Enum
from itertools import islice
from typing import Any, Final

from portward.model.limits import INTEGER

POISON: Final = frozenset({"__proto__", "constructor", "prototype"})
"""Keys that change JavaScript objects."""
SCANNED: Final = 4096
"""Most tokens that are searched for the place; in a longer text it may stay unknown."""

_DIGITS: Final = len(str(INTEGER))
_TOKEN: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}:]|-?[0-9][0-9.eE+-]*|-?[A-Z]\w*')


class JsonRule(Enum):
    """Rules: for each a name for clients, and a text for the log."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        self.text = text

    SYNTAX = "json", "not JSON"
    DEPTH = "depth", "nested too deeply"
    DUPLICATE_KEY = "duplicate_key", "duplicate key"
    FORBIDDEN_KEY = "forbidden_key", "forbidden key"
    INTEGER_RANGE = "integer_range", "integer out of range"
    NUMBER_RANGE = "number_range", "number out of range"
    CONSTANT = "constant", "NaN or Infinity"
    LONE_SURROGATE = "lone_surrogate", "lone surrogate"
    NUL = "nul", "NUL"


class _Place:
    """A place in a text: the keys of the objects around it, None for each list."""

    def __init__(self) -> None:
        self.around: list[set[str] | None] = []
        self.string = ""

    @property
    def depth(self) -> int:
        return len(self.around)

    def move(self, piece: str) -> str | None:
        """Move past a token; returns the key of an object when there was one."""
        if piece in "{[":
            self.around.append(set() if piece == "{" else None)
        elif piece in "}]":
            if self.around:
                self.around.pop()
        elif piece == ":":
            return self.string
        elif piece[0] == '"':
            self.string = _read(piece)
        return None


def _read(piece: str) -> str:
    try:
        text: str = json.loads(piece)
    except ValueError:
        return ""
    return text


def _duplicate(place: _Place, _: str, key: str | None) -> bool:
    keys = place.around[-1] if place.around else None
    if key is None or keys is None:
        return False
    known = key in keys
    keys.add(key)
    return known


def _number(piece: str) -> float:
    """The value of a number, 0 when the token is no number."""
    if piece[0] not in "-0123456789":
        return 0.0
    try:
        return float(piece)
    except ValueError:
        return 0.0


def _is_large_integer(piece: str) -> bool:
    """Whether it is an integer out of range; a number with a fraction or an exponent is no integer."""
    digits = piece.removeprefix("-")
    return digits.isdecimal() and (len(digits) > _DIGITS or int(digits) > INTEGER)


def _surrogate(place: _Place, piece: str, _: str | None) -> bool:
    return piece[0] == '"' and any("\ud800" <= each <= "\udfff" for each in place.string)


_BREAKS: Final[dict[JsonRule, Callable[[_Place, str, str | None], bool]]] = {
    JsonRule.DUPLICATE_KEY: _duplicate,
    JsonRule.FORBIDDEN_KEY: lambda _, __, key: key in POISON,
    JsonRule.INTEGER_RANGE: lambda _, piece, __: _is_large_integer(piece),
    JsonRule.NUMBER_RANGE: lambda _, piece, __: not math.isfinite(_number(piece)),
    JsonRule.CONSTANT: lambda _, piece, __: piece.lstrip("-") in {"NaN", "Infinity"},
    JsonRule.LONE_SURROGATE: _surrogate,
    JsonRule.NUL: lambda place, piece, _: piece[0] == '"' and "\0" in place.string,
}


def depth_of(rule: JsonRule, text: str) -> int | None:
    """How many brackets are around the first place where a text breaks a rule; None when unknown."""
    breaks = _BREAKS.get(rule)
    return None if breaks is None else next(_depths(breaks, text), None)


def _depths(breaks: Callable[[_Place, str, str | None], bool], text: str) -> Iterator[int]:
    place = _Place()
    for found in islice(_TOKEN.finditer(text), SCANNED):
        piece = found.group()
        key = place.move(piece)
        if breaks(place, piece, key):
            yield place.depth


def details(rule: JsonRule, depth: int | None) -> dict[str, Any]:
    """The details of an error about a text that breaks a rule."""
    return {"rule": rule.code} if depth is None else {"rule": rule.code, "depth": depth}
