"""Typed access to claims: a claim of the wrong type refuses the whole token."""

import re
from typing import Any, Final

from portward.model.channel import Channel
from portward.model.claim_path import ClaimPath
from portward.model.identity import ChannelRight
from portward.model.limits import INTEGER
from portward.security.jws import TokenReason, TokenRefused

MAX_TEXT: Final = 256
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ALLOW: Final = frozenset({"subscribe", "history", "presence", "publish"})
_RIGHT_FIELDS: Final = frozenset({"channel", "allow"})


def wrong(name: object) -> TokenRefused:
    """Make the exception for a wrong claim; the caller raises it."""
    return TokenRefused(TokenReason.CLAIMS, str(name))


def value_at(claims: dict[str, Any], path: ClaimPath) -> Any:
    """Return the value of a claim; None when it is absent or null.

    Raises:
        TokenRefused: a part of its path is not an object.
    """
    try:
        return path.find(claims)
    except ValueError:
        raise wrong(path) from None


def number(claims: dict[str, Any], name: str) -> float | None:
    """Return a claim in seconds: a finite number, no string or boolean, exact as a double-precision float."""
    if name not in claims:
        return None
    value = claims[name]
    if type(value) not in {int, float} or abs(value) > INTEGER:
        raise wrong(name)
    return float(value)


def text(claims: dict[str, Any], path: ClaimPath, longest: int = MAX_TEXT) -> str | None:
    """Return a string without control characters; None when it is absent or empty."""
    value = value_at(claims, path)
    return None if value is None else _sound(value, path, longest) or None


def _sound(value: object, name: object, longest: int = MAX_TEXT) -> str:
    if not isinstance(value, str) or len(value) > longest or _UNSAFE.search(value):
        raise wrong(name)
    return value


def texts(claims: dict[str, Any], path: ClaimPath, *, split: bool = False) -> frozenset[str]:
    """Return a list of strings; one string is a list of one, or with `split` a list separated by blanks."""
    value = value_at(claims, path)
    if value is None:
        return frozenset()
    values = value if isinstance(value, list) else [value]
    if split and isinstance(value, str):
        values = [part for part in value.split(" ") if part]
    return frozenset(_sound(each, path) for each in values)


def channels(claims: dict[str, Any], path: ClaimPath) -> tuple[ChannelRight, ...] | None:
    """Return a list of channel rights; None when the claim is absent."""
    entries = value_at(claims, path)
    if entries is None:
        return None
    if not isinstance(entries, list):
        raise wrong(path)
    return tuple(_channel_right(entry, path) for entry in entries)


def _channel_right(entry: object, name: object) -> ChannelRight:
    """Parse one entry of the `channels` claim. An entry that is not understood refuses the token."""
    if not isinstance(entry, dict) or entry.keys() != _RIGHT_FIELDS:
        raise wrong(name)
    allow = entry["allow"]
    if not isinstance(allow, list) or not all(
        isinstance(verb, str) and verb in _ALLOW for verb in allow
    ):
        raise wrong(name)
    return ChannelRight(_pattern(entry["channel"], name), tuple(allow))


def _pattern(value: object, name: object) -> str:
    """Check a channel name, or a prefix of channel names followed by `*`."""
    if not isinstance(value, str):
        raise wrong(name)
    if value == "*":
        return value
    beginning = value.removesuffix("*")
    if beginning != value:
        # A prefix is valid when a channel name can begin with it.
        beginning += "x" if ":" in beginning else ":x"
    try:
        Channel.parse(beginning)
    except ValueError:
        raise wrong(name) from None
    return value
