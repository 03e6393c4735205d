"""The engine of one process: everything in maps, lost when the process ends."""

from portward.engines.memory.approvals import MemoryApprovals
from portward.engines.memory.broker import MemoryBroker
from portward.engines.memory.directory import MemoryDirectory
from portward.engines.memory.meter import MemoryMeter
from portward.engines.memory.nodes import MemoryNodes
from portward.engines.memory.notes import MemoryNotes
from portward.engines.memory.presence import MemoryPresence
from portward.engines.memory.revocations import MemoryRevocations
from portward.engines.memory.rooms import RoomTable
from portward.engines.memory.sessions import MemorySessions
from portward.engines.memory.shared import MemoryShared
from portward.engines.port import MAX_ROOMS, Sink
from portward.model.clock import Clock
from portward.model.events import RightsChanged

__all__ = ["MemoryEngine"]


class MemoryEngine:
    """Implements `engines.port.Engine` without a store. `max_rooms` bounds the rooms that joins make."""

    name = "memory"
    spans = False

    def __init__(self, clock: Clock, *, max_rooms: int = MAX_ROOMS) -> None:
        rooms = RoomTable(clock)
        self.broker = MemoryBroker(clock, rooms)
        self.presence = MemoryPresence()
        self.directory = MemoryDirectory(clock, rooms, self.broker, self.presence, max_rooms)
        self.sessions = MemorySessions(clock)
        self.revocations = MemoryRevocations(clock)
        self.approvals = MemoryApprovals(clock)
        self.shared = MemoryShared(clock)
        self.nodes = MemoryNodes()
        self.meter = MemoryMeter(clock)
        self.notes = MemoryNotes()

    async def start(self, sink: Sink) -> None:
        """Announce to `sink` from now on."""
        self.broker.sink = sink

    async def stop(self) -> None:
        """Stop announcing."""
        self.broker.sink = None

    async def sweep(self) -> None:
        """Remove what has expired."""
        self.broker.sweep()
        for channel in self.directory.sweep():
            await self.broker.announce(RightsChanged(channel=channel))
        self.sessions.sweep()
        self.revocations.sweep()
        self.approvals.sweep()
        self.shared.sweep()
        self.meter.sweep()

    @property
    def may_evict(self) -> bool:
        """False: nothing is dropped before its time."""
        return False

    @property
    def healthy(self) -> bool:
        """True: a map always answers."""
        return True
