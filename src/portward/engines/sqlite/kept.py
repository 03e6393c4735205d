"""Texts by key, for parts of the house that have a few to remember."""

import sqlite3

from portward.engines.sqlite.store import Store

_SET = "INSERT OR REPLACE INTO kept (key, value) VALUES (?, ?)"


class SqliteKept:
    """Kept until they are set anew. Keys are few, and not empty."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, key: str) -> str | None:
        """The text under a key.

        Raises:
            EngineUnavailable: the store cannot be read.
        """
        return await self._store.read(lambda db: _get(db, key))

    async def set(self, key: str, value: str) -> None:
        """Keep a text.

        Raises:
            ValueError: the key is empty.
            EngineUnavailable: nothing was kept.
        """
        if not key:
            raise ValueError("a key is not empty")
        await self._store.execute(_SET, (key, value))


def _get(db: sqlite3.Connection, key: str) -> str | None:
    row: tuple[str] | None = db.execute("SELECT value FROM kept WHERE key = ?", (key,)).fetchone()
    return row[0] if row is not None else None
