"""Values of users in maps."""

from typing import Any, Final

from portward.engines.port import SHARED_KEYS
from portward.model.clock import Clock
from portward.model.shared import SharedValue

MAX_OWNERS: Final = 10_000


class _Owner:
    __slots__ = ("until", "values")

    def __init__(self) -> None:
        self.until = 0.0
        self.values: dict[str, SharedValue] = {}


class MemoryShared:
    """Implements `engines.port.Shared`. Of too many owners the one begun longest ago is forgotten."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._owners: dict[str, _Owner] = {}

    async def put(
        self, owner: str, key: str, value: Any, version: int | None, ttl: float
    ) -> tuple[SharedValue, bool]:
        """Set a value, if the version is right."""
        now = self._clock.monotonic()
        books = self._owner(owner, now)
        books.until = now + ttl
        current = books.values.get(key, SharedValue())
        if version is not None and version != current.version:
            return current, False
        put = SharedValue(current.version + 1, value)
        books.values.pop(key, None)
        books.values[key] = put
        if len(books.values) > SHARED_KEYS:
            del books.values[next(iter(books.values))]
        return put, True

    def _owner(self, owner: str, now: float) -> _Owner:
        books = self._owners.get(owner)
        if books is None or books.until <= now:
            self._owners.pop(owner, None)
            books = self._owners[owner] = _Owner()
            if len(self._owners) > MAX_OWNERS:
                del self._owners[next(iter(self._owners))]
        return books

    def sweep(self) -> None:
        """Drop what nobody used in time."""
        now = self._clock.monotonic()
        self._owners = {name: each for name, each in self._owners.items() if each.until > now}
