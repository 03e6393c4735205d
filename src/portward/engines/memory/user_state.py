"""Shared values of users in maps."""

from typing import Any, Final

import msgspec

from portward.engines.port import SHARED_KEYS
from portward.model.clock import Clock
from portward.model.shared import SharedValue

MAX_OWNERS: Final = 10_000
MAX_BYTES: Final = 64 * 1024 * 1024
"""Most bytes of all values together, as JSON."""


class _Owner:
    __slots__ = ("sizes", "until", "values")

    def __init__(self) -> None:
        self.until = 0.0
        self.values: dict[str, SharedValue] = {}
        self.sizes: dict[str, int] = {}

    def put(self, key: str, value: SharedValue) -> int:
        """Store a value as the newest; returns by how many bytes the owner's values have grown."""
        before = sum(self.sizes.values())
        for each in (self.values, self.sizes):
            each.pop(key, None)
        self.values[key] = value
        self.sizes[key] = len(key) + len(msgspec.json.encode(value.value))
        if len(self.values) > SHARED_KEYS:
            oldest = next(iter(self.values))
            del self.values[oldest], self.sizes[oldest]
        return sum(self.sizes.values()) - before


class MemoryUserState:
    """Implements `engines.port.UserState`. Of too many owners, or bytes, the oldest owner is removed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._owners: dict[str, _Owner] = {}
        self._size = 0

    async def put(
        self, owner: str, key: str, value: Any, version: int | None, ttl: float
    ) -> tuple[SharedValue, bool]:
        """Set a value, if the version is right."""
        now = self._clock.monotonic()
        owned = self._owner(owner, now)
        owned.until = now + ttl
        current = owned.values.get(key, SharedValue())
        if version is not None and version != current.version:
            return current, False
        put = SharedValue(current.version + 1, value)
        self._size += owned.put(key, put)
        while self._size > MAX_BYTES and len(self._owners) > 1:
            self._forget(next(each for each in self._owners if each != owner))
        return put, True

    def _owner(self, owner: str, now: float) -> _Owner:
        owned = self._owners.get(owner)
        if owned is None or owned.until <= now:
            self._forget(owner)
            owned = self._owners[owner] = _Owner()
            if len(self._owners) > MAX_OWNERS:
                self._forget(next(iter(self._owners)))
        return owned

    def _forget(self, owner: str) -> None:
        owned = self._owners.pop(owner, None)
        if owned is not None:
            self._size -= sum(owned.sizes.values())

    def sweep(self) -> None:
        """Remove what was not used in time."""
        now = self._clock.monotonic()
        for owner in [name for name, each in self._owners.items() if each.until <= now]:
            self._forget(owner)
