"""Values, records and lists in tables. Leases are in memory, and in the file between two runs."""

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from math import inf
from typing import Final

from portward.engines.json_codec import decoder, encode
from portward.engines.memory.leases import MemoryLeases
from portward.engines.port import NEWEST, Change, IndexEntry, IndexKey, Key
from portward.engines.sqlite.store import SqliteStore
from portward.engines.sqlite.values import PUT, get, name_of
from portward.model.clock import Clock

MAX_CACHES: Final = 10_000
"""Most records whose fields an index evicts; of more, the oldest are removed."""
LEASES: Final = "leases"
_NAMES: Final = decoder(frozenset[str])
_DUMPED: Final = decoder(list[tuple[Key, dict[str, tuple[float, bytes]]]])
_STEP: Final = 100
"""Most records that one transaction removes: each may have many fields."""

_DELETE: Final = "DELETE FROM kept WHERE key = ?"
_EXPIRED: Final = "DELETE FROM kept WHERE key IN (SELECT key FROM kept WHERE until <= ? LIMIT ?)"
_NUMBER: Final = "SELECT number FROM records WHERE key = ? AND coalesce(until, 9e999) > ?"
_DELETE_RECORD: Final = "DELETE FROM records WHERE key = ?"
_EXPIRED_RECORDS: Final = (
    "DELETE FROM records WHERE number IN (SELECT number FROM records WHERE until <= ? LIMIT ?)"
)
_SURPLUS: Final = (
    "DELETE FROM records WHERE number IN (SELECT number FROM records WHERE cache = 1 ORDER BY number"
    " LIMIT max(0, (SELECT count(*) FROM records WHERE cache = 1) - ?))"
)
_INDEXED: Final = (
    "SELECT member, name, value FROM"
    " (SELECT member, score, number FROM members JOIN records ON number = members.record"
    " WHERE list = ? AND score >= ? AND coalesce(until, 9e999) > ? ORDER BY score, member LIMIT ?)"
    " JOIN fields ON fields.record = number ORDER BY score, member"
)
_PREPEND: Final = "INSERT INTO lists (key, value) VALUES (?, ?)"
_TRIM: Final = (
    "DELETE FROM lists WHERE key = ? AND number <="
    " (SELECT number FROM lists WHERE key = ? ORDER BY number DESC LIMIT 1 OFFSET ?)"
)
_READ: Final = "SELECT value FROM lists WHERE key = ? ORDER BY number DESC LIMIT ?"


class SqliteKeyValue(MemoryLeases):
    """Implements `engines.port.KeyValue`. Times are Unix time."""

    def __init__(self, store: SqliteStore, clock: Clock) -> None:
        super().__init__(clock)
        self._store = store

    def load(self, db: sqlite3.Connection) -> None:
        """Take the leases of the last run out of the file."""
        dumped = get(db, LEASES, self._clock.time())
        self.load_leases(_DUMPED.decode(dumped) if dumped is not None else [])
        db.execute(_DELETE, (LEASES,))

    async def flush(self) -> None:
        """Write the leases for the next run: they change too often to be written each time."""
        dumped = self.dump_leases()
        if dumped:
            await self._store.execute(PUT, (LEASES, encode(dumped), None))

    async def get(self, key: Key) -> bytes | None:
        """The value of a key."""
        now = self._clock.time()
        return await self._store.read(lambda db: get(db, name_of(key), now))

    async def put(self, key: Key, value: bytes, ttl: float | None = None) -> None:
        """Set the value of a key."""
        until = None if ttl is None else self._clock.time() + ttl
        await self._store.execute(PUT, (name_of(key), value, until))

    async def take(self, key: Key) -> bytes | None:
        """Remove the value of a key and return it."""
        now, name = self._clock.time(), name_of(key)

        def work(db: sqlite3.Connection) -> bytes | None:
            value = get(db, name, now)
            db.execute(_DELETE, (name,))
            return value

        return await self._store.write(work)

    async def exists(self, key: Key) -> bool:
        """Whether a key has a value, a record or names."""
        now, name = self._clock.time(), name_of(key)
        return await self._store.read(
            lambda db: get(db, name, now) is not None or _number(db, name, now) is not None
        )

    async def delete(self, key: Key) -> None:
        """Remove a value or a record."""
        name = name_of(key)
        await self._store.write(
            lambda db: [db.execute(sql, (name,)) for sql in (_DELETE, _DELETE_RECORD)]
        )

    # -- records

    async def records(self, keys: Sequence[Key], fields: tuple[str, ...]) -> list[dict[str, bytes]]:
        """These fields of records."""
        now, names = self._clock.time(), [name_of(key) for key in keys]
        return await self._store.read(
            lambda db: [_fields(db, _number(db, name, now), fields) for name in names]
        )

    async def update(self, key: Key, change: Change) -> tuple[bool, dict[str, bytes]]:
        """Change a record and its indexes if its fields are as expected."""
        now = self._clock.time()
        return await self._store.write(lambda db: _update(db, name_of(key), change, now))

    async def indexed(
        self, index: IndexKey, fields: tuple[str, ...], low: float, limit: int = 0
    ) -> list[tuple[str, dict[str, bytes]]]:
        """The members of an index that score `low` or more, with fields of their records."""
        values = (name_of(index.key), low, self._clock.time(), limit or -1)
        rows = await self._store.read(lambda db: db.execute(_INDEXED, values).fetchall())
        found: dict[str, dict[str, bytes]] = {}
        for member, name, value in rows:
            if name in fields:
                found.setdefault(member, {})[name] = value
        return list(found.items())

    # -- names and lists

    async def names(self, keys: Sequence[Key]) -> list[frozenset[str]]:
        """The names in each of these sets."""
        sets = await self._store.read(lambda db: [get(db, name_of(key), -inf) for key in keys])
        return [frozenset() if each is None else _NAMES.decode(each) for each in sets]

    async def set_names(self, key: Key, names: Collection[str]) -> None:
        """Replace a set of names."""
        if names:
            await self.put(key, encode(sorted(names)))
        else:
            await self.delete(key)

    async def prepend(self, key: Key, texts: tuple[str, ...], limit: int) -> None:
        """Put texts before a list, and remove those beyond the limit."""
        name = name_of(key)

        def work(db: sqlite3.Connection) -> None:
            db.executemany(_PREPEND, [(name, text) for text in texts])
            db.execute(_TRIM, (name, name, limit))

        await self._store.write(work)

    async def read(self, key: Key, limit: int) -> tuple[str, ...]:
        """The newest of a list."""
        values = (name_of(key), limit)
        rows = await self._store.read(lambda db: db.execute(_READ, values).fetchall())
        return tuple(value for (value,) in rows)

    async def sweep(self) -> None:
        """Remove what has expired."""
        self.sweep_leases()
        now = self._clock.time()
        await self._store.purge(_EXPIRED, now)
        await self._store.purge(_EXPIRED_RECORDS, now, step=_STEP)


