"""Signed tokens in compact form (RFC 7515 §7.1), parsed strictly.

Input that two parsers could read differently is refused before the signature is checked: other
serializations, padding, blanks, unused bits, repeated names, headers that change how the token is
read.
"""

import base64
import hmac
import json
import re
from enum import StrEnum
from typing import Any, Final, NamedTuple, NoReturn

from portward.model.limits import TOKEN

HMAC: Final = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
"""The symmetric algorithms and their hash functions."""
RSA: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
ELLIPTIC: Final = frozenset({"ES256", "ES384", "ES512"})
EDWARDS: Final = frozenset({"EdDSA", "Ed25519"})
"""Two names of one algorithm: RFC 8037, and RFC 9864 for this curve. Other curves are not supported."""
ALGORITHMS: Final = frozenset(HMAC) | RSA | ELLIPTIC | EDWARDS
KID: Final = re.compile(r"[ -~]{1,256}\Z")
"""The grammar of key ids: printable ASCII, because issuers use base64, URLs, and names with `@` and `:`."""
_TYPES: Final = frozenset({"jwt", "at+jwt"})
_KEY_HEADERS: Final = ("jku", "x5u", "jwk", "x5c")
"""Headers by which a token brings its own key. They are never used, only logged."""


class TokenReason(StrEnum):
    """The reason why a token is refused: for the log and `portward inspect`, never for the client."""

    TOO_LONG = "too_long"
    MALFORMED = "malformed"
    CRITICAL = "critical"
    TYPE = "type"
    ALGORITHM = "alg"
    KEY = "key"
    SIGNATURE = "signature"
    CLAIMS = "claims"
    EXPIRED = "expired"
    NOT_YET = "not_yet"
    LIFETIME = "lifetime"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    REQUIRED = "required"


class TokenRefused(Exception):  # noqa: N818 - not an error of the program: an answer to the peer
    """The exception for a refused token. It contains no part of the token.

    `claim` is the configured name of the wrong claim, if any; `ignored` are the headers by which the
    token tried to bring its own key.
    """

    def __init__(self, reason: TokenReason, claim: str = "") -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.claim = claim
        self.ignored: tuple[str, ...] = ()


class UnknownKey(TokenRefused):
    """The exception for a token whose key is not in the set; the set may be fetched again.

    `kid` matches the grammar of key ids; it is empty when the token names no key.
    """

    def __init__(self, kid: str) -> None:
        super().__init__(TokenReason.KEY)
        self.kid = kid


class NoKeyFits(TokenRefused):
    """The exception when a fetched set has matching keys, but none of them made the signature.

    The issuer may have changed a key without a new id; an old set may be fetched again.
    """


class Compact(NamedTuple):
    """The parts of a token, not yet verified. `signed` is the part that the signature covers."""

    algorithm: str
    kid: str | None
    ignored: tuple[str, ...]
    signed: bytes
    payload: bytes
    signature: bytes


def parse_compact(token: str, longest: int = TOKEN) -> Compact:
    """Split a token of at most `longest` characters into its parts.

    Raises:
        TokenRefused: the token is too long, not in compact form, has a critical header, is of another
            type, or has an unknown algorithm or an invalid key id.
    """
    if len(token) > longest:
        raise TokenRefused(TokenReason.TOO_LONG)
    if not token.isascii() or token.count(".") != 2:  # noqa: PLR2004 - header, payload, signature
        raise TokenRefused(TokenReason.MALFORMED)
    signed, _, signature = token.encode("ascii").rpartition(b".")
    header, _, payload = signed.partition(b".")
    algorithm, kid, ignored = _header(strict_object(_octets(header)))
    return Compact(algorithm, kid, ignored, signed, _octets(payload), _octets(signature))


def _octets(segment: bytes) -> bytes:
    """Decode base64url; only the canonical encoding is accepted (RFC 7515 §2)."""
    try:
        decoded = base64.urlsafe_b64decode(segment + b"==")
    except ValueError:
        raise TokenRefused(TokenReason.MALFORMED) from None
    # The decoder ignores foreign characters and unused bits; encoding again reveals both.
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != segment:
        raise TokenRefused(TokenReason.MALFORMED)
    return decoded


def _header(fields: dict[str, Any]) -> tuple[str, str | None, tuple[str, ...]]:
    # RFC 7515 §4.1.11: no extension that may be critical is implemented here, and "b64" (RFC 7797)
    # changes the signed bytes even when it is not listed as critical.
    if "crit" in fields or "b64" in fields:
        raise TokenRefused(TokenReason.CRITICAL)
    algorithm = fields.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise TokenRefused(TokenReason.ALGORITHM)
    _check_type(fields.get("typ", "JWT"))
    kid = fields.get("kid")
    if "kid" in fields and not (isinstance(kid, str) and KID.match(kid)):
        raise TokenRefused(TokenReason.KEY)
    if fields.keys().isdisjoint(_KEY_HEADERS):
        return algorithm, kid, ()
    return algorithm, kid, tuple(name for name in _KEY_HEADERS if name in fields)


def _check_type(typ: object) -> None:
    """Refuse other types of token, which have other names in this header (RFC 8725 §3.11)."""
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") not in _TYPES:
        raise TokenRefused(TokenReason.TYPE)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    collected = dict(pairs)
    if len(collected) != len(pairs):
        raise ValueError("duplicate name")
    return collected


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)


def strict_object(raw: bytes) -> dict[str, Any]:
    """Parse a JSON object: UTF-8, no repeated names at any depth, no NaN or infinities.

    Raises:
        TokenRefused: MALFORMED, the input is anything else.
    """
    try:
        value = _DECODER.decode(raw.decode())
    except (ValueError, RecursionError):
        raise TokenRefused(TokenReason.MALFORMED) from None
    if not isinstance(value, dict):
        raise TokenRefused(TokenReason.MALFORMED)
    return value


def sign(claims: dict[str, Any], secret: str | bytes, algorithm: str = "HS256") -> str:
    """Make a compact token of `claims` with an HMAC algorithm.

    Raises:
        ValueError: the algorithm is no HMAC, the secret is empty, or the claims cannot be encoded as JSON.
    """
    if algorithm not in HMAC or not secret:
        raise ValueError("signing needs an HMAC algorithm and a secret")
    key = secret.encode() if isinstance(secret, str) else secret
    text = json.dumps(claims, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return sign_payload(text.encode(), key, algorithm)


def sign_payload(payload: bytes, key: bytes, algorithm: str = "HS256") -> str:
    """Make a compact token from a payload of encoded JSON."""
    signed = _HEADERS[algorithm] + b"." + _base64(payload)
    return (signed + b"." + _base64(hmac.digest(key, signed, HMAC[algorithm]))).decode("ascii")


def _base64(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


_HEADERS: Final = {
    name: _base64(b'{"alg":"%s","typ":"JWT"}' % name.encode("ascii")) for name in HMAC
}
