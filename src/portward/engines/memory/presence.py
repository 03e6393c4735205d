"""Presence in maps. Entries end with the process, so leases need no renewing."""

from itertools import count

from portward.engines.port import Member
from portward.model.channel import Channel


class _PresentRoom:
    __slots__ = ("members", "users")

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        self.users: dict[str, int] = {}


class MemoryPresence:
    """Implements `engines.port.Presence`."""

    def __init__(self) -> None:
        self._rooms: dict[Channel, _PresentRoom] = {}
        self._order = count(1)

    async def enter(self, channel: Channel, member: Member, limit: int = 0) -> int | None:
        """Add a connection."""
        room = self._rooms.get(channel)
        if room is None:
            room = self._rooms[channel] = _PresentRoom()
        if member.client in room.members:
            return 0
        held = room.users.get(member.user, 0)
        if not held and limit and len(room.users) >= limit:
            return None
        room.members[member.client] = member
        room.users[member.user] = held + 1
        return 0 if held else next(self._order)

    async def leave(self, channel: Channel, client: str, user: str) -> int:
        """Remove a connection."""
        room = self._rooms.get(channel)
        if room is None or room.members.pop(client, None) is None:
            return 0
        left = room.users[user] - 1
        if left:
            room.users[user] = left
            return 0
        del room.users[user]
        if not room.users:
            del self._rooms[channel]
        return next(self._order)

    async def renew(self, entries: list[tuple[Channel, Member]]) -> None:
        """Do nothing: leases are not renewed."""

    async def sweep(self) -> None:
        """Do nothing: no lease expires."""

    def occupied(self, channel: Channel) -> bool:
        """Whether any connection is in the channel."""
        return channel in self._rooms

    async def members(self, channel: Channel) -> tuple[Member, ...]:
        """Every connection in the channel."""
        room = self._rooms.get(channel)
        return tuple(room.members.values()) if room is not None else ()
