"""The application's interface to rooms."""

from collections.abc import Callable

import msgspec

from portward.model.channel import Channel
from portward.model.room import Room
from portward.node.node import Node


class RoomStats(msgspec.Struct, frozen=True, rename="camel"):
    """Counts of this node."""

    total_connections: int
    authenticated_connections: int
    total_rooms: int
    total_participants: int


class Rooms:
    """`gateway.rooms`: records and counts of the rooms of one namespace."""

    def __init__(self, node: Callable[[], Node], namespace: str = "rooms") -> None:
        """`node` returns the node; it is called at each use: rooms are named before the gateway runs."""
        self._node = node
        self._namespace = namespace

    def channel(self, room: str) -> Channel:
        """Return the channel of a room id.

        Raises:
            ValueError: the id is not valid.
        """
        return Channel.parse(f"{self._namespace}:{room}")

    async def get(self, room: str) -> Room | None:
        """Return the record of a room, None when there is none."""
        record = await self._node().operations.room(self.channel(room))
        return record.room if record is not None else None

    async def set(self, room: str, record: Room | None = None, *, ttl: float | None = None) -> Room:
        """Create or replace a room; the rights of its connections are checked again at once.

        It stays until it is removed, or expires after `ttl` seconds.
        """
        return await self._node().operations.set_room(
            self.channel(room), record or Room(id=room, name=room), ttl=ttl
        )

    async def remove(self, room: str) -> bool:
        """Delete the messages of a room, then its record; its connections are removed from it.

        Returns False when there was neither.
        """
        return await self._node().operations.remove_room(self.channel(room))

    def stats(self) -> RoomStats:
        """Return the connections of the endpoints that serve these rooms, and the number of their rooms."""
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
