"""Verification of tokens: signature, times (to the second), claims and rights, all checked strictly."""

import re
from typing import Any, Final, NamedTuple

from portward.model.channel import Channel
from portward.model.claim_path import ClaimPath
from portward.model.identity import ChannelRight, Identity
from portward.model.limits import INTEGER
from portward.model.token_class import CLASS_CLAIMS, OTHER_CLASSES
from portward.security.jwk import keys_from_jwks
from portward.security.jws import (
    NoKeyFits,
    TokenReason,
    TokenRefused,
    UnknownKey,
    parse_compact,
    sign,
    strict_object,
)
from portward.security.keys import KeySet, SigningKey, public_key, secret_key
from portward.security.redaction import fingerprint
from portward.settings.tokens import TokenRules

__all__ = [
    "ClaimPath",
    "KeySet",
    "NoKeyFits",
    "SigningKey",
    "TokenReason",
    "TokenRefused",
    "UnknownKey",
    "Verified",
    "keys_from_jwks",
    "public_key",
    "secret_key",
    "sign",
    "verify",
]

MAX_SUBJECT: Final = 128
MAX_TEXT: Final = 256
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ALLOW: Final = frozenset({"subscribe", "history", "presence", "publish"})
_RIGHT_FIELDS: Final = frozenset({"channel", "allow"})


def _kind(value: object) -> type | None:
    """Return the JSON type of a scalar value; None for any other value."""
    if isinstance(value, bool):
        return bool
    if isinstance(value, (int, float)):
        return float
    return str if isinstance(value, str) else None


class Verified(NamedTuple):
    """The identity of a token, and details for the log.

    `ignored` are the headers by which the token tried to bring its own key, `absent` the watched claims
    that it does not have.
    """

    identity: Identity
    ignored: tuple[str, ...]
    absent: tuple[ClaimPath, ...] = ()


def verify(token: str, keys: KeySet, rules: TokenRules, now: float) -> Verified:
    """Verify a token at the Unix time `now`.

    Raises:
        UnknownKey: the token names a key that another fetch of the set may bring.
        NoKeyFits: none of the matching keys of a fetched set made the signature.
        TokenRefused: the token is not accepted.
    """
    if keys.issuer and keys.issuer != rules.issuer:
        raise TokenRefused(TokenReason.ISSUER)
    compact = parse_compact(token, rules.max_size)
    try:
        keys.check(compact)
        claims = strict_object(compact.payload)
        identity = _identity(claims, rules, now, fingerprint(token))
    except TokenRefused as refused:
        refused.ignored = compact.ignored
        raise
    if not rules.watched:
        return Verified(identity, compact.ignored)
    absent = tuple(path for path in rules.watched if path.find(claims) is None)
    return Verified(identity, compact.ignored, absent)


def _identity(claims: dict[str, Any], rules: TokenRules, now: float, digest: str) -> Identity:
    at, split = rules.paths, rules.claims.split
    _check_class(claims)
    subject = text_claim(claims, at["sub"], MAX_SUBJECT)
    expires_at, issued_at = _check_times(claims, rules, now)
    if subject is None:
        raise wrong_claim(at["sub"])
    issuer = _check_issuer(claims, rules)
    _check_audience(claims, rules)
    if rules.required:
        _check_required(claims, rules)
    return Identity(
        subject=subject,
        email=text_claim(claims, at["email"]),
        roles=text_claims(claims, at["roles"], split="roles" in split),
        permissions=text_claims(claims, at["permissions"], split="permissions" in split),
        workspace=text_claim(claims, at["workspace"]),
        token_id=text_claim(claims, at["jti"]),
        session_id=text_claim(claims, at["sid"]),
        issuer=issuer,
        issued_at=issued_at,
        expires_at=expires_at,
        channels=channel_claims(claims, at["channels"]),
        digest=digest,
    )


def _check_class(claims: dict[str, Any]) -> None:
    for name in CLASS_CLAIMS:
        kind = claims.get(name)
        if kind is not None and (not isinstance(kind, str) or kind.lower() in OTHER_CLASSES):
            raise TokenRefused(TokenReason.TYPE, name)


def _check_times(
    claims: dict[str, Any], rules: TokenRules, now: float
) -> tuple[float, float | None]:
    """Check `exp`, `nbf`, `iat` (RFC 7519 §4.1): a token expires in the second that its `exp` names."""
    expires_at = number_claim(claims, "exp")
    not_before = number_claim(claims, "nbf")
    issued_at = number_claim(claims, "iat")
    if expires_at is None:
        raise wrong_claim("exp")
    if now >= expires_at + rules.leeway:
        raise TokenRefused(TokenReason.EXPIRED, "exp")
    if not_before is not None and not_before > now + rules.leeway:
        raise TokenRefused(TokenReason.NOT_YET, "nbf")
    if issued_at is not None and issued_at > now + rules.leeway:
        raise TokenRefused(TokenReason.NOT_YET, "iat")
    if rules.max_lifetime and (issued_at is None or expires_at - issued_at > rules.max_lifetime):
        raise TokenRefused(TokenReason.LIFETIME, "iat" if issued_at is None else "exp")
    return expires_at, issued_at


