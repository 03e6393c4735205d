"""Strings, hashes, sorted sets, sets and lists of Redis as entries of the key-value port."""

from collections.abc import Collection, Mapping, Sequence

from portward.engines.port import NEWEST, Change, IndexEntry, IndexKey, Key, LeaseKey
from portward.engines.redis.commands import together
from portward.engines.redis.context import RedisContext
from portward.engines.redis.scripts import script
from portward.engines.redis.streams import milliseconds

_RECORDS = script("records")
_UPDATE = script("update")
_INDEXED = script("indexed")
_LEASE = script("lease_members")
_LEASED = script("leased")
_RELEASE = script("release_members")
_REPLACE = script("replace")
_PREPEND = script("prepend")


class RedisKeyValue:
    """Implements `engines.port.KeyValue`."""

    def __init__(self, context: RedisContext) -> None:
        self._commands, self._entry = context.commands, context.keys.entry

    async def get(self, key: Key) -> bytes | None:
        """The value of a key."""
        name = self._entry(key)
        value: bytes | None = await self._commands.send(name, "GET", name)
        return value

    async def put(self, key: Key, value: bytes, ttl: float | None = None) -> None:
        """Set the value of a key."""
        name = self._entry(key)
        words = () if ttl is None else ("PX", milliseconds(ttl))
        await self._commands.send(name, "SET", name, value, *words)

    async def take(self, key: Key) -> bytes | None:
        """Remove the value of a key and return it."""
        name = self._entry(key)
        value: bytes | None = await self._commands.send(name, "GETDEL", name)
        return value

    async def exists(self, key: Key) -> bool:
        """Whether a key has an entry of any kind."""
        name = self._entry(key)
        return bool(await self._commands.send(name, "EXISTS", name))

    async def delete(self, key: Key) -> None:
        """Remove an entry."""
        name = self._entry(key)
        await self._commands.send(name, "DEL", name)

    # -- records

    async def records(self, keys: Sequence[Key], fields: tuple[str, ...]) -> list[dict[str, bytes]]:
        """These fields of records."""
        found = await self._commands.run(_RECORDS, [self._entry(key) for key in keys], fields)
        return [_fields(fields, values) for values in found]

    async def update(self, key: Key, change: Change) -> tuple[bool, dict[str, bytes]]:
        """Change a record and its indexes if its fields are as expected."""
        version = "" if change.version is None else change.version
        words: list[object] = [
            "" if change.ttl is None else round(change.ttl * 1000),
            *(int(change.existing), int(change.counted), version),
        ]
        words.append(len(change.when))
        for name, value in change.when.items():
            words += (name, b"" if value is None else b"=" + value)
        words.append(len(change.set))
        for pair in change.set.items():
            words += pair
        words += (len(change.read), *change.read)
        for entry in change.indexes:
            words += _index_words(entry)
        names = [self._entry(each) for each in (key, *(entry.key for entry in change.indexes))]
        done, values = await self._commands.run(_UPDATE, names, words)
        return bool(done), _fields(change.read, values)

    async def indexed(
        self, index: IndexKey, fields: tuple[str, ...], low: float, limit: int = 0
    ) -> list[tuple[str, dict[str, bytes]]]:
        """The members of an index that score `low` or more, with fields of their records."""
        base = self._entry(index.key._replace(name=index.base))
        words = (repr(low), limit or -1, base, *fields)
        found = await self._commands.run(
            _INDEXED, self._names_of((index.key, index.until)), words, bulk=True
        )
        return [
            (member.decode("utf-8", "replace"), _fields(fields, values)) for member, values in found
        ]

    # -- leases

    async def lease(
        self, key: LeaseKey, members: Mapping[str, bytes], ttl: float, limit: int = 0
    ) -> None:
        """Add members, or renew them."""
        words = (word for pair in members.items() for word in pair)
        await self._commands.run(_LEASE, self._names_of(key), (milliseconds(ttl), limit, *words))

    def _names_of(self, keys: tuple[Key | None, ...]) -> list[str]:
        return [self._entry(key) for key in keys if key is not None]

    async def leased(self, key: LeaseKey) -> dict[str, bytes]:
        """The members whose lease is valid."""
        found = await self._commands.run(_LEASED, self._names_of(key), ())
        names = (name.decode("utf-8", "replace") for name in found[::2])
        return dict(zip(names, found[1::2], strict=True))

    async def release(self, key: LeaseKey, members: Collection[str]) -> frozenset[str]:
        """Remove members; returns those whose lease was valid."""
        found = await self._commands.run(_RELEASE, self._names_of(key), members)
        return frozenset(each.decode("utf-8", "replace") for each in found)

    # -- sets of names, and lists

    async def names(self, keys: Sequence[Key]) -> list[frozenset[str]]:
        """The names in each of these sets."""
        names = map(self._entry, keys)
        sets = await together([self._commands.send(name, "SMEMBERS", name) for name in names])
        return [frozenset(each.decode("utf-8", "replace") for each in members) for members in sets]

    async def set_names(self, key: Key, names: Collection[str]) -> None:
        """Replace a set of names."""
        await self._commands.run(_REPLACE, (self._entry(key),), names)

    async def prepend(self, key: Key, texts: tuple[str, ...], limit: int) -> None:
        """Put texts before a list, and remove those beyond the limit."""
        values = [text.encode() for text in texts]
        await self._commands.run(_PREPEND, (self._entry(key),), (limit, *values))

    async def read(self, key: Key, limit: int) -> tuple[str, ...]:
        """The newest of a list."""
        if limit < 1:
            return ()
        name = self._entry(key)
        values = await self._commands.send(name, "LRANGE", name, 0, limit - 1, bulk=True)
        return tuple(value.decode("utf-8", "replace") for value in values)


def _index_words(entry: IndexEntry) -> tuple[object, ...]:
    score = "" if entry.score is None else "+" if entry.score == NEWEST else repr(entry.score)
    floor = "" if entry.floor is None else repr(entry.floor)
    return entry.member, score, entry.limit, floor, int(entry.evict), entry.named_in


def _fields(names: tuple[str, ...], values: list[bytes | None]) -> dict[str, bytes]:
    return {name: value for name, value in zip(names, values, strict=True) if value is not None}
