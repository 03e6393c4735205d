"""The table of rooms: its rows, and the queries of the writer's thread."""

import sqlite3
from math import inf
from typing import Final, NamedTuple

from portward.engines.json_codec import decoder
from portward.engines.sqlite.history_query import keeps
from portward.model.channel import Channel
from portward.model.room import Room, RoomOrigin, RoomRecord

_ROOM: Final = decoder(Room)
READ: Final = "SELECT channel, until, body, origin, maker, life, idle FROM rooms"
READ_ONE: Final = f"{READ} WHERE channel = ?"
SAVE: Final = (
    "INSERT OR REPLACE INTO rooms (channel, until, body, origin, maker, life, idle)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_HAS_KEYS: Final = (
    "SELECT EXISTS (SELECT 1 FROM keys, streams"
    " WHERE keys.stream = streams.number AND streams.channel = ? AND keys.until > ?)"
)


class StoredRoomRow(NamedTuple):
    """A record as the table has it.

    `until` is Unix time: when the record expires, or, with `idle` seconds, when it may end unused.
    """

    channel: str
    until: float
    body: bytes
    origin: str
    maker: str
    life: str
    idle: float

    def over(self, now: float) -> bool:
        """Whether the record has expired."""
        return not self.idle and self.until <= now


class RoomRow(NamedTuple):
    """A record as this process holds it in memory."""

    record: RoomRecord
    until: float
    idle: float


def entry_of(row: StoredRoomRow) -> RoomRow:
    """Convert a row."""
    record = RoomRecord(
        room=_ROOM.decode(row.body),
        origin=RoomOrigin(row.origin),
        life=row.life,
        maker=row.maker,
        expires=None if row.idle or row.until == inf else row.until,
    )
    return RoomRow(record, row.until, row.idle)


def find(db: sqlite3.Connection, channel: Channel) -> StoredRoomRow | None:
    """The row of a room."""
    row = db.execute(READ_ONE, (channel,)).fetchone()
    return None if row is None else StoredRoomRow(*row)


def busy(db: sqlite3.Connection, channel: Channel, now: float) -> bool:
    """Whether a stream has publications, or idempotency keys."""
    if keeps(db, channel, now):
        return True
    (has_keys,) = db.execute(_HAS_KEYS, (channel, now)).fetchone()
    return bool(has_keys)


def prolong(db: sqlite3.Connection, entries: list[tuple[float, float, Channel]]) -> None:
    """Set later times for the end of rooms; entries are time, idle seconds and channel."""
    db.executemany("UPDATE rooms SET until = ?, idle = ? WHERE channel = ? AND idle > 0", entries)


def alive(db: sqlite3.Connection, channel: Channel, life: str, now: float) -> bool:
    """Whether the record of a room still has this `life`."""
    row = db.execute(
        "SELECT life = ? AND (idle > 0 OR until > ?) FROM rooms WHERE channel = ?",
        (life, now, channel),
    ).fetchone()
    return row is not None and bool(row[0])
