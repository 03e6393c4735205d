"""Roles, permissions, memberships and rooms."""

import sqlite3

from portward.engines.port import Facts
from portward.engines.sqlite.facts import SET_PERMISSIONS, SET_ROLES, SET_WORKSPACES, FactsBook
from portward.engines.sqlite.rooms import RoomsBook
from portward.engines.sqlite.store import Store
from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.room import Room


class SqliteDirectory:
    """Implements `engines.port.Directory`. Questions are answered from memory."""

    def __init__(self, store: Store, clock: Clock, max_rooms: int) -> None:
        self._clock = clock
        self._facts = FactsBook(store)
        self._rooms = RoomsBook(store, max_rooms)

    def load(self, db: sqlite3.Connection) -> None:
        """Read what the file says."""
        self._facts.load(db)
        self._rooms.load(db)

    async def facts(self, user: str) -> Facts:
        """What is known of a user."""
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

    async def room(self, channel: Channel) -> Room | None:
        """The record of a room."""
        return self._rooms.get(channel, self._clock.time())

    async def save_room(self, channel: Channel, room: Room, ttl: float, *, new: bool) -> bool:
        """Keep a record."""
        return await self._rooms.save(channel, room, self._clock.time(), ttl, new=new)

    async def keep_room(self, channel: Channel, ttl: float) -> None:
        """Note a use."""
        self._rooms.keep(channel, self._clock.time(), ttl)

    async def remove_room(self, channel: Channel) -> bool:
        """Forget a record."""
        return await self._rooms.remove(channel)

    async def flush(self) -> None:
        """Write down which rooms were used."""
        await self._rooms.flush()

    async def sweep(self) -> None:
        """Drop the rooms nobody used in time."""
        await self._rooms.sweep(self._clock.time())
