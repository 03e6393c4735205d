"""A type for secret values, which are used but never shown."""

import hmac
from typing import Final

MASK: Final = "***"


class Secret:
    """A text that no `repr`, `str`, format or traceback shows. Empty means not set."""

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself; this is the only access, and easy to search for."""
        return self._text

    def encode(self) -> bytes:
        """Return the text as UTF-8, for use as a key."""
        return self._text.encode()

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.encode(), other.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __str__(self) -> str:
        return MASK if self else ""

    def __repr__(self) -> str:
        return f"Secret({str(self)!r})"
