"""Kinds of tokens that are not access tokens, as issuers mark them (RFC 8725 section 3.12)."""

from typing import Final

CLASS_CLAIMS: Final = ("type", "typ", "token_use", "token_type")
"""Claims in which an issuer states the purpose of a token."""
OTHER_CLASSES: Final = frozenset(
    {
        "websocket",
        "refresh",
        "refresh_token",
        "id",
        "id_token",
        "offline",
        "logout",
        "reset",
        "password_reset",
        "verification",
        "share",
    }
)
"""Lower-case values of these claims for tokens that are not accepted."""
