"""Keys that verify tokens. The allowed algorithms come from the key, not from the token."""

import base64
import binascii
import hmac
import json
from collections.abc import Iterable
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_der_public_key,
    load_pem_public_key,
)
from jwt.algorithms import get_default_algorithms

from portward.security.jws import (
    ALGORITHMS,
    EDWARDS,
    HMAC,
    RSA,
    Compact,
    NoKeyFits,
    TokenReason,
    TokenRefused,
    UnknownKey,
)

MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 8192
"""Larger keys cost the gateway time and add no security."""
_TRIED: Final = 8
"""The most keys that are tried for one token."""
_KNOWN: Final = get_default_algorithms()
VERIFIERS: Final = {
    name: _KNOWN["EdDSA" if name in EDWARDS else name] for name in sorted(ALGORITHMS)
}
"""The library that checks signatures, by algorithm."""
_CURVES: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
UNREADABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm)
"""The exceptions by which cryptography reports an unreadable key."""


class SigningKey:
    """One key, its optional id, and the algorithms it may be used with. Its repr shows no key material."""

    __slots__ = ("_material", "algorithms", "kid", "symmetric")

    def __init__(
        self, material: object, algorithms: Iterable[str], *, kid: str | None = None
    ) -> None:
        self._material = material
        self.algorithms = frozenset(algorithms)
        self.kid = kid
        self.symmetric = isinstance(material, bytes)

    def verifies(self, token: Compact) -> bool:
        """Return whether this key made the signature. The caller has checked the algorithm."""
        if isinstance(self._material, bytes):
            made = hmac.digest(self._material, token.signed, HMAC[token.algorithm])
            return hmac.compare_digest(made, token.signature)
        verifier = VERIFIERS[token.algorithm]
        return verifier.verify(token.signed, self._material, token.signature)

    def __repr__(self) -> str:
        return f"SigningKey(kid={self.kid!r}, algorithms={sorted(self.algorithms)})"


class KeySet:
    """The keys of one issuer: either secrets or public keys.

    `remote` means that the set was fetched and may have changed at its source, so an unknown key id may
    become known after another fetch.

    Raises:
        ValueError: secrets and public keys are mixed, which would let an attacker use a public key as a
            secret, or the set has secrets and is remote.
    """

    __slots__ = ("_by_kid", "_unnamed", "issuer", "keys", "remote", "symmetric")

    def __init__(
        self, keys: Iterable[SigningKey], *, issuer: str = "", remote: bool = False
    ) -> None:
        self.keys = tuple(keys)
        self.issuer = issuer
        self.remote = remote
        kinds = {key.symmetric for key in self.keys} | ({False} if remote else set())
        if len(kinds) > 1:
            raise ValueError("an issuer has either secrets or public keys, not both")
        self.symmetric = True in kinds
        self._unnamed = tuple(key for key in self.keys if key.kid is None)
        self._by_kid: dict[str, tuple[SigningKey, ...]] = {}
        for key in self.keys:
            if key.kid is not None:
                self._by_kid[key.kid] = (*self._by_kid.get(key.kid, ()), key)

    def find(self, kid: str) -> SigningKey | None:
        """Return the key with this id; with an empty id any key. None when there is none."""
        found = self._by_kid.get(kid, ()) if kid else self.keys
        return found[0] if found else None

    def check(self, token: Compact) -> None:
        """Check a token's signature with the keys that may have made it.

        Raises:
            UnknownKey: the set is remote and does not hold the key the token names.
            NoKeyFits: the set is remote, and none of the matching keys made the signature.
            TokenRefused: ALGORITHM, KEY or SIGNATURE.
        """
        # First the kind of algorithm: a public key must never be used as an HMAC secret.
        if (token.algorithm in HMAC) is not self.symmetric:
            raise TokenRefused(TokenReason.ALGORITHM)
        pool, exact = self._pool(token.kid)
        tried = 0
        for key in pool:
            if token.algorithm in key.algorithms:
                tried += 1
                if key.verifies(token):
                    return
                if tried == _TRIED:
                    break
        if self.remote and not exact:
            raise UnknownKey(token.kid or "")
        if not pool:
            raise TokenRefused(TokenReason.KEY)
        reason = TokenReason.SIGNATURE if tried else TokenReason.ALGORITHM
        raise NoKeyFits(reason) if self.remote else TokenRefused(reason)

    def _pool(self, kid: str | None) -> tuple[tuple[SigningKey, ...], bool]:
        """Return the keys that may verify a token with this id, and whether the id was found in the set."""
        if self.symmetric or kid is None:
            return self.keys, bool(self.keys)
        named = self._by_kid.get(kid)
        return (named, True) if named else (self._unnamed, False)

    def __repr__(self) -> str:
        return f"KeySet(issuer={self.issuer!r}, keys={len(self.keys)})"


