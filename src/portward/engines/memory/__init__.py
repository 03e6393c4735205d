"""The engine of one process: everything in maps, lost when the process ends."""

from portward.engines.memory.counters import MemoryCounters
from portward.engines.memory.kv import MemoryKeyValue
from portward.engines.memory.presence import MemoryPresence
from portward.engines.memory.room_table import RoomTable
from portward.engines.memory.rooms import MemoryRooms
from portward.engines.memory.streams import MemoryStreams
from portward.engines.port import MAX_ROOMS, EngineEvents
from portward.model.clock import Clock
from portward.model.events import RightsChanged

__all__ = ["MemoryEngine"]


class MemoryEngine:
    """Implements `engines.port.Engine` without a store. `max_rooms` bounds the rooms that joins make."""

    name = "memory"
    shared_by_nodes = False
    exclusive = True
    may_evict = False
    healthy = True

    def __init__(self, clock: Clock, *, max_rooms: int = MAX_ROOMS) -> None:
        table = RoomTable(clock)
        self.streams = MemoryStreams(clock, table)
        self.presence = MemoryPresence()
        self.rooms = MemoryRooms(clock, table, self.streams, self.presence, max_rooms)
        self.counters = MemoryCounters(clock)
        self.kv = MemoryKeyValue(clock)

    async def start(self, events: EngineEvents) -> None:
        """Announce to `events` from now on."""
        self.streams.sink = events

    async def stop(self) -> None:
        """Stop announcing."""
        self.streams.sink = None

    async def sweep(self) -> None:
        """Remove what has expired."""
        self.streams.sweep()
        for channel in self.rooms.sweep():
            await self.streams.publish_control(RightsChanged(channel=channel))
        self.kv.sweep()
        self.counters.sweep()
