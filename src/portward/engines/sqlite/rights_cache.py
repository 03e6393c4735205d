"""Facts of users: in memory as far as they fit, and always in the file."""

import sqlite3
from typing import Final

from portward.engines.port import UserRights
from portward.engines.sqlite.codec import pack, reader
from portward.engines.sqlite.store import SqliteStore

NOTHING: Final = UserRights()
MAX_CACHED: Final = 100_000
"""Most users whose facts are in memory; those of others are read when needed."""

_NAMES: Final = reader(frozenset[str])
_SELECT: Final = "SELECT roles, permissions, workspaces FROM facts WHERE user = ?"

SET_ROLES: Final = (
    "INSERT INTO facts (user, roles) VALUES (?, ?)"
    " ON CONFLICT (user) DO UPDATE SET roles = excluded.roles"
)
SET_PERMISSIONS: Final = (
    "INSERT INTO facts (user, permissions) VALUES (?, ?)"
    " ON CONFLICT (user) DO UPDATE SET permissions = excluded.permissions"
)
SET_WORKSPACES: Final = (
    "INSERT INTO facts (user, workspaces) VALUES (?, ?)"
    " ON CONFLICT (user) DO UPDATE SET workspaces = excluded.workspaces"
)


class RightsCache:
    """Facts by user."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._cache: dict[str, UserRights] = {}
        self._whole = True
        """Whether the cache has all users."""
        self._changes = 0

    def load(self, db: sqlite3.Connection) -> None:
        """Read as many as fit."""
        rows = db.execute(
            "SELECT user, roles, permissions, workspaces FROM facts LIMIT ?", (MAX_CACHED + 1,)
        )
        self._cache = {user: _facts(row) for user, *row in rows}
        self._whole = True
        self._shrink()

    def _shrink(self) -> None:
        while len(self._cache) > MAX_CACHED:
            del self._cache[next(iter(self._cache))]
            self._whole = False

    async def get(self, user: str) -> UserRights:
        """Roles, permissions and workspaces of a user."""
        facts = self._cache.get(user)
        if facts is not None or self._whole:
            return facts or NOTHING
        changes = self._changes
        facts = await self._store.read(lambda db: _read(db, user))
        if changes == self._changes:  # otherwise the row may be older than the change
            self._cache[user] = facts
            self._shrink()
        return facts

    async def set(self, sql: str, user: str, names: frozenset[str] | None) -> None:
        """Change one of the facts, with one of the statements above."""
        body = pack(sorted(names)) if names is not None else None
        await self._store.write(
            lambda db: _change(db, sql, user, body), lambda facts: self._changed(user, facts)
        )

    def _changed(self, user: str, facts: UserRights) -> None:
        self._changes += 1
        self._cache.pop(user, None)
        if facts:
            self._cache[user] = facts
            self._shrink()


def _facts(row: list[bytes | None]) -> UserRights:
    roles, permissions, workspaces = (
        _NAMES.decode(names) if names is not None else None for names in row
    )
    return UserRights(roles or frozenset(), permissions or frozenset(), workspaces)


def _read(db: sqlite3.Connection, user: str) -> UserRights:
    row = db.execute(_SELECT, (user,)).fetchone()
    return _facts(list(row)) if row is not None else NOTHING


def _change(db: sqlite3.Connection, sql: str, user: str, body: bytes | None) -> UserRights:
    db.execute(sql, (user, body))
    facts = _read(db, user)
    if not facts:
        db.execute("DELETE FROM facts WHERE user = ?", (user,))
    return facts
