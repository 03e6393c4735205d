"""Records of rooms: all in memory, for their number is bounded, and in the file."""

import sqlite3
from functools import partial
from typing import Final, NamedTuple

from portward.engines.sqlite.codec import pack, reader
from portward.engines.sqlite.store import BATCH, Store
from portward.model.channel import Channel
from portward.model.room import Room

_ROOM: Final = reader(Room)
_SAVE: Final = "INSERT OR REPLACE INTO rooms (channel, until, body) VALUES (?, ?, ?)"


class _New(NamedTuple):
    """A record that must not replace a living one; `until` is how long memory says that one lives."""

    now: float
    until: float
    limit: int


class RoomsBook:
    """Rooms by channel, `limit` of them. All times are Unix time.

    How long a room lives is written down at the sweep alone, because each message prolongs it.
    """

    def __init__(self, store: Store, limit: int) -> None:
        self._store = store
        self._limit = limit
        self._cache: dict[Channel, tuple[Room, float]] = {}
        self._used: dict[Channel, float] = {}

    def load(self, db: sqlite3.Connection) -> None:
        """Read all of them."""
        rows = db.execute("SELECT channel, body, until FROM rooms")
        self._cache = {
            Channel.parse(channel): (_ROOM.decode(body), until) for channel, body, until in rows
        }
        self._used = {}

    def get(self, channel: Channel, now: float) -> Room | None:
        """The record of a room that has not expired."""
        room, until = self._cache.get(channel, (None, 0.0))
        return room if until > now else None

    async def save(
        self, channel: Channel, room: Room, now: float, ttl: float, *, new: bool
    ) -> bool:
        """Keep a record. With `new`, False when one exists or there are too many."""
        body, until = pack(room), now + ttl
        check = _New(now, self._cache.get(channel, (room, 0.0))[1], self._limit) if new else None
        return await self._store.write(
            lambda db: _save(db, (channel, until, body), check),
            lambda saved: self._saved(channel, room, until) if saved else None,
        )

    def _saved(self, channel: Channel, room: Room, until: float) -> None:
        self._cache[channel] = (room, until)
        self._used.pop(channel, None)

    def keep(self, channel: Channel, now: float, ttl: float) -> None:
        """Note a use."""
        room, until = self._cache.get(channel, (None, 0.0))
        if room is not None and until > now:
            self._cache[channel] = (room, now + ttl)
            self._used[channel] = now + ttl

    async def remove(self, channel: Channel) -> bool:
        """Forget a record. False when there was none."""
        return await self._store.write(
            lambda db: db.execute("DELETE FROM rooms WHERE channel = ?", (channel,)).rowcount > 0,
            lambda _: self._forget(channel),
        )

    def _forget(self, channel: Channel) -> None:
        self._cache.pop(channel, None)
        self._used.pop(channel, None)

    async def flush(self) -> None:
        """Write down how long rooms live."""
        used, self._used = self._used, {}
        entries = [(until, channel) for channel, until in used.items()]
        try:
            for low in range(0, len(entries), BATCH):
                await self._store.write(partial(_prolong, entries=entries[low : low + BATCH]))
        except BaseException:
            self._used = used | self._used
            raise

    async def sweep(self, now: float) -> None:
        """Drop the rooms nobody used in time."""
        await self.flush()
        over = [channel for channel, (_, until) in self._cache.items() if until <= now]
        for low in range(0, len(over), BATCH):
            some = over[low : low + BATCH]
            await self._store.write(partial(_drop, channels=some, now=now), self._dropped)

    def _dropped(self, channels: list[Channel]) -> None:
        for channel in channels:
            self._forget(channel)


def _save(db: sqlite3.Connection, row: tuple[Channel, float, bytes], check: _New | None) -> bool:
    if check is not None:
        kept = db.execute("SELECT until FROM rooms WHERE channel = ?", row[:1]).fetchone()
        if kept is not None and max(kept[0], check.until) > check.now:
            return False
        (count,) = db.execute("SELECT count(*) FROM rooms").fetchone()
        if count >= check.limit:
            return False
    db.execute(_SAVE, row)
    return True


def _prolong(db: sqlite3.Connection, entries: list[tuple[float, Channel]]) -> None:
    db.executemany("UPDATE rooms SET until = ? WHERE channel = ?", entries)


def _drop(db: sqlite3.Connection, channels: list[Channel], now: float) -> list[Channel]:
    sql = "DELETE FROM rooms WHERE channel = ? AND until <= ?"
    return [channel for channel in channels if db.execute(sql, (channel, now)).rowcount]
