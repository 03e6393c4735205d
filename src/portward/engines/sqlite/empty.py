"""The epochs of channels without a row, from one run to the next.

They are written when the store is closed in order, and taken out again when it is opened. After a crash
there are none: how many streams were dropped is not known then, and all empty channels get new epochs.
"""

import secrets
import sqlite3
from typing import Final

from portward.engines.empty import EmptyEpochs
from portward.engines.sqlite.codec import pack, reader

_KEY: Final = "empty epochs"
_EPOCHS: Final = reader(EmptyEpochs)


def take(db: sqlite3.Connection) -> EmptyEpochs:
    """Take out what the last run has left."""
    row = db.execute("SELECT value FROM kept WHERE key = ?", (_KEY,)).fetchone()
    if row is None:
        return EmptyEpochs(secrets.token_hex(8))
    db.execute("DELETE FROM kept WHERE key = ?", (_KEY,))
    return _EPOCHS.decode(row[0])


def leave(db: sqlite3.Connection, epochs: EmptyEpochs) -> None:
    """Leave them to the next run."""
    db.execute(
        "INSERT OR REPLACE INTO kept (key, value) VALUES (?, ?)", (_KEY, pack(epochs).decode())
    )
