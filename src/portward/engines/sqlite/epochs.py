"""Epochs of channels without a stream, kept from one run of the process to the next.

They are in the file only while no process has it open: they are written at an orderly stop and deleted at
the start. After a crash the file has none, because it is not known which streams ended; every channel
without a stream then gets a new epoch. The same is true of a copy made while the file was in use.
"""

import secrets
import sqlite3
from contextlib import suppress
from typing import Final

import msgspec

from portward.engines.epochs import NextEpochs
from portward.engines.json_codec import decoder, encode

_KEY: Final = "next epochs"
_READER: Final = decoder(NextEpochs)


def take(db: sqlite3.Connection) -> NextEpochs:
    """Read what the last run wrote, and delete it."""
    row = db.execute("SELECT value FROM kept WHERE key = ?", (_KEY,)).fetchone()
    if row is not None:
        db.execute("DELETE FROM kept WHERE key = ?", (_KEY,))
        with suppress(msgspec.DecodeError):  # unreadable is treated as absent
            return _READER.decode(row[0])
    return NextEpochs(secrets.token_hex(16))


def write(db: sqlite3.Connection, epochs: NextEpochs) -> None:
    """Write them for the next run."""
    db.execute(
        "INSERT OR REPLACE INTO kept (key, value) VALUES (?, ?)", (_KEY, encode(epochs).decode())
    )
