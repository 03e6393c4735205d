"""Makes tokens no library would make, and keys in every encoding they are published in."""

import base64
import hashlib
import hmac
import json
from functools import cache
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import get_default_algorithms

SECRET: Final = "0123456789abcdef0123456789abcdef"
NOW: Final = 1_800_000_000
CLAIMS: Final[dict[str, Any]] = {"sub": "alice", "exp": NOW + 600}

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def b64(raw: bytes | str) -> str:
    """Base64url without padding."""
    octets = raw.encode() if isinstance(raw, str) else raw
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def mac(signed: str, secret: str | bytes = SECRET, name: str = "sha256") -> str:
    """The HMAC of the signed part, as it stands in a token."""
    key = secret.encode() if isinstance(secret, str) else secret
    return b64(hmac.new(key, signed.encode(), getattr(hashlib, name)).digest())


def make_token(
    claims: object = None,
    header: object = None,
    *,
    secret: str | bytes = SECRET,
    **more: object,
) -> str:
    """A token with a sound HMAC over whatever header and payload are given.

    Strings are taken as they are, everything else is written as JSON; keywords are added to the
    usual claims.
    """
    payload = {**CLAIMS, **more} if claims is None else claims
    top = {"alg": "HS256", "typ": "JWT"} if header is None else header
    parts = [part if isinstance(part, str) else json.dumps(part) for part in (top, payload)]
    signed = ".".join(b64(part) for part in parts)
    return f"{signed}.{mac(signed, secret)}"


def make_public_token(
    key: PrivateKey, algorithm: str, claims: object = None, **header: object
) -> str:
    """A token signed with a private key; keywords are added to the header."""
    top = json.dumps({"alg": algorithm, "typ": "JWT", **header})
    signed = f"{b64(top)}.{b64(json.dumps(CLAIMS if claims is None else claims))}"
    known = "EdDSA" if algorithm == "Ed25519" else algorithm
    signature = get_default_algorithms()[known].sign(signed.encode(), key)
    return f"{signed}.{b64(signature)}"


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """One RSA key a size, made once."""
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(curve: type[ec.EllipticCurve] = ec.SECP256R1) -> ec.EllipticCurvePrivateKey:
    """One key a curve, made once."""
    return ec.generate_private_key(curve())


@cache
def ed_key() -> ed25519.Ed25519PrivateKey:
    """One Ed25519 key, made once."""
    return ed25519.Ed25519PrivateKey.generate()


def pem(key: PrivateKey) -> bytes:
    """The public key in PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def jwk(key: PrivateKey, **more: object) -> dict[str, Any]:
    """The public key as a JWK."""
    kind = "RSA" if isinstance(key, rsa.RSAPrivateKey) else "EC"
    name = {"RSA": "RS256", "EC": "ES256"}[kind]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        name = "EdDSA"
    fields: dict[str, Any] = json.loads(get_default_algorithms()[name].to_jwk(key.public_key()))
    fields.pop("key_ops", None)
    return {**fields, **more}


def published(key: PrivateKey) -> dict[str, bytes]:
    """The public key in every encoding somebody might take for a secret."""
    public = key.public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    found = {
        "pem": pem(key),
        "pem without its last newline": pem(key).rstrip(),
        "pem with other line ends": pem(key).replace(b"\n", b"\r\n"),
        "pem body": b"".join(pem(key).splitlines()[1:-1]),
        "der": der,
        "der base64": base64.b64encode(der),
        "der base64url": b64(der).encode(),
        "der base64 lines": base64.encodebytes(der),
        "pem base64": base64.b64encode(pem(key)),
        "jwk base64url": b64(json.dumps(jwk(key))).encode(),
        "jwk": json.dumps(jwk(key)).encode(),
        "jwk set": json.dumps({"keys": [jwk(key)]}).encode(),
    }
    found["ssh"] = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    found["ssh with a comment"] = found["ssh"] + b" me@host"
    found["ssh body"] = found["ssh"].split()[1]
    found["ssh with options"] = b'no-pty,command="x" ' + found["ssh"]
    if isinstance(key, rsa.RSAPrivateKey):
        found["pkcs1"] = key.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1)
        found["pkcs1 der"] = key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    return found
