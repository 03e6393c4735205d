"""Records of rooms in a map."""

from collections.abc import Mapping

from portward.engines.memory.presence import MemoryPresence
from portward.engines.memory.room_table import RoomEntry, RoomTable, new_life
from portward.engines.memory.streams import MemoryStreams
from portward.engines.port import MAX_ROOMS_OF_USER, RoomMade
from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.room import Room, RoomOrigin, RoomRecord


class MemoryRooms:
    """Implements `engines.port.RoomStore`. `streams` has the streams that records guard."""

    def __init__(
        self,
        clock: Clock,
        rooms: RoomTable,
        streams: MemoryStreams,
        presence: MemoryPresence,
        max_rooms: int,
    ) -> None:
        self._clock = clock
        self._rooms = rooms
        self._streams = streams
        self._presence = presence
        self._max_rooms = max_rooms

    async def get(self, channel: Channel) -> RoomRecord | None:
        """The record of a room."""
        return self._rooms.current(channel)

    async def all(self) -> Mapping[Channel, RoomRecord]:
        """All records."""
        every = self._rooms.all().items()
        return {name: each.record for name, each in every if not self._rooms.expired(each.record)}

    async def save(
        self, channel: Channel, room: Room, origin: RoomOrigin, *, expires: float | None = None
    ) -> None:
        """Make or replace a record."""
        before = self._rooms.current(channel)
        if before is None and self._rooms.get(channel) is not None:
            self._end(channel)
        record = RoomRecord(
            room=room,
            origin=origin,
            life=before.life if before is not None else new_life(),
            maker=before.maker if before is not None and origin is RoomOrigin.ADMIN else "",
            expires=expires,
        )
        self._rooms.put(channel, RoomEntry(record))

    async def make(
        self, channel: Channel, room: Room, origin: RoomOrigin, maker: str, idle: float
    ) -> RoomMade:
        """Make a record that may end when it is not used."""
        if self._rooms.current(channel) is not None:
            return RoomMade.EXISTS
        if self._rooms.get(channel) is not None:
            self._end(channel)
        if self._streams.kept(channel):
            return RoomMade.ORPHAN
        if maker and self._rooms.made() >= self._max_rooms:
            return RoomMade.FULL
        if maker and self._rooms.made_by(maker) >= MAX_ROOMS_OF_USER:
            return RoomMade.MAKER_FULL
        record = RoomRecord(room=room, origin=origin, life=new_life(), maker=maker)
        self._rooms.put(channel, RoomEntry(record, self._clock.monotonic() + idle, idle))
        return RoomMade.MADE

    async def use(self, channel: Channel, idle: float) -> None:
        """Record a use."""
        entry = self._rooms.get(channel)
        if entry is not None and entry.due is not None:
            entry.due, entry.idle = self._clock.monotonic() + idle, idle

    async def remove(self, channel: Channel) -> bool:
        """Delete the stream and the record."""
        return self._end(channel)

    def _end(self, channel: Channel) -> bool:
        removed = self._streams.forget(channel)
        return self._rooms.drop(channel) or removed

    def sweep(self) -> tuple[Channel, ...]:
        """End the rooms that have expired or were not used; returns them."""
        now = self._clock.monotonic()
        ended: list[Channel] = []
        for channel, entry in self._rooms.all().items():
            if self._rooms.expired(entry.record):
                ended.append(channel)
            elif entry.due is not None and entry.due <= now:
                if self._in_use(channel):
                    entry.due = now + entry.idle
                else:
                    ended.append(channel)
        for channel in ended:
            self._end(channel)
        return tuple(ended)

    def _in_use(self, channel: Channel) -> bool:
        return (
            self._presence.occupied(channel)
            or self._streams.is_subscribed(channel)
            or self._streams.busy(channel)
        )
