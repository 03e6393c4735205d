"""Cleaning of external values for log lines, and comparison of secrets."""

import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import Final

LIMIT: Final = 256
_ELLIPSIS: Final = "\u2026"
_UNSAFE: Final = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0, DEL, C1: line breaks, ESC and other control characters
    "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"  # separators, bidi
    "\ud800-\udfff"  # surrogates, which cannot be encoded
    "\U000e0000-\U000e007f"  # invisible tags
    "]"
)
_PSEUDONYM_BYTES: Final = 8
_RANDOM: Final = 16
"""Characters of a run without separators from which the run counts as random."""


def clean(value: object, limit: int = LIMIT) -> str:
    """Make a value safe for one line of a log: no control characters, at most `limit` characters.

    Bytes are decoded as Latin-1. Characters that cannot be shown become backslash escapes.
    """
    text = value.decode("latin-1") if isinstance(value, bytes | bytearray) else str(value)
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    # Cut first, so that a large value does not cost a long scan.
    shown = _UNSAFE.sub(_escape, text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + _ELLIPSIS


def _escape(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode("ascii")


_BEARER: Final = re.compile(r"(?i)\b(bearer|basic|apikey)\s+\S+")
_PAIR: Final = re.compile(
    r"(?i)\b([\w-]*(?:key|token|secret|passw(?:or)?d|authorization|cookie)\b[\"']?\s*[:=]\s*)\S+"
)
_KEY: Final = re.compile(r"(?i)\b(?:sk|pk|rk|ek|xai|gsk|key)[-_][\w.-]{4,}|\beyJ[\w.=-]{4,}")
_MAIL: Final = re.compile(r"[^\s<>\"']{1,64}@[^\s<>\"']{1,190}")
_QUOTED: Final = re.compile(r"'([^']*)'|\"([^\"]*)\"|`([^`]*)`")
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.:\[\]-]{0,63}")
_BRACED: Final = re.compile(r"[{\[].*", re.DOTALL)
_OPAQUE: Final = re.compile(r"[A-Za-z0-9_+/=-]{20,}")
MASKED: Final = "***"


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """Redact a text of another server for the log: keep the cause, remove quoted content.

    Removed are `secrets`, text that looks like a key, a token or an e-mail address, JSON, and quoted text
    that is not one word such as the name of a field or a model.
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret, MASKED)
    text = _BEARER.sub(rf"\1 {MASKED}", text)
    text = _PAIR.sub(rf"\1{MASKED}", text)
    text = _QUOTED.sub(_word_or_mask, text)
    text = _BRACED.sub(MASKED, text)
    for pattern in (_KEY, _MAIL):
        text = pattern.sub(MASKED, text)
    return clean(_OPAQUE.sub(_mask_opaque, text))


def _word_or_mask(match: re.Match[str]) -> str:
    inner = next((group for group in match.groups() if group is not None), "")
    return match.group() if _WORD.fullmatch(inner) else MASKED


def _mask_opaque(match: re.Match[str]) -> str:
    """Mask random text: a long run of digits and letters without separators."""
    word = match.group()
    longest = max(map(len, re.split(r"[_.+/=-]", word)))
    mixed = any(map(str.isdigit, word)) and any(map(str.isalpha, word))
    return MASKED if mixed and longest >= _RANDOM else word


def pseudonym(user: str, key: bytes) -> str:
    """Return a pseudonym for a user id, fixed for one key and not reversible without it (16 hex digits)."""
    digest = hmac.digest(key, user.encode("utf-8", "surrogatepass"), "sha256")
    return digest[:_PSEUDONYM_BYTES].hex()


def fingerprint(secret: str | bytes) -> str:
    """Return the SHA-256 of a token or key in hexadecimal, to look it up without storing it."""
    return hashlib.sha256(_octets(secret)).hexdigest()


def same(a: str | bytes, b: str | bytes) -> bool:
    """Compare two secrets in a time that depends on neither of them, nor on where they differ."""
    return hmac.compare_digest(
        hashlib.sha256(_octets(a)).digest(), hashlib.sha256(_octets(b)).digest()
    )


def _octets(text: str | bytes) -> bytes:
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
