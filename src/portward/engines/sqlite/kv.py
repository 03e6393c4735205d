"""Texts by key, and lists of them."""

import sqlite3
from contextlib import closing
from typing import Final

from portward.engines.sqlite.files import EngineFileError
from portward.engines.sqlite.schema import open_visitor
from portward.engines.sqlite.store import SqliteStore

_SET: Final = "INSERT OR REPLACE INTO kept (key, value) VALUES (?, ?)"
_PUT: Final = "INSERT INTO lists (key, value) VALUES (?, ?)"
_TRIM: Final = (
    "DELETE FROM lists WHERE key = ? AND number <="
    " (SELECT number FROM lists WHERE key = ? ORDER BY number DESC LIMIT 1 OFFSET ?)"
)
_READ: Final = "SELECT value FROM lists WHERE key = ? ORDER BY number DESC LIMIT ?"


class SqliteKeyValue:
    """Implements `engines.port.KeyValue`. The empty key is reserved for the probes of the store."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    async def get(self, key: str) -> str | None:
        """The text under a key."""
        return await self._store.read(lambda db: _get(db, key))

    async def set(self, key: str, value: str) -> None:
        """Store a text.

        Raises:
            ValueError: the key is empty.
        """
        if not key:
            raise ValueError("a key is not empty")
        await self._store.execute(_SET, (key, value))

    async def prepend(self, key: str, texts: tuple[str, ...], limit: int) -> None:
        """Put texts before a list, and remove those beyond the limit."""
        await self._store.write(lambda db: _prepend(db, key, texts, limit))

    async def read(self, key: str, limit: int) -> tuple[str, ...]:
        """The newest of a list."""
        rows = await self._store.read(lambda db: db.execute(_READ, (key, limit)).fetchall())
        return tuple(value for (value,) in rows)


def _get(db: sqlite3.Connection, key: str) -> str | None:
    row: tuple[str] | None = db.execute("SELECT value FROM kept WHERE key = ?", (key,)).fetchone()
    return row[0] if row is not None else None


def _prepend(db: sqlite3.Connection, key: str, texts: tuple[str, ...], limit: int) -> None:
    db.executemany(_PUT, [(key, text) for text in texts])
    db.execute(_TRIM, (key, key, limit))


def stored_note(path: str, key: str) -> str | None:
    """The text under a key in a file that a gateway may have open; nothing is written.

    Raises:
        EngineFileError: there is no such file, it is no engine's, or it cannot be read.
    """
    with closing(open_visitor(path)) as db:
        try:
            return _get(db, key)
        except sqlite3.Error as error:
            raise EngineFileError(path, f"cannot be read: {error}") from None
