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
_JWT: Final = re.compile(rb"[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[^.]*")
"""Three parts, of which the last may be anything: no signature covers it, and some readers forgive much."""


def are_sendable(cookies: str) -> bool:
    """Whether they can stand in a `Cookie` header at all."""
    return _SENDABLE.fullmatch(cookies) is not None


def are_plain(cookies: str) -> bool:
    """Whether each cookie has a name and a value there are no two ways to read."""
    pairs = (pair.strip(" \t") for pair in cookies.split(";"))
    return all(_PLAIN.fullmatch(pair) for pair in pairs)


def carriers(cookies: bytes) -> set[tuple[bytes, bytes]]:
    """Name and value of each cookie in one spelling: any of them may carry the login."""
    pairs = [pair.partition(b"=") for pair in cookies.split(b";")]
    return {
        (name.strip(_BLANK), unquote_to_bytes(value.strip(_BLANK + b'"')))
        for name, _, value in pairs
    }


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
