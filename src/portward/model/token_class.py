"""Kinds of token that are no access token, as issuers mark them (RFC 8725 section 3.12)."""

from typing import Final

CLASS_CLAIMS: Final = ("type", "typ", "token_use", "token_type")
"""Claims in which an issuer says what a token is for."""
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
"""What they say, in small letters, of tokens with which nobody comes in."""