def _check_issuer(claims: dict[str, Any], rules: TokenRules) -> str | None:
    issuer = claims.get("iss")
    if "iss" in claims and not isinstance(issuer, str):
        raise wrong_claim("iss")
    if rules.issuer and issuer != rules.issuer:
        raise TokenRefused(TokenReason.ISSUER, "iss")
    return issuer


def _check_audience(claims: dict[str, Any], rules: TokenRules) -> None:
    """Check `aud`: a token with an audience is refused when no audience is configured here (§4.1.3)."""
    if "aud" not in claims:
        if rules.audience:
            raise TokenRefused(TokenReason.AUDIENCE, "aud")
        return
    named = claims["aud"]
    audiences = named if isinstance(named, list) else [named]
    if not all(isinstance(each, str) for each in audiences):
        raise wrong_claim("aud")
    if not rules.audience or rules.audience not in audiences:
        raise TokenRefused(TokenReason.AUDIENCE, "aud")


def _check_required(claims: dict[str, Any], rules: TokenRules) -> None:
    """Refuse a token without a claim that the settings require (RFC 8725 section 3.8)."""
    for path, values in rules.required:
        value = value_at(claims, path)
        kind = _kind(value)
        if kind is None or not any(kind is _kind(each) and value == each for each in values):
            raise TokenRefused(TokenReason.REQUIRED, str(path))


# -- claims by type: a claim of the wrong type refuses the whole token


def wrong_claim(name: object) -> TokenRefused:
    """Make the exception for a wrong claim; the caller raises it."""
    return TokenRefused(TokenReason.CLAIMS, str(name))


def value_at(claims: dict[str, Any], path: ClaimPath) -> Any:
    """Return the value of a claim; None when it is absent or null.

    Raises:
        TokenRefused: a part of its path is not an object.
    """
    if len(path.keys) == 1:  # most are plain names
        return claims.get(path.keys[0])
    try:
        return path.find(claims)
    except ValueError:
        raise wrong_claim(path) from None


def number_claim(claims: dict[str, Any], name: str) -> float | None:
    """Return a claim in seconds: a finite number, no string or boolean, exact as a double-precision float."""
    if name not in claims:
        return None
    value = claims[name]
    if type(value) not in {int, float} or abs(value) > INTEGER:
        raise wrong_claim(name)
    return float(value)


def text_claim(claims: dict[str, Any], path: ClaimPath, longest: int = MAX_TEXT) -> str | None:
    """Return a string without control characters; None when it is absent or empty."""
    value = value_at(claims, path)
    return None if value is None else _sound(value, path, longest) or None


def _sound(value: object, name: object, longest: int = MAX_TEXT) -> str:
    if not isinstance(value, str) or len(value) > longest or _UNSAFE.search(value):
        raise wrong_claim(name)
    return value


def text_claims(claims: dict[str, Any], path: ClaimPath, *, split: bool = False) -> frozenset[str]:
    """Return a list of strings; one string is a list of one, or with `split` a list separated by blanks."""
    value = value_at(claims, path)
    if value is None:
        return frozenset()
    values = value if isinstance(value, list) else [value]
    if split and isinstance(value, str):
        values = [part for part in value.split(" ") if part]
    return frozenset([_sound(each, path) for each in values])


def channel_claims(claims: dict[str, Any], path: ClaimPath) -> tuple[ChannelRight, ...] | None:
    """Return a list of channel rights; None when the claim is absent."""
    entries = value_at(claims, path)
    if entries is None:
        return None
    if not isinstance(entries, list):
        raise wrong_claim(path)
    return tuple(_channel_right(entry, path) for entry in entries)


def _channel_right(entry: object, name: object) -> ChannelRight:
    """Parse one entry of the `channels` claim. An entry that is not understood refuses the token."""
    if not isinstance(entry, dict) or entry.keys() != _RIGHT_FIELDS:
        raise wrong_claim(name)
    allow = entry["allow"]
    if not isinstance(allow, list) or not all(
        isinstance(verb, str) and verb in _ALLOW for verb in allow
    ):
        raise wrong_claim(name)
    return ChannelRight(_pattern(entry["channel"], name), tuple(allow))


def _pattern(value: object, name: object) -> str:
    """Check a channel name, or a prefix of channel names followed by `*`."""
    if not isinstance(value, str):
        raise wrong_claim(name)
    if value == "*":
        return value
    beginning = value.removesuffix("*")
    if beginning != value:
        # A prefix is valid when a channel name can begin with it.
        beginning += "x" if ":" in beginning else ":x"
    try:
        Channel.parse(beginning)
    except ValueError:
        raise wrong_claim(name) from None
    return value
