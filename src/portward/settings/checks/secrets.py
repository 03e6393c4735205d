"""Checks of a secret's strength by its text alone. No result contains any part of it."""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections import Counter
from itertools import pairwise
from math import log2
from typing import Final

SHORTEST: Final = 32
"""Bytes of the shortest acceptable HMAC secret (RFC 7518 section 3.2, for HS256)."""
_BITS: Final = 72.0
_DISTINCT: Final = 6
_RUNS: Final = 0.45
"""The part of the characters that may be in sequences, beyond the part by chance in such an alphabet."""
_UNIT: Final = 16
"""A text that repeats a shorter piece than this is only as strong as the piece."""

_PLACEHOLDERS: Final = frozenset(
    {
        "secret", "secretkey", "mysecret", "mysecretkey", "jwtsecret", "jwtsecretkey", "jwtkey",
        "supersecret", "supersecretkey", "topsecret", "thisisasecret", "thisisasecretkey", "shhhhh",
        "sharedsecret", "password", "passw0rd", "passwort",
        "letmein", "qwerty", "admin", "root", "test", "testsecret", "testing", "example", "sample",
        "default", "development", "devsecret", "dev", "random", "randomstring", "string", "key",
        "token", "tokensecret", "keyboardcat", "foobar", "helloworld", "todo", "tbd", "fixme",
        "none", "null", "undefined", "xxx", "portward",
    }
)  # fmt: skip
_PIECES: Final = (
    "changeme", "changethis", "changeit", "pleasechange", "replaceme", "replacethis",
    "replacewith", "yoursecret", "yourjwt", "yourkey", "yoursupersecret", "your256bit",
    "your512bit", "yourtoken", "yourpassword", "placeholder", "donotuse", "notforproduction",
    "insecure", "supersecretjwt", "jwttokenwithatleast", "secretatleast", "atleast32",
    "atleast256bits", "keyboardcat", "thisisasecret", "thisismysecret", "secretgoeshere",
    "yourapikey", "youropenai", "apikeyhere", "verysecret", "generatearandom",
    "0123456789abcdef0123456789abcdef",
)  # fmt: skip
_SIGNS: Final = re.compile(r"[^a-z0-9]+")
_VISIBLE: Final = re.compile(r"[!-~]*")
_SAMPLE: Final = re.compile(r"(sk)?(proj)?(x*|[0-9]{0,10}(abc(def)?)?)(test|dummy|fake|key)*")
"""The text of `sk-…`, `sk-proj-xxxx`, `sk-123456` and similar samples, without signs."""

_SSH: Final = re.compile(
    rb"(ssh|ecdsa-sha2|sk-ssh|sk-ecdsa-sha2)-|.*AAAA([BC]3NzaC1|E2VjZHNhLXNoYTIt|GnNrLXNzaC1|InNrLWVj)",
    re.DOTALL,
)
_JWK: Final = re.compile(rb'[\[{].*"(kty|keys)"\s*:', re.DOTALL)
_KEY_OIDS: Final = (
    bytes.fromhex("2a864886f70d0101"),  # RSA
    bytes.fromhex("2a8648ce3d"),  # elliptic curves
    bytes.fromhex("06032b65"),  # Ed25519, Ed448, X25519, X448
)
_INTEGERS: Final = (b"\x02\x82", b"\x02\x01\x00\x02\x82")
"""The first numbers of an RSA key without an algorithm identifier (PKCS #1)."""


def weakness(text: str) -> str | None:
    """Return why a secret is too weak to sign with; None when it is not.

    The reasons: shorter than 32 bytes; a well-known placeholder; too little variety, measured by
    repetition, by sequences such as `abcdef`, and by the frequency of each character.
    """
    if is_placeholder(text):
        return "is a well-known placeholder"
    size = len(text.encode())
    if size < SHORTEST:
        return f"has {size} bytes; {SHORTEST} are needed"
    if _is_dull(text):
        return "has too little variety to be random"
    return None


def is_placeholder(text: str) -> bool:
    """Return whether a text is a placeholder, as examples use in place of a secret."""
    plain = _SIGNS.sub("", text.lower())
    return _unit(plain) in _PLACEHOLDERS or any(piece in plain for piece in _PIECES)


def key_flaw(text: str) -> str | None:
    """Return why a text cannot be an API key of another service; None when it may be one."""
    if not _VISIBLE.fullmatch(text):
        return "has a blank, a line break, or a sign that is not ASCII"
    if is_placeholder(text) or _SAMPLE.fullmatch(_SIGNS.sub("", text.lower())):
        return "is a well-known placeholder"
    return None


def disguise(text: str) -> str | None:
    """Return which kind of public or private key a text looks like: `PEM`, `SSH`, `JWK`, `DER`.

    Each is also recognised in base64.

    When a published key is used as an HMAC secret, everyone can sign tokens (CVE-2017-11424,
    CVE-2022-29217).
    """
    raw = text.strip().encode()
    return _kind(raw) or _kind(_decoded(raw))


def _kind(raw: bytes) -> str | None:
    if b"---- BEGIN" in raw or b"-----BEGIN" in raw:
        return "PEM"
    if _SSH.match(raw):
        return "SSH"
    if _JWK.match(raw):
        return "JWK"
    return "DER" if _is_der(raw) else None


def _is_der(raw: bytes) -> bool:
    """Detect a SEQUENCE with the identifier of a kind of key, or with the numbers of an RSA key."""
    is_sequence = raw[:1] == b"\x30"
    return is_sequence and (any(oid in raw for oid in _KEY_OIDS) or raw[4:].startswith(_INTEGERS))


def _decoded(raw: bytes) -> bytes:
    """Decode base64 in either alphabet, with line breaks, with or without padding."""
    plain = b"".join(raw.split()).translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
    try:
        return b64decode(plain + b"=" * (-len(plain) % 4))
    except Base64Error:
        return b""


def _unit(text: str) -> str:
    """Return the shortest piece whose repetition gives the text; the last repetition may be incomplete."""
    size = next(n for n in range(1, len(text) + 1) if text[n:] == text[:-n]) if text else 0
    return text[:size]


def _is_dull(text: str) -> bool:
    distinct = len(set(text))
    if len(_unit(text)) < _UNIT or distinct < _DISTINCT:
        return True
    steps = Counter(ord(after) - ord(before) for before, after in pairwise(text))
    # In a random order of ten digits, 28 of 100 follow their neighbour; for letters, far fewer do.
    by_chance = (3 * distinct - 2) / distinct**2
    if sum(steps[step] for step in (-1, 0, 1)) > len(text) * (by_chance + _RUNS):
        return True
    shares = [count / len(text) for count in Counter(text).values()]
    return -sum(share * log2(share) for share in shares) * len(text) < _BITS
