"""Roles, permissions, memberships and rooms."""

import sqlite3
from collections.abc import Mapping

from portward.engines.port import RoomMade, UserRights
from portward.engines.sqlite.rights_cache import (
    SET_PERMISSIONS,
    SET_ROLES,
    SET_WORKSPACES,
    RightsCache,
)
from portward.engines.sqlite.rooms import SqliteRooms
from portward.engines.sqlite.store import SqliteStore
from portward.model.channel import Channel
from portward.model.room import Room, RoomOrigin, RoomRecord


class SqliteDirectory:
    """Implements `engines.port.Directory`. Reads are answered from memory where possible."""

    def __init__(self, store: SqliteStore, rooms: SqliteRooms) -> None:
        self._facts = RightsCache(store)
        self._rooms = rooms

    def load(self, db: sqlite3.Connection) -> None:
        """Read the rows of the file."""
        self._facts.load(db)
        self._rooms.load(db)

    async def rights(self, user: str) -> UserRights:
        """Roles, permissions and workspaces of a user."""
        return await self._facts.get(user)

    async def set_roles(self, user: str, roles: frozenset[str]) -> None:
        """Replace the roles."""
        await self._facts.set(SET_ROLES, user, roles)

    async def set_permissions(self, user: str, permissions: frozenset[str]) -> None:
        """Replace the permissions."""
        await self._facts.set(SET_PERMISSIONS, user, permissions)

    async def set_workspaces(self, user: str, workspaces: frozenset[str] | None) -> None:
        """Replace the workspaces."""
        await self._facts.set(SET_WORKSPACES, user, workspaces)

    async def room(self, channel: Channel) -> RoomRecord | None:
        """The record of a room."""
        return self._rooms.get(channel)

    async def rooms(self) -> Mapping[Channel, RoomRecord]:
        """All records."""
        return self._rooms.all()

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
        self._rooms.keep(channel, idle)

    async def remove_room(self, channel: Channel) -> bool:
        """Delete the stream and the record."""
        return await self._rooms.remove(channel)

    async def flush(self) -> None:
        """Write the times until which rooms stay."""
        await self._rooms.flush()

    async def sweep(self) -> tuple[Channel, ...]:
        """End the rooms that have expired or were not used; returns them."""
        return await self._rooms.sweep()
