"""The engine of one process whose state survives it: one file, and nothing else to install."""

import sqlite3
from contextlib import suppress

from portward.engines.memory.presence import MemoryPresence
from portward.engines.port import MAX_ROOMS, EngineEvents, EngineUnavailable
from portward.engines.sqlite.counters import SqliteCounters
from portward.engines.sqlite.files import EngineFileError, EngineInUse, sqlite_path
from portward.engines.sqlite.kv import SqliteKeyValue
from portward.engines.sqlite.rooms import SqliteRooms
from portward.engines.sqlite.store import SqliteStore
from portward.engines.sqlite.stream_tables import StreamTables
from portward.engines.sqlite.streams import SqliteStreams
from portward.engines.sqlite.values import stored_value
from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.events import RightsChanged

__all__ = ["EngineFileError", "EngineInUse", "SqliteEngine", "sqlite_path", "stored_value"]


class SqliteEngine:
    """Implements `engines.port.Engine` in the file `path`. `max_rooms` bounds the rooms that joins make.

    What a call has returned is on the disk: it survives the end of the process, and a power failure.
    Presence and the list of nodes are of this process alone, in memory, and end with it.
    """

    name = "sqlite"
    shared_by_nodes = False
    exclusive = True
    may_evict = False

    def __init__(self, path: str, clock: Clock, *, max_rooms: int = MAX_ROOMS) -> None:
        streams = StreamTables()
        self._streams = streams
        self.store = SqliteStore(path, self._load, streams.forget, self._changed)
        self.streams = SqliteStreams(self.store, streams, clock)
        self.presence = MemoryPresence()
        self.rooms = SqliteRooms(
            self.store, streams, clock, max_rooms, self._occupied, self.streams.removed
        )
        self.counters = SqliteCounters(self.store, clock)
        self.kv = SqliteKeyValue(self.store, clock)
        self._sweeping = False

    def _load(self, db: sqlite3.Connection) -> None:
        channels = db.execute("SELECT channel FROM streams").fetchall()
        self._streams.load(db)
        self.streams.load([channel for (channel,) in channels])
        self.rooms.load(db)
        self.kv.load(db)

    def _occupied(self, channel: Channel) -> bool:
        return self.presence.occupied(channel) or self.streams.is_subscribed(channel)

    def _changed(self, up: bool) -> None:
        if self.streams.sink is not None:
            self.streams.sink.on_health_changed(up)

    async def start(self, events: EngineEvents) -> None:
        """Open the file, and announce to `events` from now on.

        Raises:
            EngineInUse: another process has the file.
            EngineFileError: the file cannot be opened, is damaged, or is not Portward's.
        """
        await self.store.start()
        self.streams.sink = events

    async def stop(self) -> None:
        """Carry out what is queued, close the file, and stop announcing."""
        try:
            with suppress(EngineUnavailable):  # only the times of last use are lost
                await self.streams.flush()
                await self.rooms.flush()
                await self.kv.flush()
                await self.store.write(self._streams.close)
        finally:
            await self.store.stop()
            self.streams.sink = None

    async def sweep(self) -> None:
        """Remove what has expired, in small steps. While one sweep runs, another call returns at once.

        Raises:
            EngineUnavailable: the store cannot be written.
        """
        if self._sweeping:
            return
        self._sweeping = True
        try:
            await self._sweep()
        finally:
            self._sweeping = False

    async def _sweep(self) -> None:
        await self.store.probe()
        await self.streams.sweep()
        for channel in await self.rooms.sweep():
            await self.streams.publish_control(RightsChanged(channel=channel))
        await self.kv.sweep()
        await self.counters.sweep()
        await self.store.tidy()

    @property
    def healthy(self) -> bool:
        """Whether the store could be written the last time."""
        return self.store.healthy
