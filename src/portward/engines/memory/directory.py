"""Roles, permissions, memberships and rooms in maps."""

from msgspec.structs import replace

from portward.engines.port import Facts
from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.room import Room

NOTHING = Facts()


class MemoryDirectory:
    """Implements `engines.port.Directory`."""

    def __init__(self, clock: Clock, max_rooms: int) -> None:
        self._clock = clock
        self._max_rooms = max_rooms
        self._facts: dict[str, Facts] = {}
        self._rooms: dict[Channel, tuple[Room, float]] = {}

    async def facts(self, user: str) -> Facts:
        """What is known of a user."""
        return self._facts.get(user, NOTHING)

    def _change(self, user: str, facts: Facts) -> None:
        if facts:
            self._facts[user] = facts
        else:
            self._facts.pop(user, None)

    async def set_roles(self, user: str, roles: frozenset[str]) -> None:
        """Replace the roles."""
        self._change(user, replace(self._facts.get(user, NOTHING), roles=roles))

    async def set_permissions(self, user: str, permissions: frozenset[str]) -> None:
        """Replace the permissions."""
        self._change(user, replace(self._facts.get(user, NOTHING), permissions=permissions))

    async def set_workspaces(self, user: str, workspaces: frozenset[str] | None) -> None:
        """Replace the workspaces."""
        self._change(user, replace(self._facts.get(user, NOTHING), workspaces=workspaces))

    async def room(self, channel: Channel) -> Room | None:
        """The record of a room."""
        room, until = self._rooms.get(channel, (None, 0.0))
        return room if until > self._clock.monotonic() else None

    async def save_room(self, channel: Channel, room: Room, ttl: float, *, new: bool) -> bool:
        """Keep a record."""
        now = self._clock.monotonic()
        _, until = self._rooms.get(channel, (None, 0.0))
        if new and (until > now or len(self._rooms) >= self._max_rooms):
            return False
        self._rooms[channel] = (room, now + ttl)
        return True

    async def keep_room(self, channel: Channel, ttl: float) -> None:
        """Note a use."""
        now = self._clock.monotonic()
        room, until = self._rooms.get(channel, (None, 0.0))
        if room is not None and until > now:
            self._rooms[channel] = (room, now + ttl)

    async def remove_room(self, channel: Channel) -> bool:
        """Forget a record."""
        return self._rooms.pop(channel, None) is not None

    def sweep(self) -> None:
        """Drop the rooms nobody used in time."""
        now = self._clock.monotonic()
        for channel in [channel for channel, (_, until) in self._rooms.items() if until <= now]:
            del self._rooms[channel]
