"""Values by key in a table, which may be read beside the process that has the file."""

import sqlite3
from contextlib import closing
from typing import Final

from portward.engines.port import Key
from portward.engines.sqlite.files import EngineFileError
from portward.engines.sqlite.schema import open_visitor

PUT: Final = "INSERT OR REPLACE INTO kept (key, value, until) VALUES (?, ?, ?)"
_GET: Final = "SELECT value FROM kept WHERE key = ? AND coalesce(until, 9e999) > ?"


def name_of(key: Key) -> str:
    """The name of an entry in the tables.

    Raises:
        ValueError: the key is empty; that name is reserved for the probes of the store.
    """
    name = f"{{{key.group}}}{key.name}" if key.group else key.name
    if not name:
        raise ValueError("a key is not empty")
    return name


def get(db: sqlite3.Connection, name: str, now: float) -> bytes | None:
    """The value of a name; files of older versions have texts."""
    return _bytes(db.execute(_GET, (name, now)).fetchone())


def stored_value(path: str, key: Key) -> bytes | None:
    """The value of a key in a file that a gateway may have open; nothing is written.

    Raises:
        EngineFileError: there is no such file, it is no engine's, or it cannot be read.
    """
    with closing(open_visitor(path)) as db:
        try:
            row = db.execute("SELECT value FROM kept WHERE key = ?", (name_of(key),)).fetchone()
        except sqlite3.Error as error:
            raise EngineFileError(path, f"cannot be read: {error}") from None
    return _bytes(row)


def _bytes(row: tuple[str | bytes] | None) -> bytes | None:
    if row is None:
        return None
    return row[0].encode() if isinstance(row[0], str) else bytes(row[0])
