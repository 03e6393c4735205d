"""Keys of an issuer, made for the tests, and tokens signed with them."""

import json
import time
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


class IssuerKey:
    """A key on the curve P-256: its public half as JWK and PEM, and tokens signed with it."""

    def __init__(self, kid: str) -> None:
        self.kid = kid
        self._private = ec.generate_private_key(ec.SECP256R1())

    @property
    def jwk(self) -> dict[str, Any]:
        """The public key as an entry of a key set."""
        algorithm = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256)
        found = json.loads(algorithm.to_jwk(self._private.public_key()))
        return {**found, "kid": self.kid, "use": "sig", "alg": "ES256"}

    @property
    def pem(self) -> str:
        """The public key in PEM."""
        public = self._private.public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def token(self, **claims: Any) -> str:
        """A token of this key; see :func:`claims_of`."""
        return jwt.encode(
            claims_of(**claims), self._private, algorithm="ES256", headers={"kid": self.kid}
        )


@cache
def issuer_key(kid: str) -> IssuerKey:
    """The key with this id; the same one each time."""
    return IssuerKey(kid)


def claims_of(**claims: Any) -> dict[str, Any]:
    """Claims of a token for ann that is good for ten minutes, with changes; None leaves one out."""
    now = int(time.time())
    given = {"sub": "ann", "iat": now, "exp": now + 600, **claims}
    return {name: value for name, value in given.items() if value is not None}


def token(secret: str, **claims: Any) -> str:
    """A token signed with a shared secret; see :func:`claims_of`."""
    return jwt.encode(claims_of(**claims), secret, algorithm="HS256")


def verifies(token: str, secret: str) -> bool:
    """Whether the token was signed with this secret."""
    try:
        jwt.decode(token, secret, algorithms=["HS256"], options={"verify_aud": False})
    except jwt.InvalidSignatureError:
        return False
    return True
