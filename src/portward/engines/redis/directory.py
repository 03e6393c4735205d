"""Roles, permissions, memberships and rooms. Roles and permissions are shared with other applications."""

import msgspec

from portward.engines.port import Facts
from portward.engines.redis import codec
from portward.engines.redis.broker import milliseconds
from portward.engines.redis.commands import Commands, together
from portward.engines.redis.keys import Keys
from portward.engines.redis.scripts import script
from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.room import Room

_KNOWN = b""
"""In the set of a user's workspaces: they are known, even if there are none."""
_NOTED = 60.0
"""Seconds between two notes of the same room's use, if its time is not shorter still."""
_MAX_NOTED = 10_000

_REPLACE = script("replace")
_ADMIT = script("admit")
_room = codec.decoder(Room)


class RedisDirectory:
    """Implements `engines.port.Directory`."""

    def __init__(self, commands: Commands, keys: Keys, clock: Clock, max_rooms: int) -> None:
        self._commands = commands
        self._keys = keys
        self._clock = clock
        self._max_rooms = max_rooms
        self._noted: dict[Channel, float] = {}

    async def facts(self, user: str) -> Facts:
        """What is known of a user."""
        keys = (self._keys.roles(user), self._keys.permissions(user), self._keys.workspaces(user))
        roles, permissions, workspaces = await together([self._members(key) for key in keys])
        known = "" in workspaces
        return Facts(
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

    async def room(self, channel: Channel) -> Room | None:
        """The record of a room; none when another application wrote something else there."""
        key = self._keys.room(channel)
        kept = await self._commands.send(key, "GET", key)
        try:
            return _room.decode(kept) if kept is not None else None
        except msgspec.DecodeError:
            return None

    async def save_room(self, channel: Channel, room: Room, ttl: float, *, new: bool) -> bool:
        """Keep a record."""
        key = self._keys.room(channel)
        bound = self._max_rooms if new else 2**53
        admitted = await self._commands.run(
            _ADMIT, (self._keys.rooms,), (key, bound, milliseconds(ttl))
        )
        if not admitted:
            return False
        words = ("SET", key, codec.encode(room), "PX", milliseconds(ttl), *(("NX",) if new else ()))
        return await self._commands.send(key, *words) is not None

    async def keep_room(self, channel: Channel, ttl: float) -> None:
        """Note a use; of many within a short time the first."""
        now = self._clock.monotonic()
        if self._noted.get(channel, 0.0) > now:
            return
        key = self._keys.room(channel)
        if not await self._commands.send(key, "PEXPIRE", key, milliseconds(ttl)):
            return
        await self._commands.run(_ADMIT, (self._keys.rooms,), (key, 2**53, milliseconds(ttl)))
        if len(self._noted) >= _MAX_NOTED:
            del self._noted[next(iter(self._noted))]
        self._noted[channel] = now + min(_NOTED, ttl / 100)

    async def remove_room(self, channel: Channel) -> bool:
        """Forget a record."""
        key = self._keys.room(channel)
        self._noted.pop(channel, None)
        removed = await self._commands.send(key, "DEL", key)
        await self._commands.send(self._keys.rooms, "ZREM", self._keys.rooms, key)
        return bool(removed)
