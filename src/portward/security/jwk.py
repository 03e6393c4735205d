"""Public keys as identity providers publish them: JWK sets (RFC 7517)."""

from typing import Any, Final

from jwt.exceptions import PyJWTError

from portward.security.jws import KID, TokenRefused, strict_object
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
"""Characters of base64 in the largest modulus taken."""
_LONGEST_EXPONENT: Final = 8
_MOST_KEYS: Final = 256


def keys_from_jwks(document: bytes) -> tuple[SigningKey, ...]:
    """The usable public keys of a JWK set (RFC 7517 §5), in order.

    Entries that are secret or private, not for signatures, of an unknown kind, too small, or
    malformed are left out, as §5 asks.

    Raises:
        ValueError: the document is no JWK set.
    """
    try:
        entries = strict_object(document).get("keys")
    except TokenRefused:
        raise ValueError("not a JWK set") from None
    if not isinstance(entries, list):
        raise ValueError("not a JWK set")  # noqa: TRY004 - a document is wrong, not an argument
    keys = (_from_jwk(entry) for entry in entries[:_MOST_KEYS])
    return tuple(key for key in keys if key is not None)


def _from_jwk(entry: object) -> SigningKey | None:
    if not isinstance(entry, dict) or not _is_public_for_signatures(entry):
        return None
    kid = entry.get("kid")
    if kid is not None and not (isinstance(kid, str) and KID.match(kid)):
        return None
    material = _jwk_material(entry)
    algorithms = algorithms_of(material)
    if "alg" in entry:
        algorithms &= {str(entry["alg"])}
    return SigningKey(material, algorithms, kid=kid) if algorithms else None


def _is_public_for_signatures(entry: dict[str, Any]) -> bool:
    operations = entry.get("key_ops", ["verify"])
    return (
        _PRIVATE_FIELDS.isdisjoint(entry)
        and entry.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
    )


def _jwk_material(entry: dict[str, Any]) -> object:
    kind = entry.get("kty")
    if not isinstance(kind, str) or kind not in _JWK_FIELDS:
        return None
    fields = [entry.get(name) for name in _JWK_FIELDS[kind]]
    if not all(isinstance(field, str) and len(field) <= _LONGEST_FIELD for field in fields):
        return None
    if len(entry.get("e", "")) > _LONGEST_EXPONENT:
        return None
    try:
        return VERIFIERS[_JWK_READERS[kind]].from_jwk(entry)
    except (*UNREADABLE, PyJWTError):
        return None
