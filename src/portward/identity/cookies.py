"""Cookies for the identity provider: checks of their spelling, and the time they were issued."""

import base64
import json
import re
from typing import Final
from urllib.parse import unquote_to_bytes

_BLANK: Final = b" \t"
_SENDABLE: Final = re.compile(r"[\x21-\x7e\x80-\xff]+(?:[ \t]+[\x21-\x7e\x80-\xff]+)*")
"""Header values that can be sent on (RFC 9110, section 5.5), as Latin-1 text."""
_PLAIN: Final = re.compile(r'[!#$%&\'*+.^_`|~0-9A-Za-z-]+=("?)[A-Za-z0-9._~+/=-]*\1')
"""A cookie whose value every parser reads in the same way, except for surrounding quotes.

Some servers decode `%` escapes, and Express reads `j:` as JSON and `s:` as a signature: a revoked cookie
could be accepted again under another spelling.
"""
_ESCAPE: Final = re.compile(rb"\\(?:([0-3][0-7][0-7])|(.))", re.DOTALL)
"""A backslash escape inside quotes (RFC 2109), which some servers still decode."""
_AS_JSON: Final = b"j:"
_JWT: Final = re.compile(rb"[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[^.]*")
"""A JWT: three parts. The last may be anything: no signature covers it, and some parsers are lenient."""


def are_sendable(cookies: str) -> bool:
    """Return whether the cookies can be sent in a `Cookie` header."""
    return _SENDABLE.fullmatch(cookies) is not None


def are_plain(cookies: str) -> bool:
    """Return whether the cookies can be sent, and each has a name and an unambiguous value."""
    if not are_sendable(cookies):
        return False
    pairs = (pair.strip(" \t") for pair in cookies.split(";"))
    return all(_PLAIN.fullmatch(pair) for pair in pairs)


def spellings(cookies: bytes) -> list[tuple[bytes, frozenset[bytes]]]:
    """Return the name of each cookie with all readings of its value."""
    pairs = (pair.partition(b"=") for pair in cookies.split(b";"))
    return [(name.strip(_BLANK), readings(value)) for name, _, value in pairs]


def readings(value: bytes) -> frozenset[bytes]:
    """Return every value that a server may read from a cookie's value.

    These are the value itself, the value without its quotes, and without the escapes inside the quotes; each
    also with percent escapes decoded once, and with `+` as a blank.
    """
    value = value.strip(_BLANK)
    found = {value, value.strip(_BLANK + b'"')}
    if len(value) > 1 and value[:1] == value[-1:] == b'"':
        found |= {value[1:-1], _ESCAPE.sub(_unescaped, value[1:-1])}
    spaced = {each.replace(b"+", b" ") for each in found}
    return frozenset(found | {unquote_to_bytes(each) for each in found | spaced})


def _unescaped(match: re.Match[bytes]) -> bytes:
    """Decode one escape as Python's `http.cookies` does: three octal digits, or any character."""
    return bytes((int(match[1], 8),)) if match[1] else match[2]


def are_readable(cookies: str) -> bool:
    """Return whether the cookies can be sent, and Express would read none of the values as JSON.

    A value after `j:` has more spellings than the gateway can compare: a revoked login could be accepted
    again under another spelling.
    """
    if not are_sendable(cookies):
        return False
    values = (pair.partition("=")[2] for pair in cookies.split(";"))
    found = {each for value in values for each in readings(value.encode("latin-1"))}
    twice = {unquote_to_bytes(each) for each in found}
    return not any(each.startswith(_AS_JSON) for each in found | twice)


def issued(value: bytes, latest: float) -> float:
    """Return when a token was issued by its own claim, in Unix seconds; `latest` without an earlier time.

    It verifies nothing: the caller must know from elsewhere that the token is genuine.
    """
    match = _JWT.fullmatch(value)
    claims = _object(match[1]) if match else {}
    at = claims.get("iat")
    # Compare before any arithmetic: every number can be compared, and NaN is never inside the range.
    if isinstance(at, bool) or not isinstance(at, (int, float)) or not 0 <= at < latest:
        return latest
    return float(at)


def _object(part: bytes) -> dict[str, object]:
    """Parse the JSON object in a part of a token; empty when there is none."""
    try:
        text = base64.b64decode(part + b"=" * (-len(part) % 4), b"-_", validate=True)
        found = json.loads(text.decode())
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
