"""Rooms that the settings declare: their records are written at the start, and at each reload."""

from collections.abc import Mapping
from typing import Final

from portward.model.channel import Channel
from portward.model.errors import Unavailable
from portward.model.room import Room, RoomOrigin
from portward.node.node import Node
from portward.settings import Settings

RETRY: Final = 5.0
"""Seconds until the next attempt after the store did not answer."""


def declared(settings: Settings) -> dict[Channel, Room]:
    """Return the records by channel, without those of a namespace that needs a restart first.

    Raises:
        ValueError: an id is not valid.
    """
    return {
        Channel.parse(f"{room.namespace}:{name}"): room.record(name)
        for name, room in settings.rooms.items()
        if room.namespace in settings.namespaces
    }


class DeclaredRooms:
    """Writes the records of declared rooms as the settings define them.

    An equal record is not written again, so that the start of one of many nodes does not cause a check of all
    rights. A room that is no longer declared stays as it was, because its content must keep its rule.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._rooms: Mapping[Channel, Room] = {}

    async def declare(self, rooms: Mapping[Channel, Room]) -> None:
        """Write the records; those that the store does not accept now are written later."""
        self._rooms = rooms
        try:
            for channel, room in rooms.items():
                await self._declare(channel, room)
        except Unavailable:
            self._node.clock.call_later(RETRY, lambda: self._again(rooms))

    def _again(self, rooms: Mapping[Channel, Room]) -> None:
        if self._rooms is rooms and not self._node.draining:
            self._node.background.run(self.declare(rooms))

    async def _declare(self, channel: Channel, room: Room) -> None:
        operations = self._node.operations
        record = await operations.room(channel)
        same = record is not None and record.room == room and record.expires is None
        if record is None or not same or record.origin is not RoomOrigin.SETTINGS:
            await operations.set_room(channel, room, origin=RoomOrigin.SETTINGS)
