"""Session tokens: credentials that a client presents after a reconnect in place of its own token.

They are a separate class of token with a separate secret, so neither kind is accepted as the other.
"""

from typing import Annotated, Final

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


_Text = Annotated[str, msgspec.Meta(min_length=1)]


class SessionClaims(msgspec.Struct, frozen=True):
    """The claims of a session token. Times are Unix seconds.

    `token_id` is new in each token; the stored session record holds the id of the valid one.
    """

    subject: _Text = msgspec.field(name="sub")
    session_id: _Text = msgspec.field(name="sessionId")
    token_id: _Text = msgspec.field(name="jti")
    issued_at: int = msgspec.field(name="iat")
    expires_at: int = msgspec.field(name="exp")


class SessionTokens:
    """Issues and verifies session tokens with one secret.

    Raises:
        ValueError: the secret is empty, or looks like a key or a certificate.
    """

    __slots__ = ("_keys", "_secret")

    def __init__(self, secret: str | bytes) -> None:
        self.use(secret)

    def use(self, secret: str | bytes) -> None:
        """Sign and verify with another secret from now on.

        Raises:
            ValueError: the new secret is unusable; the old one stays in use.
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
        """Make a session token. The caller draws `token_id`, which must be new and unguessable."""
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
        """Verify a session token at the Unix time `now`. The store decides whether it is the current one.

        Raises:
            TokenRefused: it was not signed with this secret, or has expired.
        """
        compact = parse_compact(token)
        if compact.algorithm != "HS256":
            raise TokenRefused(TokenReason.ALGORITHM)
        self._keys.check(compact)
        fields = strict_object(compact.payload)
        if fields.get("type") != _CLASS:
            raise TokenRefused(TokenReason.TYPE, "type")
        try:
            claims = msgspec.convert(fields, SessionClaims)
        except msgspec.ValidationError:
            raise TokenRefused(TokenReason.CLAIMS) from None
        if now >= claims.expires_at:
            raise TokenRefused(TokenReason.EXPIRED, "exp")
        return claims
