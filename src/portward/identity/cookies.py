"""Cookies as they go to the identity provider: their spelling, and what they say of their age."""

import base64
import json
import re
from typing import Final
from urllib.parse import unquote_to_bytes

_BLANK: Final = b" \t"
_SENDABLE: Final = re.compile(r"[\x21-\x7e\x80-\xff]+(?:[ \t]+[\x21-\x7e\x80-\xff]+)*")
"""Header values that can be sent on (RFC 9110, section 5.5), as Latin-1 text."""
_PLAIN: Final = re.compile(r'[!#$%&\'*+.^_`|~0-9A-Za-z-]+=("?)[A-Za-z0-9._~+/=-]*\1')
"""A cookie with a value that every parser reads as it stands, but for the quotes around it.

Some take `%` for an escape, and Express takes `j:` for JSON and `s:` for a signature: what is refused
under one spelling would come in under another.
"""
_ESCAPE: Final = re.compile(rb"\\(?:([0-3][0-7][0-7])|(.))", re.DOTALL)
"""A backslash inside quotes, as RFC 2109 had it and some servers still read it."""
_AS_JSON: Final = b"j:"
_JWT: Final = re.compile(rb"[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[^.]*")
"""Three parts, of which the last may be anything: no signature covers it, and some readers forgive much."""


def are_sendable(cookies: str) -> bool:
    """Whether they can stand in a `Cookie` header at all."""
    return _SENDABLE.fullmatch(cookies) is not None


def are_plain(cookies: str) -> bool:
    """Whether they can be sent, and each has a name and a value there are no two ways to read."""
    if not are_sendable(cookies):
        return False
    pairs = (pair.strip(" \t") for pair in cookies.split(";"))
    return all(_PLAIN.fullmatch(pair) for pair in pairs)


def spellings(cookies: bytes) -> list[tuple[bytes, frozenset[bytes]]]:
    """The name of each cookie, and every reading of its value."""
    pairs = (pair.partition(b"=") for pair in cookies.split(b";"))
    return [(name.strip(_BLANK), readings(value)) for name, _, value in pairs]


def readings(value: bytes) -> frozenset[bytes]:
    """Every value that a server may take a cookie's value for.

    As it stands; without the quotes around it, and without the escapes inside those; each of these with
    percent signs decoded once, and with `+` as a blank too.
    """
    value = value.strip(_BLANK)
    found = {value, value.strip(_BLANK + b'"')}
    if len(value) > 1 and value[:1] == value[-1:] == b'"':
        found |= {value[1:-1], _ESCAPE.sub(_unescaped, value[1:-1])}
    spaced = {each.replace(b"+", b" ") for each in found}
    return frozenset(found | {unquote_to_bytes(each) for each in found | spaced})


def _unescaped(match: re.Match[bytes]) -> bytes:
    """Read one escape as Python's `http.cookies` does: three octal digits, or any character."""
    return bytes((int(match[1], 8),)) if match[1] else match[2]


def are_readable(cookies: str) -> bool:
    """Whether they can be sent, and none has a value that Express would read as JSON.

    What stands behind `j:` has more spellings than can be told apart: a login that was taken back would
    come in under another one.
    """
    if not are_sendable(cookies):
        return False
    values = (pair.partition("=")[2] for pair in cookies.split(";"))
    found = {each for value in values for each in readings(value.encode("latin-1"))}
    twice = {unquote_to_bytes(each) for each in found}
    return not any(each.startswith(_AS_JSON) for each in found | twice)


def issued(value: bytes, latest: float) -> float:
    """When a token says that it was issued, in Unix seconds; `latest` where it names no time before.

    For those who know from elsewhere that it is genuine: nothing is verified here.
    """
    match = _JWT.fullmatch(value)
    claims = _object(match[1]) if match else {}
    at = claims.get("iat")
    # Compared before anything is computed: no number is too large for that, and NaN is never within.
    if isinstance(at, bool) or not isinstance(at, (int, float)) or not 0 <= at < latest:
        return latest
    return float(at)


def _object(part: bytes) -> dict[str, object]:
    """The JSON object in a part of a token; empty where there is none."""
    try:
        text = base64.b64decode(part + b"=" * (-len(part) % 4), b"-_", validate=True)
        found = json.loads(text.decode())
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
