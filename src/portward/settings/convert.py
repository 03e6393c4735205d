"""Conversion of a written value to the value of a key."""

import re
from typing import Any, Final

import msgspec

from portward.settings.errors import SettingsError
from portward.settings.formats import JSON
from portward.settings.schema import Leaf
from portward.settings.secret import Secret

_NUMBER: Final = re.compile(r"\d+(\.\d+)?", re.ASCII)
_WORDS: Final = {
    "`int`": "a whole number",
    "`float`": "a number",
    "`str`": "a text",
    "`bool`": "true or false",
    "`array`": "a list",
    "`object`": "a table",
}
_PLACE: Final = re.compile(r" - at `\$\[(\d+)\](\S*)`")


def convert(leaf: Leaf, raw: object, *, text: bool) -> object:
    """Convert a written value to the value of a key.

    `text` means that the source has only texts (environment, flags): then numbers, booleans and lists may be
    written as text, a list with commas or as JSON, and an empty text unsets a key that can be unset.

    Raises:
        SettingsError: `raw` is no such value; the message contains nothing that may be a secret.
    """
    try:
        value = _from_text(leaf, raw) if text and isinstance(raw, str) else raw
        if value is None and leaf.optional:
            return None
        if leaf.form is not None:
            value = leaf.form.parse(value)
        return msgspec.convert(value, leaf.hint, strict=not text, dec_hook=_secret)
    except ValueError as error:
        raise SettingsError(_problem(leaf, str(error))) from None


def _from_text(leaf: Leaf, raw: str) -> object:
    if any("\ud800" <= letter <= "\udfff" for letter in raw):
        # Python's form of environment bytes that are no UTF-8; they cannot be encoded for a key.
        raise ValueError("expected UTF-8")
    if leaf.listed:
        return _list(raw)
    if not raw and leaf.optional:
        return None
    if leaf.form not in (None, JSON) and _NUMBER.fullmatch(raw):
        return float(raw)
    return raw


def _list(raw: str) -> object:
    """Parse a list: as JSON when it starts like JSON, else separated by commas."""
    if not raw.lstrip().startswith("["):
        return [part.strip() for part in raw.split(",") if part.strip()]
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        raise ValueError("expected a list with commas, or one in JSON") from None


def _secret(kind: type, value: object) -> Any:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise ValueError("Expected `str`")


def _problem(leaf: Leaf, text: str) -> str:
    text = _PLACE.sub(lambda match: f" in entry {int(match[1]) + 1}{match[2]}", text)
    for type_name, word in _WORDS.items():
        text = text.replace(type_name, word)
    if "enum value" in text and leaf.choices:
        return f"{text}; choose from {leaf.choices}"
    return text[0].lower() + text[1:]
