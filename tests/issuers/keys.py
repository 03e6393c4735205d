"""Keys of an issuer as it publishes them, and tokens signed with them."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

RSA: Final = "RS256"
EC: Final = "ES256"
Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@cache
def private_key(name: str, algorithm: str = RSA) -> Private:
    """A private key of the test; the same one for the same name."""
    if algorithm == RSA:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def jwk(key: Private, **fields: Any) -> dict[str, Any]:
    """The public half as an entry of a key set, with the fields that an issuer writes beside it."""
    text = (
        RSAAlgorithm.to_jwk(key.public_key())
        if isinstance(key, rsa.RSAPrivateKey)
        else ECAlgorithm.to_jwk(key.public_key())
    )
    plain = {name: value for name, value in json.loads(text).items() if name != "key_ops"}
    return {**plain, **fields}


def signed(key: Private, claims: Mapping[str, Any], kid: str, **header: Any) -> str:
    """A token of this key; a header that is None is left out."""
    algorithm = RSA if isinstance(key, rsa.RSAPrivateKey) else EC
    return jwt.encode(dict(claims), key, algorithm=algorithm, headers={"kid": kid, **header})


def hmac_with_public_key(key: Private, claims: Mapping[str, Any], kid: str) -> str:
    """A token whose HMAC was made with the published key, which a careless verifier takes."""
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    hmac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    _, payload, _ = signed(private_key("any", EC), claims, kid).split(".")
    head = jwt.utils.base64url_encode(json.dumps({"alg": "HS256", "kid": kid}).encode()).decode()
    part = f"{head}.{payload}".encode()
    return f"{head}.{payload}.{jwt.utils.base64url_encode(hmac.sign(part, pem)).decode()}"
