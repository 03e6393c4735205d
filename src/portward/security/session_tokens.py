"""Session tokens: what a client presents after a reconnect in place of its own token.

A class of token of its own, with a secret of its own: neither kind is ever taken for the other.
"""

from typing import Any, Final

import msgspec

from portward.security.jws import (
    TokenReason,
    TokenRefused,
    parse_compact,
    sign_payload,
    strict_object,
)
from portward.security.keys import KeySet, secret_key

LIFETIME: Final = 3600.0
_CLASS: Final = "websocket"
_encode: Final = msgspec.json.Encoder().encode


class SessionClaims(msgspec.Struct, frozen=True):
    """What a session token says. Times are Unix seconds.

    `token_id` is new with each issue; the session's record knows which one is alive.
    """

    subject: str
    session_id: str
    token_id: str
    issued_at: float
    expires_at: float


class SessionTokens:
    """Issues and reads session tokens under one secret.

    Raises:
        ValueError: the secret is empty or is really a published key.
    """

    __slots__ = ("_keys", "_secret")

    def __init__(self, secret: str | bytes) -> None:
        self.use(secret)

    def use(self, secret: str | bytes) -> None:
        """Sign and verify with another secret from now on.

        Raises:
            ValueError: it is unusable, and the old one stays.
        """
        self._keys = KeySet([secret_key(secret)])
        self._secret = secret.encode() if isinstance(secret, str) else secret

    def issue(
        self,
        subject: str,
        session_id: str,
        now: float,
        *,
        token_id: str,
        lifetime: float = LIFETIME,
    ) -> str:
        """Make a session token. `token_id` must be new and unguessable: the caller draws it."""
        claims = {
            "sub": subject,
            "sessionId": session_id,
            "type": _CLASS,
            "iat": int(now),
            "exp": int(now + lifetime),
            "jti": token_id,
        }
        return sign_payload(_encode(claims), self._secret)

    def verify(self, token: str, now: float) -> SessionClaims:
        """Read a session token at the Unix time `now`. Whether it is the live one, the store says.

        Raises:
            TokenRefused: it is not one of this secret's, or is over.
        """
        compact = parse_compact(token)
        if compact.algorithm != "HS256":
            raise TokenRefused(TokenReason.ALGORITHM)
        self._keys.check(compact)
        fields = strict_object(compact.payload)
        if fields.get("type") != _CLASS:
            raise TokenRefused(TokenReason.TYPE, "type")
        claims = _claims(fields)
        if now >= claims.expires_at:
            raise TokenRefused(TokenReason.EXPIRED, "exp")
        return claims


class _Wire(msgspec.Struct, rename="camel"):
    sub: str
    session_id: str
    jti: str
    iat: int
    exp: int


def _claims(fields: dict[str, Any]) -> SessionClaims:
    try:
        wire = msgspec.convert(fields, _Wire)
    except msgspec.ValidationError:
        raise TokenRefused(TokenReason.CLAIMS) from None
    if not (wire.sub and wire.session_id and wire.jti):
        raise TokenRefused(TokenReason.CLAIMS)
    return SessionClaims(wire.sub, wire.session_id, wire.jti, float(wire.iat), float(wire.exp))
