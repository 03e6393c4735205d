"""Public keys in the form that identity providers publish: JWK sets (RFC 7517)."""

from typing import Any, Final, NamedTuple

from jwt.exceptions import PyJWTError

from portward.security.jws import EDWARDS, KID, TokenRefused, strict_object
from portward.security.keys import (
    MAX_RSA_BITS,
    UNREADABLE,
    VERIFIERS,
    SigningKey,
    algorithms_of,
)

_JWK_FIELDS: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_JWK_READERS: Final = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}
_PRIVATE_FIELDS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_LONGEST_FIELD: Final = MAX_RSA_BITS // 6 + 2
"""Characters of base64 in the largest accepted modulus."""
_LONGEST_EXPONENT: Final = 8
_MOST_KEYS: Final = 256


class DroppedKey(NamedTuple):
    """An entry of a key set that cannot be used: its id, if that is valid, and the reason."""

    kid: str
    reason: str


class JwkSet(NamedTuple):
    """The content of a JWK set: the usable keys in order, and the dropped entries."""

    keys: tuple[SigningKey, ...]
    dropped: tuple[DroppedKey, ...]


class _Unusable(Exception):  # noqa: N818 - an entry is dropped; nothing has failed
    """An entry that cannot be used; the text is one of a few fixed reasons."""


def read_jwks(document: bytes) -> JwkSet:
    """Parse a JWK set (RFC 7517 section 5).

    Entries that are secret or private, not for signatures, of an unknown kind, too small, or malformed are
    dropped, as section 5 requires.

    Raises:
        ValueError: the document is no JWK set.
    """
    try:
        entries = strict_object(document).get("keys")
    except TokenRefused:
        raise ValueError("not a JWK set") from None
    if not isinstance(entries, list):
        raise ValueError("not a JWK set")  # noqa: TRY004 - a document is wrong, not an argument
    keys: list[SigningKey] = []
    dropped: list[DroppedKey] = []
    for entry in entries[:_MOST_KEYS]:
        try:
            keys.append(_from_jwk(entry))
        except _Unusable as unusable:
            dropped.append(DroppedKey(_shown_kid(entry), str(unusable)))
    if len(entries) > _MOST_KEYS:
        dropped.append(DroppedKey("", f"more than {_MOST_KEYS} keys"))
    return JwkSet(tuple(keys), tuple(dropped))


def keys_from_jwks(document: bytes) -> tuple[SigningKey, ...]:
    """Return the usable public keys of a JWK set, in order.

    Raises:
        ValueError: the document is no JWK set.
    """
    return read_jwks(document).keys


def _shown_kid(entry: object) -> str:
    kid = entry.get("kid") if isinstance(entry, dict) else None
    return kid if isinstance(kid, str) and KID.match(kid) else ""


def _from_jwk(entry: object) -> SigningKey:
    if not isinstance(entry, dict):
        raise _Unusable("not an object")
    _check_purpose(entry)
    kid = entry.get("kid")
    if "kid" in entry and not (isinstance(kid, str) and KID.match(kid)):
        raise _Unusable("kid is not 1 to 256 characters of printable ASCII")
    material = _jwk_material(entry)
    algorithms = algorithms_of(material)
    if not algorithms:
        raise _Unusable("size or kind of key is not supported")
    if "alg" in entry:
        name = str(entry["alg"])
        algorithms &= EDWARDS if name in EDWARDS else {name}
        if not algorithms:
            raise _Unusable("alg is not supported, or does not belong to the key")
    return SigningKey(material, algorithms, kid=kid)


def _check_purpose(entry: dict[str, Any]) -> None:
    """Reject secret or private keys, and keys that are not for signatures."""
    if entry.get("kty") == "oct" or "k" in entry:
        raise _Unusable("a secret")
    if not _PRIVATE_FIELDS.isdisjoint(entry):
        raise _Unusable("a private key")
    if entry.get("use", "sig") != "sig":
        raise _Unusable("use is not sig")
    operations = entry.get("key_ops", ["verify"])
    if not (isinstance(operations, list) and "verify" in operations):
        raise _Unusable("key_ops is without verify")


def _jwk_material(entry: dict[str, Any]) -> object:
    kind = entry.get("kty")
    if not isinstance(kind, str) or kind not in _JWK_FIELDS:
        raise _Unusable("kty is not supported")
    fields = [entry.get(name) for name in _JWK_FIELDS[kind]]
    if not all(isinstance(field, str) and len(field) <= _LONGEST_FIELD for field in fields):
        raise _Unusable("malformed")
    if len(entry.get("e", "")) > _LONGEST_EXPONENT:
        raise _Unusable("malformed")
    try:
        return VERIFIERS[_JWK_READERS[kind]].from_jwk(entry)
    except (*UNREADABLE, PyJWTError):
        raise _Unusable("malformed, or of an unsupported curve") from None
