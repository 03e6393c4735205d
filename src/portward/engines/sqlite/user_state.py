"""Shared values of users in tables."""

import sqlite3
from typing import Any, Final, NamedTuple

import msgspec

from portward.engines.port import SHARED_KEYS
from portward.engines.sqlite.codec import pack
from portward.engines.sqlite.store import SqliteStore
from portward.model.clock import Clock
from portward.model.shared import SharedValue

MAX_OWNERS: Final = 10_000

_VALUE: Final = msgspec.json.Decoder()

_OWNER: Final = "SELECT number, until FROM owners WHERE owner = ?"
_OLDEST: Final = "SELECT min(number) FROM owners"
_PUT: Final = (
    "INSERT OR REPLACE INTO shared (owner, key, version, turn, body)"
    " VALUES (?, ?, ?, (SELECT coalesce(max(turn), 0) + 1 FROM shared WHERE owner = ?), ?)"
)
_SURPLUS: Final = (
    "DELETE FROM shared WHERE owner = ? AND key IN"
    " (SELECT key FROM shared WHERE owner = ? ORDER BY turn DESC LIMIT -1 OFFSET ?)"
)
_ORPHANS: Final = (
    "DELETE FROM shared WHERE owner IN (SELECT number FROM owners WHERE until <= ? LIMIT ?)"
)
_EXPIRED: Final = (
    "DELETE FROM owners WHERE number IN (SELECT number FROM owners WHERE until <= ? LIMIT ?)"
)
_OWNERS_AT_ONCE: Final = 5
"""Each owner has up to `SHARED_KEYS` values, which are deleted with it in one transaction."""


class _Put(NamedTuple):
    """A value to be set. `now` and `until` are Unix time."""

    owner: str
    key: str
    value: Any
    version: int | None
    now: float
    until: float


class SqliteUserState:
    """Implements `engines.port.UserState`. Of too many owners the oldest is removed."""

    def __init__(self, store: SqliteStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def put(
        self, owner: str, key: str, value: Any, version: int | None, ttl: float
    ) -> tuple[SharedValue, bool]:
        """Set a value, if the version is right."""
        now = self._clock.time()
        wanted = _Put(owner, key, value, version, now, now + ttl)
        return await self._store.write(lambda db: _put(db, wanted))

    async def sweep(self) -> None:
        """Remove what was not used in time."""
        now = self._clock.time()
        while await self._store.write(lambda db: _drop(db, now)) == _OWNERS_AT_ONCE:
            pass


def _put(db: sqlite3.Connection, put: _Put) -> tuple[SharedValue, bool]:
    number = _own(db, put)
    row = db.execute(
        "SELECT version, body FROM shared WHERE owner = ? AND key = ?", (number, put.key)
    ).fetchone()
    current = SharedValue(row[0], _VALUE.decode(row[1])) if row is not None else SharedValue()
    if put.version is not None and put.version != current.version:
        return current, False
    value = SharedValue(current.version + 1, put.value)
    db.execute(_PUT, (number, put.key, value.version, number, pack(put.value)))
    if row is None:
        db.execute(_SURPLUS, (number, number, SHARED_KEYS))
    return value, True


def _own(db: sqlite3.Connection, put: _Put) -> int:
    """The number of the owner, whose time is prolonged. An expired owner is replaced by a new one."""
    row = db.execute(_OWNER, (put.owner,)).fetchone()
    if row is not None and row[1] > put.now:
        db.execute("UPDATE owners SET until = ? WHERE number = ?", (put.until, row[0]))
        return int(row[0])
    if row is not None:
        _remove(db, row[0])
    cursor = db.execute("INSERT INTO owners (owner, until) VALUES (?, ?)", (put.owner, put.until))
    (count,) = db.execute("SELECT count(*) FROM owners").fetchone()
    if count > MAX_OWNERS:
        _remove(db, db.execute(_OLDEST).fetchone()[0])
    assert cursor.lastrowid is not None  # noqa: S101 - for the type checker
    return cursor.lastrowid


def _remove(db: sqlite3.Connection, number: int) -> None:
    db.execute("DELETE FROM shared WHERE owner = ?", (number,))
    db.execute("DELETE FROM owners WHERE number = ?", (number,))


def _drop(db: sqlite3.Connection, now: float) -> int:
    db.execute(_ORPHANS, (now, _OWNERS_AT_ONCE))
    return db.execute(_EXPIRED, (now, _OWNERS_AT_ONCE)).rowcount