def _number(db: sqlite3.Connection, name: str, now: float) -> int | None:
    row: tuple[int] | None = db.execute(_NUMBER, (name, now)).fetchone()
    return row[0] if row is not None else None


def _fields(db: sqlite3.Connection, number: int | None, names: Collection[str]) -> dict[str, bytes]:
    places = ", ".join("?" * len(names))
    rows: Iterable[tuple[str, bytes]] = db.execute(
        f"SELECT name, value FROM fields WHERE record = ? AND name IN ({places})",  # noqa: S608 - question marks
        (number, *names),
    )
    return dict(rows)


def _update(
    db: sqlite3.Connection, name: str, change: Change, now: float
) -> tuple[bool, dict[str, bytes]]:
    number = _number(db, name, now)
    kept = _fields(db, number, {*change.when, *change.set})
    found = number is not None or not change.existing
    if not (found and change.fits(kept) and all(_has_place(db, each) for each in change.indexes)):
        return False, _fields(db, number, change.read)
    if number is None and not change.set:
        return True, {}
    if number is None:
        # One that has expired goes first, with its fields.
        db.execute(_DELETE_RECORD, (name,))
        number = db.execute("INSERT INTO records (key) VALUES (?)", (name,)).lastrowid or 0
    if change.ttl is not None:
        db.execute("UPDATE records SET until = ? WHERE number = ?", (now + change.ttl, number))
    db.executemany(
        "INSERT OR REPLACE INTO fields (record, name, value) VALUES (?, ?, ?)",
        [(number, field, value) for field, value in change.values(kept).items()],
    )
    for entry in change.indexes:
        _index(db, number, entry)
    return True, _fields(db, number, change.read)


def _has_place(db: sqlite3.Connection, entry: IndexEntry) -> bool:
    name = name_of(entry.key)
    if entry.floor is not None:
        db.execute("DELETE FROM members WHERE list = ? AND score <= ?", (name, entry.floor))
    if not entry.limit or entry.evict:
        return True
    (count,) = db.execute("SELECT count(*) FROM members WHERE list = ?", (name,)).fetchone()
    return bool(count < entry.limit)


def _index(db: sqlite3.Connection, number: int, entry: IndexEntry) -> None:
    name, score = name_of(entry.key), entry.score
    if score is None:
        db.execute("DELETE FROM members WHERE list = ? AND member = ?", (name, entry.member))
        return
    if score == NEWEST:
        highest = "SELECT coalesce(max(score), 0) + 1 FROM members WHERE list = ?"
        (score,) = db.execute(highest, (name,)).fetchone()
    db.execute(
        "INSERT OR REPLACE INTO members (list, member, score, record) VALUES (?, ?, ?, ?)",
        (name, entry.member, score, number),
    )
    if entry.evict:
        _evict(db, number, name, entry.limit)


def _evict(db: sqlite3.Connection, number: int, name: str, limit: int) -> None:
    surplus = "SELECT member FROM members WHERE list = ? ORDER BY score DESC LIMIT -1 OFFSET ?"
    for (member,) in db.execute(surplus, (name, limit)).fetchall():
        db.execute("DELETE FROM members WHERE list = ? AND member = ?", (name, member))
        db.execute("DELETE FROM fields WHERE record = ? AND name = ?", (number, member))
    marked = db.execute("UPDATE records SET cache = 1 WHERE number = ? AND cache = 0", (number,))
    if marked.rowcount:
        db.execute(_SURPLUS, (MAX_CACHES,))
