"""Values, records, leases, names and lists in maps. Times are on the monotonic clock."""

from collections import Counter, deque
from collections.abc import Collection, Sequence
from itertools import islice
from math import inf
from typing import Final

from portward.engines.memory.leases import MemoryLeases
from portward.engines.port import NEWEST, Change, IndexEntry, IndexKey, Key, KeyValueFull
from portward.model.clock import Clock

MAX_RECORDS: Final = 250_000
"""Most records of a family; of more, the new one is rejected, because none may be removed."""
MAX_CACHES: Final = 10_000
"""Most records whose fields an index evicts; of more, the oldest record is removed."""
MAX_CACHED_BYTES: Final = 64 * 1024 * 1024
"""Most bytes of all those records; of more, the oldest are removed."""


class _Record:
    """Fields, when they end, and which members of indexes end with them."""

    __slots__ = ("fields", "indexed", "until")

    def __init__(self) -> None:
        self.fields: dict[str, bytes] = {}
        self.until = inf
        # The keys are what counts: an empty dict takes 150 bytes less than an empty set.
        self.indexed: dict[tuple[Key, str], None] = {}

    @property
    def size(self) -> int:
        return sum(len(name) + len(value) for name, value in self.fields.items())


class MemoryKeyValue(MemoryLeases):
    """Implements `engines.port.KeyValue`."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._values: dict[Key, tuple[bytes, float]] = {}
        self._records: dict[Key, _Record] = {}
        self._families: Counter[str] = Counter()
        self._caches: dict[Key, int] = {}
        """Sizes of the records whose fields an index evicts, the oldest first."""
        self._cached = 0
        """The sum of these sizes."""
        self._indexes: dict[Key, dict[str, float]] = {}
        self._names: dict[Key, frozenset[str]] = {}
        self._lists: dict[Key, deque[str]] = {}

    async def get(self, key: Key) -> bytes | None:
        """The value of a key."""
        value, until = self._values.get(key, (None, inf))
        return value if until > self._clock.monotonic() else None

    async def put(self, key: Key, value: bytes, ttl: float | None = None) -> None:
        """Set the value of a key."""
        self._values[key] = (value, inf if ttl is None else self._clock.monotonic() + ttl)

    async def take(self, key: Key) -> bytes | None:
        """Remove the value of a key and return it."""
        value = await self.get(key)
        self._values.pop(key, None)
        return value

    async def exists(self, key: Key) -> bool:
        """Whether a key has a value, a record or names."""
        return key in self._names or self._find(key) is not None or await self.get(key) is not None

    async def delete(self, key: Key) -> None:
        """Remove a value or a record."""
        self._values.pop(key, None)
        self._drop(key)

    # -- records

    def _find(self, key: Key) -> _Record | None:
        record = self._records.get(key)
        if record is not None and record.until <= self._clock.monotonic():
            self._drop(key)
            return None
        return record

    def _drop(self, key: Key) -> None:
        record = self._records.pop(key, None)
        if record is None:
            return
        self._families[key.family] -= 1
        self._cached -= self._caches.pop(key, 0)
        for index, member in record.indexed:
            self._remove_member(index, member)

    def _remove_member(self, index: Key, member: str) -> None:
        members = self._indexes.get(index, {})
        members.pop(member, None)
        if not members:
            self._indexes.pop(index, None)

    async def records(self, keys: Sequence[Key], fields: tuple[str, ...]) -> list[dict[str, bytes]]:
        """These fields of records."""
        return [self._read(key, fields) for key in keys]

    def _read(self, key: Key, fields: tuple[str, ...]) -> dict[str, bytes]:
        record = self._find(key)
        found = record.fields if record is not None else {}
        return {name: found[name] for name in fields if name in found}

    async def update(self, key: Key, change: Change) -> tuple[bool, dict[str, bytes]]:
        """Change a record and its indexes if its fields are as expected."""
        record = self._find(key)
        fields = record.fields if record is not None else {}
        found = record is not None or not change.existing
        if not (
            found and change.fits(fields) and all(self._has_place(each) for each in change.indexes)
        ):
            return False, self._read(key, change.read)
        if record is None and change.set:
            record = self._make(key)
        if record is not None:
            record.fields.update(change.values(fields))
            if change.ttl is not None:
                record.until = self._clock.monotonic() + change.ttl
            for entry in change.indexes:
                self._index(key, record, entry)
        return True, self._read(key, change.read)

    def _has_place(self, entry: IndexEntry) -> bool:
        members = self._indexes.get(entry.key, {})
        if entry.floor is not None:
            for member in [name for name, score in members.items() if score <= entry.floor]:
                self._remove_member(entry.key, member)
        return not entry.limit or entry.evict or len(members) < entry.limit

    def _make(self, key: Key) -> _Record:
        if self._families[key.family] >= MAX_RECORDS:
            self.sweep()
            if self._families[key.family] >= MAX_RECORDS:
                raise KeyValueFull
        self._families[key.family] += 1
        record = self._records[key] = _Record()
        return record

    def _index(self, key: Key, record: _Record, entry: IndexEntry) -> None:
        if entry.score is None:
            self._remove_member(entry.key, entry.member)
            record.indexed.pop((entry.key, entry.member), None)
            return
        members = self._indexes.setdefault(entry.key, {})
        score = entry.score
        if score == NEWEST:
            score = max(members.values(), default=0) + 1
        members[entry.member] = score
        record.indexed[entry.key, entry.member] = None
        if entry.evict:
            self._evict(key, record, entry, members)

    def _evict(
        self, key: Key, record: _Record, entry: IndexEntry, members: dict[str, float]
    ) -> None:
        while len(members) > entry.limit:
            lowest = min(members, key=members.__getitem__)
            del members[lowest]
            record.fields.pop(lowest, None)
            record.indexed.pop((entry.key, lowest), None)
        self._cached += record.size - self._caches.get(key, 0)
        self._caches[key] = record.size
        while len(self._caches) > MAX_CACHES or self._cached > MAX_CACHED_BYTES:
            oldest = next((each for each in self._caches if each != key), None)
            if oldest is None:
                return
            self._drop(oldest)

    async def indexed(
        self, index: IndexKey, fields: tuple[str, ...], low: float, limit: int = 0
    ) -> list[tuple[str, dict[str, bytes]]]:
        """The members of an index that score `low` or more, with fields of their records."""
        members = sorted(self._indexes.get(index.key, {}).items(), key=lambda each: each[1])
        found = [
            (member, self._read(index.key._replace(name=index.base + member), fields))
            for member, score in members
            if score >= low
        ]
        return [(member, record) for member, record in found if record][: limit or None]

    # -- names and lists

    async def names(self, keys: Sequence[Key]) -> list[frozenset[str]]:
        """The names in each of these sets."""
        return [self._names.get(key, frozenset()) for key in keys]

    async def set_names(self, key: Key, names: Collection[str]) -> None:
        """Replace a set of names."""
        if names:
            self._names[key] = frozenset(names)
        else:
            self._names.pop(key, None)

    async def prepend(self, key: Key, texts: tuple[str, ...], limit: int) -> None:
        """Put texts before a list."""
        kept = self._lists.setdefault(key, deque())
        kept.extendleft(texts)
        while len(kept) > limit:
            kept.pop()

    async def read(self, key: Key, limit: int) -> tuple[str, ...]:
        """The newest of a list."""
        return tuple(islice(self._lists.get(key, ()), limit))

    def sweep(self) -> None:
        """Remove what has expired."""
        now = self._clock.monotonic()
        self._values = {key: kept for key, kept in self._values.items() if kept[1] > now}
        for key in [key for key, record in self._records.items() if record.until <= now]:
            self._drop(key)
        self.sweep_leases()
