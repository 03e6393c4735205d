"""The tables, how they came to be, and how connections to them are opened."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from portward.engines.sqlite.files import EngineFileError

APPLICATION_ID: Final = 0x504F5254
"""Stands in the header of every file of ours, so that no other is mistaken for one: `PORT`."""
BUSY_TIME: Final = 2000
"""Milliseconds to wait for a lock that a backup or a curious shell holds."""
CHECKED_SIZE: Final = 256 * 1024 * 1024
"""Bytes up to which every page of a file is looked at when it is opened; of larger ones the head alone."""

_FIRST: Final = (
    """
    CREATE TABLE streams (
        number INTEGER PRIMARY KEY,
        channel TEXT NOT NULL UNIQUE,
        epoch TEXT NOT NULL,
        offset INTEGER NOT NULL,
        size INTEGER NOT NULL,
        ttl REAL NOT NULL,
        idle_ttl REAL NOT NULL,
        by_key INTEGER NOT NULL,
        used REAL NOT NULL,
        due REAL NOT NULL -- when the sweep looks at it next
    )
    """,
    "CREATE INDEX streams_due ON streams (due)",
    """
    CREATE TABLE publications (
        stream INTEGER NOT NULL,
        offset INTEGER NOT NULL,
        stored REAL NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (stream, offset)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE latest (
        stream INTEGER NOT NULL,
        key TEXT NOT NULL,
        offset INTEGER NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (stream, key)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX latest_offset ON latest (stream, offset)",
    """
    CREATE TABLE keys (
        stream INTEGER NOT NULL,
        key TEXT NOT NULL,
        until REAL NOT NULL,
        id TEXT NOT NULL,
        offset INTEGER NOT NULL,
        PRIMARY KEY (stream, key)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX keys_until ON keys (until)",
    """
    CREATE TABLE facts (
        user TEXT PRIMARY KEY,
        roles BLOB,
        permissions BLOB,
        workspaces BLOB
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE rooms (
        channel TEXT PRIMARY KEY,
        until REAL NOT NULL,
        body BLOB NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX rooms_until ON rooms (until)",
    """
    CREATE TABLE sessions (
        id TEXT PRIMARY KEY,
        nonce TEXT NOT NULL,
        client TEXT NOT NULL,
        until REAL NOT NULL,
        identity BLOB NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX sessions_until ON sessions (until)",
    """
    CREATE TABLE tickets (
        digest TEXT PRIMARY KEY,
        until REAL NOT NULL,
        identity BLOB NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX tickets_until ON tickets (until)",
    """
    CREATE TABLE revocations (
        kind TEXT NOT NULL,
        value TEXT NOT NULL,
        at REAL NOT NULL,
        until REAL NOT NULL,
        PRIMARY KEY (kind, value)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX revocations_at ON revocations (at)",
    "CREATE INDEX revocations_until ON revocations (until)",
    """
    CREATE TABLE approvals (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        channel TEXT NOT NULL,
        created_at REAL NOT NULL,
        expires_at REAL NOT NULL,
        decided INTEGER NOT NULL,
        body BLOB NOT NULL
    )
    """,
    "CREATE INDEX approvals_waiting ON approvals (channel, created_at) WHERE decided = 0",
    "CREATE INDEX approvals_expiry ON approvals (expires_at)",
    """
    CREATE TABLE owners (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        owner TEXT NOT NULL UNIQUE,
        until REAL NOT NULL
    )
    """,
    "CREATE INDEX owners_until ON owners (until)",
    """
    CREATE TABLE shared (
        owner INTEGER NOT NULL,
        key TEXT NOT NULL,
        version INTEGER NOT NULL,
        turn INTEGER NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (owner, key)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE counters (
        number INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        value INTEGER NOT NULL,
        until REAL NOT NULL
    )
    """,
    "CREATE INDEX counters_until ON counters (until)",
    "CREATE TABLE kept (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)

MIGRATIONS: Final = (_FIRST,)
"""Statements that lead from each version of the schema to the next; the first one from nothing."""


def open_writer(path: str) -> sqlite3.Connection:
    """Open the one connection that writes, with the newest schema.

    Raises:
        EngineFileError: the file is damaged, not ours, or newer than this program.
    """
    return _opened(path, path, _prepare)


def open_reader(path: str) -> sqlite3.Connection:
    """Open a connection that cannot write. The writer must have been opened.

    Raises:
        EngineFileError: the file cannot be read.
    """
    return _opened(path, f"{Path(path).absolute().as_uri()}?mode=ro", _tune)


def _opened(
    path: str, address: str, prepare: Callable[[sqlite3.Connection, str], None]
) -> sqlite3.Connection:
    # The threads hand connections over to each other, and never share one.
    connection = sqlite3.connect(
        address, isolation_level=None, check_same_thread=False, uri=address != path
    )
    try:
        prepare(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise EngineFileError(path, f"cannot be used: {error}") from None
    except BaseException:
        connection.close()
        raise
    return connection


def _tune(db: sqlite3.Connection, _: str) -> None:
    db.execute(f"PRAGMA busy_timeout = {BUSY_TIME:d}")
    db.execute("PRAGMA foreign_keys = OFF")


def _prepare(db: sqlite3.Connection, path: str) -> None:
    """Look before anything is written, then make the file what it should be."""
    _tune(db, path)
    version = _version(db, path)
    if version and Path(path).stat().st_size <= CHECKED_SIZE:
        _check(db, path)
    if not version:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    _migrate(db, version)


def _version(db: sqlite3.Connection, path: str) -> int:
    """The version of the schema, 0 in an empty file."""
    owner: int = db.execute("PRAGMA application_id").fetchone()[0]
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    tables: int = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if owner == version == tables == 0:
        return 0
    if owner != APPLICATION_ID:
        raise EngineFileError(path, "a database of another program; nothing was changed")
    if version > len(MIGRATIONS):
        raise EngineFileError(
            path, f"written by a newer version (schema {version}, here {len(MIGRATIONS)})"
        )
    return version


def _check(db: sqlite3.Connection, path: str) -> None:
    found: str = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise EngineFileError(path, "damaged; restore a copy, or move it away to begin anew")


def _migrate(db: sqlite3.Connection, version: int) -> None:
    """Bring the schema to the newest version, in one transaction."""
    if version == len(MIGRATIONS):
        return
    db.execute("BEGIN IMMEDIATE")
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            db.execute(statement)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID:d}")
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS):d}")
    db.execute("COMMIT")
