"""Strict parser of JSON from untrusted clients, for all protocols.

Rejects what `json` and `msgspec` accept: duplicate keys, NaN and infinities, numbers that other
languages cannot hold, lone surrogates, NUL, keys that change JavaScript objects, deep nesting.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final, NoReturn

from portward.model.errors import CommandError, ErrorKind
from portward.model.limits import INTEGER, JSON_DEPTH
from portward.security.json_rules import POISON, JsonRule, depth_of, details

_STRINGS: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
"""Strings, also an unterminated one: searched again from each of its quotes it would cost n²."""
_BRACKETS: Final = re.compile(r"[\[\]{}]")
_ESCAPED: Final = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""C0 and C1 controls other than tab, newline and carriage return."""
_BLANKS: Final = " \t\n\r"
_SAFE_DIGITS: Final = 15
MAX_ID: Final = 64
"""Most characters of a client's own id for a message."""


NOT_JSON: Final = JsonRule.SYNTAX.text
"""The detail of an error about text that is no JSON at all."""


class _Refused(ValueError):  # noqa: N818 - becomes a command error, which is an answer
    """The text breaks a rule."""

    def __init__(self, rule: JsonRule, depth: int | None = None) -> None:
        super().__init__(rule.text)
        self.rule = rule
        self.depth = depth


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    collected = dict(pairs)
    if len(collected) != len(pairs):
        raise _Refused(JsonRule.DUPLICATE_KEY)
    if not POISON.isdisjoint(collected):
        raise _Refused(JsonRule.FORBIDDEN_KEY)
    return collected


def _integer(digits: str) -> int:
    if len(digits) > _SAFE_DIGITS and (
        len(digits) > _SAFE_DIGITS + 2 or abs(int(digits)) > INTEGER
    ):
        raise _Refused(JsonRule.INTEGER_RANGE)
    return int(digits)


def _number(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _Refused(JsonRule.NUMBER_RANGE)
    return number


def _constant(_: str) -> NoReturn:
    raise _Refused(JsonRule.CONSTANT)


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_pairs,
    parse_int=_integer,
    parse_float=_number,
    parse_constant=_constant,
)


def depth(text: str) -> int:
    """The deepest nesting of brackets outside strings, in one linear pass."""
    level = deepest = 0
    for bracket in _BRACKETS.finditer(_STRINGS.sub("", text)):
        if bracket.group() in "[{":
            level += 1
            deepest = max(deepest, level)
        else:
            level -= 1
    return deepest


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)


def _check_strings(value: Any) -> None:
    """Reject NUL and lone surrogates, which the JSON grammar allows only as an escape."""
    for text in _strings(value):
        if "\0" in text:
            raise _Refused(JsonRule.NUL)
        try:
            text.encode()
        except UnicodeEncodeError:
            raise _Refused(JsonRule.LONE_SURROGATE) from None


def parse(payload: bytes) -> Any:
    """Parse one JSON text strictly.

    Raises:
        CommandError: `INVALID_FORMAT` in all cases. When the text is JSON, its details name the rule, and
            how deep it is broken.
    """
    text = ""
    try:
        text = payload.decode()
        if text.count("[") + text.count("{") > JSON_DEPTH and (found := depth(text)) > JSON_DEPTH:
            raise _Refused(JsonRule.DEPTH, found)
        bare = text.strip(_BLANKS)
        # Exactly one value. `JSONDecoder.decode` does the same, but skips white space by regex.
        value, end = _DECODER.raw_decode(bare)
        if end != len(bare):
            raise _Refused(JsonRule.SYNTAX)
        if _ESCAPED.search(text):
            _check_strings(value)
    except ValueError as error:
        raise _fault(error, text) from None
    return value


def _fault(error: ValueError, text: str) -> CommandError:
    rule = error.rule if isinstance(error, _Refused) else JsonRule.SYNTAX
    fault = CommandError(ErrorKind.INVALID_FORMAT, detail=rule.text)
    if isinstance(error, _Refused) and rule is not JsonRule.SYNTAX:
        depth = depth_of(rule, text) if error.depth is None else error.depth
        fault.details = details(rule, depth)
    return fault


def identifier(message: Any) -> str | int | None:
    """The client's own id for a message, when it has a valid one: a short text, or an integer."""
    given = message.get("id") if isinstance(message, dict) else None
    if isinstance(given, str):
        return given if len(given) <= MAX_ID else None
    return given if type(given) is int else None


def has_control(text: str) -> bool:
    """Whether `text` has C0 or C1 controls other than tab, newline and carriage return."""
    return CONTROL.search(text) is not None
