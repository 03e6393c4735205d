"""Roles, permissions, memberships and rooms. Roles and permissions are shared with other applications."""

from collections.abc import Mapping

from portward.engines.port import RoomMade, UserRights
from portward.engines.redis.commands import RedisCommands, together
from portward.engines.redis.keys import Keys
from portward.engines.redis.rooms import RedisRooms
from portward.engines.redis.scripts import script
from portward.model.channel import Channel
from portward.model.room import Room, RoomOrigin, RoomRecord

_KNOWN = b""
"""Member of a user's set of workspaces: the workspaces are known, even if there are none."""

_REPLACE = script("replace")


class RedisDirectory:
    """Implements `engines.port.Directory`."""

    def __init__(self, commands: RedisCommands, keys: Keys, rooms: RedisRooms) -> None:
        self._commands = commands
        self._keys = keys
        self._rooms = rooms

    async def rights(self, user: str) -> UserRights:
        """Roles, permissions and workspaces of a user."""
        keys = (self._keys.roles(user), self._keys.permissions(user), self._keys.workspaces(user))
        roles, permissions, workspaces = await together([self._members(key) for key in keys])
        known = "" in workspaces
        return UserRights(
            roles=roles,
            permissions=permissions,
            workspaces=workspaces - {""} if known else None,
        )

    async def _members(self, key: str) -> frozenset[str]:
        members = await self._commands.send(key, "SMEMBERS", key)
        return frozenset(each.decode("utf-8", "replace") for each in members)

    async def set_roles(self, user: str, roles: frozenset[str]) -> None:
        """Replace the roles."""
        await self._commands.run(_REPLACE, (self._keys.roles(user),), sorted(roles))

    async def set_permissions(self, user: str, permissions: frozenset[str]) -> None:
        """Replace the permissions."""
        await self._commands.run(_REPLACE, (self._keys.permissions(user),), sorted(permissions))

    async def set_workspaces(self, user: str, workspaces: frozenset[str] | None) -> None:
        """Replace the workspaces."""
        members = () if workspaces is None else (_KNOWN, *sorted(workspaces))
        await self._commands.run(_REPLACE, (self._keys.workspaces(user),), members)

    # -- rooms

    async def room(self, channel: Channel) -> RoomRecord | None:
        """The record of a room."""
        return await self._rooms.get(channel)

    async def rooms(self) -> Mapping[Channel, RoomRecord]:
        """All records."""
        return await self._rooms.all()

    async def save_room(
        self, channel: Channel, room: Room, origin: RoomOrigin, *, expires: float | None = None
    ) -> None:
        """Make or replace a record."""
        await self._rooms.save(channel, room, origin, expires)

    async def make_room(
        self, channel: Channel, room: Room, origin: RoomOrigin, maker: str, idle: float
    ) -> RoomMade:
        """Make a record that may end when it is not used."""
        return await self._rooms.make(channel, room, origin, maker, idle)

    async def use_room(self, channel: Channel, idle: float) -> None:
        """Record a use."""
        await self._rooms.keep(channel, idle)

    async def remove_room(self, channel: Channel) -> bool:
        """Delete the stream, then the record."""
        return await self._rooms.remove(channel)
