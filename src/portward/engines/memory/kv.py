"""Texts in maps."""

from collections import deque
from itertools import islice


class MemoryKeyValue:
    """Implements `engines.port.KeyValue`."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._lists: dict[str, deque[str]] = {}

    async def get(self, key: str) -> str | None:
        """The text under a key."""
        return self._texts.get(key)

    async def set(self, key: str, value: str) -> None:
        """Store a text."""
        self._texts[key] = value

    async def prepend(self, key: str, texts: tuple[str, ...], limit: int) -> None:
        """Put texts before a list."""
        kept = self._lists.setdefault(key, deque())
        kept.extendleft(texts)
        while len(kept) > limit:
            kept.pop()

    async def read(self, key: str, limit: int) -> tuple[str, ...]:
        """The newest of a list."""
        return tuple(islice(self._lists.get(key, ()), limit))
