"""The engine of one process: everything in maps, lost when the process ends."""

from portward.engines.memory.approvals import MemoryApprovals
from portward.engines.memory.counters import MemoryCounters
from portward.engines.memory.directory import MemoryDirectory
from portward.engines.memory.kv import MemoryKeyValue
from portward.engines.memory.nodes import MemoryNodes
from portward.engines.memory.presence import MemoryPresence
from portward.engines.memory.revocations import MemoryRevocations
from portward.engines.memory.rooms import RoomTable
from portward.engines.memory.sessions import MemorySessions
from portward.engines.memory.streams import MemoryStreams
from portward.engines.memory.user_state import MemoryUserState
from portward.engines.port import MAX_ROOMS, EngineEvents
from portward.model.clock import Clock
from portward.model.events import RightsChanged

__all__ = ["MemoryEngine"]


class MemoryEngine:
    """Implements `engines.port.Engine` without a store. `max_rooms` bounds the rooms that joins make."""

    name = "memory"
    shared_by_nodes = False

    def __init__(self, clock: Clock, *, max_rooms: int = MAX_ROOMS) -> None:
        rooms = RoomTable(clock)
        self.streams = MemoryStreams(clock, rooms)
        self.presence = MemoryPresence()
        self.directory = MemoryDirectory(clock, rooms, self.streams, self.presence, max_rooms)
        self.sessions = MemorySessions(clock)
        self.revocations = MemoryRevocations(clock)
        self.approvals = MemoryApprovals(clock)
        self.user_state = MemoryUserState(clock)
        self.nodes = MemoryNodes()
        self.counters = MemoryCounters(clock)
        self.kv = MemoryKeyValue()

    async def start(self, sink: EngineEvents) -> None:
        """Announce to `sink` from now on."""
        self.streams.sink = sink

    async def stop(self) -> None:
        """Stop announcing."""
        self.streams.sink = None

    async def sweep(self) -> None:
        """Remove what has expired."""
        self.streams.sweep()
        for channel in self.directory.sweep():
            await self.streams.publish_control(RightsChanged(channel=channel))
        self.sessions.sweep()
        self.revocations.sweep()
        self.approvals.sweep()
        self.user_state.sweep()
        self.counters.sweep()

    @property
    def may_evict(self) -> bool:
        """False: nothing is dropped before its time."""
        return False

    @property
    def healthy(self) -> bool:
        """True: a map always answers."""
        return True
