"""Versions of the schema, and the opening of connections."""

import sqlite3
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Final

from portward.engines.sqlite.files import EngineFileError
from portward.engines.sqlite.migration import to_key_value

APPLICATION_ID: Final = 0x504F5254
"""Marks the header of every file of Portward, to reject files of other programs: `PORT`."""
BUSY_TIME: Final = 2000
"""Milliseconds to wait for a lock that a backup or a shell holds."""
CHECKED_SIZE: Final = 256 * 1024 * 1024
"""Bytes up to which every page of a file is checked when it is opened; of larger ones the header only."""

VERSION: Final = 4
"""Of the schema. `sql/<version>.sql` leads to it from the version before, the first from an empty file."""
_KEY_VALUE: Final = 4
"""The version that has the tables of the key-value port."""
_FOLDER: Final = files(__package__) / "sql"


def open_writer(path: str) -> sqlite3.Connection:
    """Open the one connection that writes, with the newest schema.

    Raises:
        EngineFileError: the file is damaged, of another program, or newer than this program.
    """
    return _opened(path, path, _prepare)


def open_reader(path: str) -> sqlite3.Connection:
    """Open a connection that cannot write. The writer must have been opened.

    Raises:
        EngineFileError: the file cannot be read.
    """
    return _opened(path, f"{Path(path).absolute().as_uri()}?mode=ro", _tune)


def open_visitor(path: str) -> sqlite3.Connection:
    """Open a connection that cannot write, also while another process has the file; adds no files.

    Raises:
        EngineFileError: the file is missing, cannot be read, or is of another program.
    """
    file = Path(path).resolve()
    if not file.is_file():
        raise EngineFileError(path, "no such file")
    # A WAL file exists while a writer runs, or after a crash. Without one, `mode=ro` would create it.
    mode = "mode=ro" if Path(f"{file}-wal").exists() else "immutable=1"
    return _opened(path, f"{file.as_uri()}?{mode}", _look)


def _opened(
    path: str, address: str, prepare: Callable[[sqlite3.Connection, str], None]
) -> sqlite3.Connection:
    # The threads pass connections to each other, and never share one.
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
    db.execute("PRAGMA foreign_keys = ON")


def _look(db: sqlite3.Connection, path: str) -> None:
    _tune(db, path)
    if not _version(db, path):
        raise EngineFileError(path, "empty")


def _prepare(db: sqlite3.Connection, path: str) -> None:
    """Check the file before anything is written, then set its modes and schema."""
    _tune(db, path)
    version = _version(db, path)
    if version and Path(path).stat().st_size <= CHECKED_SIZE:
        _check(db, path)
    if not version:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    try:
        _migrate(db, version)
    except (TypeError, ValueError) as error:
        raise EngineFileError(path, f"has a row that cannot be read: {error}") from None


def _version(db: sqlite3.Connection, path: str) -> int:
    """The version of the schema, 0 in an empty file."""
    owner: int = db.execute("PRAGMA application_id").fetchone()[0]
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    tables: int = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if owner == version == tables == 0:
        return 0
    if owner != APPLICATION_ID:
        raise EngineFileError(path, "a database of another program; nothing was changed")
    if version > VERSION:
        raise EngineFileError(
            path, f"written by a newer version (schema {version}, here {VERSION})"
        )
    return version


def _check(db: sqlite3.Connection, path: str) -> None:
    found: str = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise EngineFileError(path, "damaged; restore a copy, or move it away to begin anew")


def _migrate(db: sqlite3.Connection, version: int) -> None:
    """Bring the schema to the newest version, in one transaction."""
    if version == VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    for step in range(version + 1, VERSION + 1):
        # Not `executescript`, which commits first.
        for statement in (_FOLDER / f"{step}.sql").read_text("utf-8").split(";\n"):
            db.execute(statement)
    if version < _KEY_VALUE:
        to_key_value(db)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID:d}")
    db.execute(f"PRAGMA user_version = {VERSION:d}")
    db.execute("COMMIT")