_MARKS: Final = (
    b"-----BEGIN",
    b"---- BEGIN",
    b"AAAAB3NzaC1",  # "ssh-..." as OpenSSH writes it in base64, with seven letters
    b"AAAAC3NzaC1",  # with eleven letters
    b"AAAAE2VjZHNhLXNoYTIt",  # "ecdsa-sha2-..."
    b"AAAAGnNrLXNzaC1",  # "sk-ssh-..."
    b"AAAAInNrLWVjZHNhLXNoYTIt",  # "sk-ecdsa-sha2-..."
)


def looks_like_key(secret: str | bytes) -> bool:
    """Return whether a secret looks like a key or a certificate in a common format.

    Recognises PEM, OpenSSH, JWK and JWK sets, and DER, each also in base64.
    """
    raw = secret.encode() if isinstance(secret, str) else secret
    return _is_key(raw) or _is_key(_lenient_base64(raw))


def _is_key(raw: bytes) -> bool:
    if any(mark in raw for mark in _MARKS) or raw.lstrip().startswith((b"ssh-", b"ecdsa-sha2-")):
        return True
    return _is_jwk(raw) or _is_der(raw)


def _is_jwk(raw: bytes) -> bool:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and not {"kty", "keys"}.isdisjoint(value)


def _lenient_base64(raw: bytes) -> bytes:
    plain = b"".join(raw.split()).translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
    try:
        return base64.b64decode(plain + b"=" * (-len(plain) % 4))
    except binascii.Error:
        return b""


def _is_der(raw: bytes) -> bool:
    found = _der_object(raw)
    readers = (load_der_public_key, x509.load_der_x509_certificate, _load_der_private)
    for read in readers:
        try:
            read(found)
        except UNREADABLE:
            continue
        return True
    return False


def _der_object(raw: bytes) -> bytes:
    """Return the DER object at the start, by its own length: its last byte may look like a blank."""
    found = raw.lstrip()
    first = found[1] if len(found) > 1 else 0
    octets = first & 0x7F if first & 0x80 else 0
    size = int.from_bytes(found[2 : 2 + octets], "big") if octets else first
    return found[: 2 + octets + size]


def _load_der_private(raw: bytes) -> object:
    return load_der_private_key(raw, password=None)


def secret_key(secret: str | bytes) -> SigningKey:
    """Make a key from a shared secret, for HS256, HS384 and HS512.

    Raises:
        ValueError: the secret is empty, or looks like a key or a certificate (see `looks_like_key`).
    """
    raw = secret.encode() if isinstance(secret, str) else bytes(secret)
    if not raw:
        raise ValueError("a secret cannot be empty")
    if looks_like_key(raw):
        raise ValueError("a secret cannot be a PEM, SSH, DER or JWK key")
    return SigningKey(raw, HMAC)


def public_key(pem: str | bytes, *, kid: str | None = None) -> SigningKey:
    """Read a public key in PEM, for the algorithms of its kind.

    Raises:
        ValueError: it is no public key, is private, is too small, or is of a kind no algorithm uses.
    """
    raw = pem.encode() if isinstance(pem, str) else pem
    if b"PRIVATE KEY-----" in raw:
        raise ValueError("that is a private key; verifying takes the public one")
    try:
        material = load_pem_public_key(raw)
    except UNREADABLE:
        raise ValueError("not a public key in PEM") from None
    algorithms = algorithms_of(material)
    if not algorithms:
        raise ValueError("not an RSA (2048 to 8192 bits), P-256, P-384, P-521 or Ed25519 key")
    return SigningKey(material, algorithms, kid=kid)


def algorithms_of(material: object) -> frozenset[str]:
    """Return the algorithms that a public key may be used with; empty when there are none."""
    if isinstance(material, RSAPublicKey):
        return RSA if MIN_RSA_BITS <= material.key_size <= MAX_RSA_BITS else frozenset()
    if isinstance(material, EllipticCurvePublicKey):
        return frozenset({_CURVES[material.curve.name]} if material.curve.name in _CURVES else ())
    return EDWARDS if isinstance(material, Ed25519PublicKey) else frozenset()
