"""What a log line may show of a value that came from outside, and how secrets are compared."""

import hashlib
import hmac
import re
from typing import Final

LIMIT: Final = 256
_ELLIPSIS: Final = "\u2026"
_UNSAFE: Final = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0, DEL, C1: new lines, ESC and its relatives
    "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"  # separators, bidi
    "\ud800-\udfff"  # what cannot be encoded
    "\U000e0000-\U000e007f"  # invisible tags
    "]"
)
_PSEUDONYM_BYTES: Final = 8


def clean(value: object, limit: int = LIMIT) -> str:
    """Make a value fit for one line of a log: no control characters, at most `limit` characters.

    Bytes are read as Latin-1. What cannot be shown is written as a backslash escape.
    """
    text = value.decode("latin-1") if isinstance(value, bytes | bytearray) else str(value)
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    # Cut first: a large value must not cost a large scan.
    shown = _UNSAFE.sub(_escape, text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + _ELLIPSIS


def _escape(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode("ascii")


def pseudonym(user: str, key: bytes) -> str:
    """A stand-in for a user id: the same for the same key, of no use without it (16 hex digits)."""
    digest = hmac.digest(key, user.encode("utf-8", "surrogatepass"), "sha256")
    return digest[:_PSEUDONYM_BYTES].hex()


def fingerprint(secret: str | bytes) -> str:
    """The SHA-256 of a token or key in hexadecimal: to look it up without keeping it."""
    return hashlib.sha256(_octets(secret)).hexdigest()


def same(a: str | bytes, b: str | bytes) -> bool:
    """Compare two secrets in a time that depends on neither of them, nor on where they differ."""
    return hmac.compare_digest(
        hashlib.sha256(_octets(a)).digest(), hashlib.sha256(_octets(b)).digest()
    )


def _octets(text: str | bytes) -> bytes:
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
