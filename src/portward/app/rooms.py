"""Rooms, as the application handles them."""

from collections.abc import Callable

import msgspec

from portward.model.channel import Channel
from portward.model.room import Room
from portward.node.node import Node


class RoomStats(msgspec.Struct, frozen=True, rename="camel"):
    """Numbers of this node."""

    total_connections: int
    authenticated_connections: int
    total_rooms: int
    total_participants: int


class Rooms:
    """`gateway.rooms`: records and numbers of the rooms of one namespace."""

    def __init__(self, node: Callable[[], Node], namespace: str = "rooms") -> None:
        """`node` is asked for each time: rooms are named before the gateway runs."""
        self._node = node
        self._namespace = namespace

    def channel(self, room: str) -> Channel:
        """The channel behind a room id.

        Raises:
            ValueError: it cannot be the id of a room.
        """
        return Channel.parse(f"{self._namespace}:{room}")

    async def get(self, room: str) -> Room | None:
        """The record of a room, None when there is none."""
        record = await self._node().operations.room(self.channel(room))
        return record.room if record is not None else None

    async def set(self, room: str, record: Room | None = None, *, ttl: float | None = None) -> Room:
        """Make or replace a room; who is in it is judged again at once.

        It stays until it is removed, or ends after `ttl` seconds.
        """
        return await self._node().operations.set_room(
            self.channel(room), record or Room(id=room, name=room), ttl=ttl
        )

    async def remove(self, room: str) -> bool:
        """Delete what was said in a room, then its record; who is in it is removed.

        False when there was neither.
        """
        return await self._node().operations.remove_room(self.channel(room))

    def stats(self) -> RoomStats:
        """Connections of the endpoints that serve these rooms, and the rooms they are in."""
        node = self._node()
        sessions = [
            session
            for session in node.registry
            if session.endpoint.namespace is not None
            and session.endpoint.namespace.name == self._namespace
        ]
        rooms: dict[Channel, set[str]] = {}
        for session in sessions:
            for channel in session.subscriptions:
                rooms.setdefault(channel, set()).add(session.user or "")
        return RoomStats(
            total_connections=len(sessions),
            authenticated_connections=sum(session.identity is not None for session in sessions),
            total_rooms=len(rooms),
            total_participants=sum(len(users) for users in rooms.values()),
        )
