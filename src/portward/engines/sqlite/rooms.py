"""Records of rooms: all in memory, and in the file. One transaction removes a record with its stream."""

import sqlite3
from collections.abc import Callable, Mapping
from functools import partial
from math import inf
from typing import NamedTuple

from portward.engines.json_codec import encode
from portward.engines.memory.room_table import new_life
from portward.engines.port import MAX_ROOMS_OF_USER, RoomMade
from portward.engines.sqlite.expiry import RETURN_TIME
from portward.engines.sqlite.history_query import keeps
from portward.engines.sqlite.room_rows import (
    READ,
    SAVE,
    RoomRow,
    StoredRoomRow,
    busy,
    entry_of,
    find,
    prolong,
)
from portward.engines.sqlite.store import BATCH, SqliteStore
from portward.engines.sqlite.stream_tables import StreamTables
from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.room import Room, RoomOrigin, RoomRecord


class _Change(NamedTuple):
    """Result of a transaction: the record that exists now, and whether a stream was deleted."""

    made: RoomMade
    row: StoredRoomRow | None = None
    deleted: bool = False


class SqliteRooms:
    """Implements `engines.port.RoomStore`; joins may make `limit` of them. Times are Unix time.

    `occupied` tells whether any connection is in a channel, `removed` is called for deleted streams.
    The time until which a room stays is written at the sweep only, because each message changes it.
    """

    def __init__(
        self,
        store: SqliteStore,
        streams: StreamTables,
        clock: Clock,
        limit: int,
        occupied: Callable[[Channel], bool],
        removed: Callable[[Channel, bool], None],
    ) -> None:
        self._store = store
        self._streams = streams
        self._clock = clock
        self._limit = limit
        self._occupied = occupied
        self._stream_removed = removed
        self._started = clock.time()
        self._cache: dict[Channel, RoomRow] = {}
        self._used: dict[Channel, float] = {}

    def load(self, db: sqlite3.Connection) -> None:
        """Read all records."""
        self._started = self._clock.time()
        rows = [StoredRoomRow(*row) for row in db.execute(READ)]
        self._cache = {Channel.parse(row.channel): entry_of(row) for row in rows}
        self._used = {}

    async def get(self, channel: Channel) -> RoomRecord | None:
        """The record of a room that has not expired."""
        entry = self._cache.get(channel)
        return None if entry is None or self._over(entry) else entry.record

    def _over(self, entry: RoomRow) -> bool:
        return not entry.idle and entry.until <= self._clock.time()

    async def all(self) -> Mapping[Channel, RoomRecord]:
        """Every record that has not expired."""
        return {name: each.record for name, each in self._cache.items() if not self._over(each)}

    async def save(
        self, channel: Channel, room: Room, origin: RoomOrigin, *, expires: float | None = None
    ) -> None:
        """Make or replace a record that does not end unused."""
        until = inf if expires is None else expires
        row = StoredRoomRow(str(channel), until, encode(room), origin.value, "", new_life(), 0.0)
        now = self._clock.time()
        await self._store.write(
            lambda db: self._save(db, channel, row, now), lambda done: self._changed(channel, done)
        )

    def _save(
        self, db: sqlite3.Connection, channel: Channel, row: StoredRoomRow, now: float
    ) -> _Change:
        deleted, before = self._clear(db, channel, now)
        if before is not None:
            maker = before.maker if row.origin == RoomOrigin.ADMIN else ""
            row = row._replace(life=before.life, maker=maker)
        db.execute(SAVE, row)
        return _Change(RoomMade.MADE, row, deleted)

    def _clear(
        self, db: sqlite3.Connection, channel: Channel, now: float
    ) -> tuple[bool, StoredRoomRow | None]:
        """Delete a record that has expired, with its stream; else return the record there is."""
        row = find(db, channel)
        if row is None or not row.over(now):
            return False, row
        return self._delete(db, channel), None

    def _delete(self, db: sqlite3.Connection, channel: Channel) -> bool:
        deleted = self._streams.remove(db, channel)
        db.execute("DELETE FROM rooms WHERE channel = ?", (channel,))
        return deleted

    async def make(
        self, channel: Channel, room: Room, origin: RoomOrigin, maker: str, idle: float
    ) -> RoomMade:
        """Make a record that may end when it is not used for `idle` seconds."""
        now = self._clock.time()
        row = StoredRoomRow(
            str(channel), now + idle, encode(room), origin.value, maker, new_life(), idle
        )
        done = await self._store.write(
            lambda db: self._make(db, channel, row, now), lambda done: self._changed(channel, done)
        )
        return done.made

    def _make(
        self, db: sqlite3.Connection, channel: Channel, row: StoredRoomRow, now: float
    ) -> _Change:
        deleted, before = self._clear(db, channel, now)
        if before is not None:
            return _Change(RoomMade.EXISTS, before)
        made = RoomMade.ORPHAN if keeps(db, channel, now) else self._admits(db, row.maker)
        if made is not RoomMade.MADE:
            return _Change(made, None, deleted)
        db.execute(SAVE, row)
        return _Change(made, row, deleted)

    def _admits(self, db: sqlite3.Connection, maker: str) -> RoomMade:
        if not maker:
            return RoomMade.MADE
        (total,) = db.execute("SELECT count(*) FROM rooms WHERE maker <> ''").fetchone()
        if total >= self._limit:
            return RoomMade.FULL
        (made,) = db.execute("SELECT count(*) FROM rooms WHERE maker = ?", (maker,)).fetchone()
        return RoomMade.MAKER_FULL if made >= MAX_ROOMS_OF_USER else RoomMade.MADE

    def _changed(self, channel: Channel, done: _Change) -> None:
        if done.row is None:
            self._cache.pop(channel, None)
        else:
            self._cache[channel] = entry_of(done.row)
        if done.made is RoomMade.MADE:
            self._used.pop(channel, None)
        self._stream_removed(channel, done.deleted)

    async def use(self, channel: Channel, idle: float) -> None:
        """Record a use."""
        self._keep(channel, idle)

    def _keep(self, channel: Channel, idle: float) -> None:
        entry = self._cache.get(channel)
        if entry is not None and entry.idle:
            until = self._clock.time() + idle
            self._cache[channel] = entry._replace(until=until, idle=idle)
            self._used[channel] = until

    async def remove(self, channel: Channel) -> bool:
        """Delete a stream and its record. False when there was neither."""
        there = channel in self._cache
        deleted = await self._store.write(
            lambda db: self._delete(db, channel), lambda deleted: self._forget(channel, deleted)
        )
        return there or deleted

    def _forget(self, channel: Channel, deleted: bool) -> None:
        self._cache.pop(channel, None)
        self._used.pop(channel, None)
        self._stream_removed(channel, deleted)

    async def flush(self) -> None:
        """Write the times until which rooms stay."""
        used, self._used = self._used, {}
        entries = [
            (until, entry.idle, channel)
            for channel, until in used.items()
            if (entry := self._cache.get(channel)) is not None
        ]
        try:
            for low in range(0, len(entries), BATCH):
                await self._store.write(partial(prolong, entries=entries[low : low + BATCH]))
        except BaseException:
            self._used = used | self._used
            raise

    async def sweep(self) -> tuple[Channel, ...]:
        """End the rooms that have expired or were not used; returns them."""
        now = self._clock.time()
        due = [channel for channel, entry in self._cache.items() if self._due(channel, entry, now)]
        ended: list[Channel] = []
        for low in range(0, len(due), BATCH):
            some = due[low : low + BATCH]
            # Only this loop knows the subscribers: `_end` checks again for connections that came since.
            done = await self._store.write(partial(self._end, channels=some, now=now), self._ended)
            ended += [channel for channel, deleted in done.items() if deleted is not None]
        await self.flush()
        return tuple(ended)

    def _due(self, channel: Channel, entry: RoomRow, now: float) -> bool:
        """Whether a room may end, as far as this loop knows; a room in use is prolonged."""
        if entry.until > now:
            return False
        if not entry.idle:
            return True
        if now < self._started + min(entry.idle, RETURN_TIME):
            return False
        if self._occupied(channel):
            self._keep(channel, entry.idle)
            return False
        return True

    def _end(
        self, db: sqlite3.Connection, channels: list[Channel], now: float
    ) -> dict[Channel, bool | None]:
        """Delete rooms without content; None for one that stays, else whether a stream was deleted."""
        return {channel: self._end_one(db, channel, now) for channel in channels}

    def _end_one(self, db: sqlite3.Connection, channel: Channel, now: float) -> bool | None:
        row = find(db, channel)
        if row is None or not (row.idle or row.over(now)):
            return None
        if row.idle and (self._occupied(channel) or busy(db, channel, now)):
            return None
        return self._delete(db, channel)

    def _ended(self, ended: dict[Channel, bool | None]) -> None:
        for channel, deleted in ended.items():
            if deleted is not None:
                self._forget(channel, deleted)
            elif (entry := self._cache.get(channel)) is not None:
                self._keep(channel, entry.idle)
