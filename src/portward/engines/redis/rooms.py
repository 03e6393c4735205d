"""Records of rooms, which other applications may read.

A cluster may have a record and its stream on two servers, so no script sees both. Ending a room deletes
the stream and, in the same step, stores next to it the `life` that has ended: a publication that was
allowed by that record is refused from then on. Then the record is deleted. A failure between the two
steps leaves a record without a stream, and the next sweep deletes it.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from portward.engines.json_codec import encode
from portward.engines.memory.room_table import new_life
from portward.engines.port import MAX_ROOMS_OF_USER, RoomMade
from portward.engines.redis.commands import together
from portward.engines.redis.context import RedisContext
from portward.engines.redis.room_values import NO_RECORD, OLDER, FoundRoom, found_room
from portward.engines.redis.scripts import script
from portward.engines.redis.streams import milliseconds
from portward.model.channel import Channel
from portward.model.room import Room, RoomOrigin, RoomRecord

_NOTED: Final = 60.0
"""Seconds between two records of the same room's use, unless its idle time is shorter."""
_MAX_NOTED: Final = 10_000
_STAYS: Final = 2**53 - 1
"""The score of a record in the list: it never expires, for nodes of an older version."""
_REMEMBERED: Final = 3600.0
"""Seconds after the end of a room in which a node may not know of it yet, and publish."""
_DUE: Final = 1000

_ADMIT = script("admit")
_DISMISS = script("dismiss")
_POSTPONE = script("postpone")
_READ = script("room")
_SAVE = script("save_room")
_MAKE = script("make_room")
_END = script("end_room")
_EXPIRE = script("expire_room")
_HASTEN = script("hasten")
_FORGET = script("forget_room")
_DUE_NOW = script("due")
_REFUSED: Final = {0: RoomMade.FULL, -1: RoomMade.MAKER_FULL}


class RedisRooms:
    """Implements `engines.port.RoomStore`; joins may make `limit` of them."""

    def __init__(self, context: RedisContext, limit: int) -> None:
        self._commands, self._keys, self._clock = context.commands, context.keys, context.clock
        self._listeners = "NUMSUB" if context.topology.whole else "SHARDNUMSUB"
        self._limit = limit
        self._noted: dict[Channel, float] = {}

    async def _find(self, channel: Channel) -> FoundRoom | None:
        kept = await self._commands.run(_READ, self._pair(channel), ())
        return None if kept[0] is None else found_room(*kept)

    def _pair(self, channel: Channel) -> tuple[str, str]:
        return self._keys.room(channel), self._keys.about(channel)

    async def get(self, channel: Channel) -> RoomRecord | None:
        """The record of a room; None when another application wrote something else there."""
        found = await self._find(channel)
        return found.record if found is not None else None

    async def all(self) -> Mapping[Channel, RoomRecord]:
        """All records that are listed. Entries without a record are ignored."""
        listed = await self._commands.send(self._keys.rooms, "ZRANGE", self._keys.rooms, 0, -1)
        channels = self._channels(listed)
        records = await together([self.get(channel) for channel in channels])
        return {
            channel: record
            for channel, record in zip(channels, records, strict=True)
            if record is not None
        }

    def _channels(self, listed: Iterable[bytes]) -> list[Channel]:
        found = (self._keys.room_channel(key.decode("utf-8", "replace")) for key in listed)
        return [channel for channel in found if channel is not None]

    # -- making

    async def save(
        self, channel: Channel, room: Room, origin: RoomOrigin, *, expires: float | None = None
    ) -> None:
        """Make or replace a record that does not end unused."""
        key, until = self._keys.room(channel), "" if expires is None else milliseconds(expires)
        keeps_maker = int(origin is RoomOrigin.ADMIN)
        words = (encode(room), origin.value, keeps_maker, until, new_life(), OLDER)
        await self._list(key)
        while not await self._commands.run(_SAVE, self._pair(channel), words):
            await self.remove(channel)
        # Again: a concurrent removal may have taken it out of the list.
        await self._list(key)
        self._noted.pop(channel, None)
        await self._commands.run(_DISMISS, self._keys.rooms_due, (key, 1 - keeps_maker, until, ""))

    async def _list(self, key: str) -> None:
        await self._commands.send(self._keys.rooms, "ZADD", self._keys.rooms, _STAYS, key)

    async def make(
        self, channel: Channel, room: Room, origin: RoomOrigin, maker: str, idle: float
    ) -> RoomMade:
        """Make a record that may end when it is not used for `idle` seconds."""
        found = await self._find(channel)
        if found is not None and not found.over:
            return RoomMade.EXISTS
        if found is not None:
            await self.remove(channel)
        stream = self._keys.stream(channel)
        if await self._commands.send(stream.log, "EXISTS", stream.log, stream.latest):
            return RoomMade.ORPHAN
        key, time = self._keys.room(channel), milliseconds(idle)
        # Listed first: the sweep finds a listed room that was not made, but never one that is not listed.
        bounds = (key, time, maker, self._limit, MAX_ROOMS_OF_USER)
        admitted = await self._commands.run(_ADMIT, self._keys.rooms_due, bounds)
        if admitted != 1:
            return _REFUSED[admitted]
        await self._list(key)
        words = (encode(room), origin.value, maker, new_life(), time)
        made = await self._commands.run(_MAKE, self._pair(channel), words)
        await self._list(key)
        return RoomMade.MADE if made else RoomMade.EXISTS

    # -- using

    async def use(self, channel: Channel, idle: float) -> None:
        """Record a use; of many within a short time only the first."""
        now = self._clock.monotonic()
        if self._noted.get(channel, 0.0) > now:
            return
        await self._postpone(channel, milliseconds(idle))
        if len(self._noted) >= _MAX_NOTED:
            del self._noted[next(iter(self._noted))]
        self._noted[channel] = now + min(_NOTED, idle / 100)

    async def _postpone(self, channel: Channel, time: int) -> None:
        due = self._keys.rooms_due.due
        await self._commands.run(_POSTPONE, (due,), (self._keys.room(channel), time))

    # -- ending

    async def remove(self, channel: Channel) -> bool:
        """Delete a stream, then its record. False when there was neither."""
        found = await self._find(channel)
        if found is None:
            return await self._end(channel, NO_RECORD, "") > 0
        # From here on no join succeeds, and the sweep finishes what fails on the way.
        seen = await self._hasten(channel)
        await self._commands.run(_EXPIRE, self._pair(channel), (found.life, OLDER))
        return await self._end(channel, found, seen) >= 0

    async def _hasten(self, channel: Channel) -> str:
        due = self._keys.rooms_due.due
        seen: bytes = await self._commands.run(_HASTEN, (due,), (self._keys.room(channel),))
        return seen.decode()

    async def _end(
        self, channel: Channel, found: FoundRoom, seen: str, *, unused: bool = False
    ) -> int:
        """Delete a stream, then its record; with `unused` not that of a room in use.

        Returns how much there was, -1 for a room in use. `seen` is the record's time in the list.
        """
        key = self._keys.room(channel)
        words = (self._listeners, self._keys.pubsub_channel(channel)) if unused else ("", "")
        deleted: int = await self._commands.run(
            _END,
            (
                *self._keys.stream(channel),
                self._keys.presence(channel).members,
                self._keys.ended(channel),
            ),
            (found.life, milliseconds(_REMEMBERED), *words),
        )
        if deleted < 0:
            return deleted
        self._noted.pop(channel, None)
        await self._commands.send(self._keys.rooms, "ZREM", self._keys.rooms, key)
        deleted += await self._commands.run(_FORGET, self._pair(channel), (found.life, OLDER))
        await self._commands.run(_DISMISS, self._keys.rooms_due, (key, 1, "", seen))
        return deleted

    async def sweep(self) -> tuple[Channel, ...]:
        """End the rooms that have expired or were not used; returns them."""
        await self.adopt()
        due = self._keys.rooms_due.due
        listed = await self._commands.run(_DUE_NOW, (due,), (_DUE,))
        channels = self._channels(listed)
        ended = await together([self._look(channel) for channel in channels])
        return tuple(channel for channel, over in zip(channels, ended, strict=True) if over)

    async def _look(self, channel: Channel) -> bool:
        """End a room if it has expired or was not used; returns whether it ended."""
        key, due = self._keys.room(channel), self._keys.rooms_due
        score = await self._commands.send(due.due, "ZSCORE", due.due, key)
        if score is None:
            return False
        seen, found = score.decode(), await self._find(channel)
        if found is None or not (found.over or found.idle or found.expires):
            # There is no record, or one that stays: the sweep has nothing to check.
            counts_for_none = int(found is None or found.origin is not RoomOrigin.ADMIN)
            await self._commands.run(_DISMISS, due, (key, counts_for_none, "", seen))
            return False
        if found.over or found.idle:
            if await self._end(channel, found, seen, unused=not found.over) >= 0:
                return True
            await self._postpone(channel, found.idle)
        return False

    async def adopt(self) -> None:
        """Keep the records that a node of an older version would let expire."""
        rooms = self._keys.rooms
        listed = await self._commands.send(
            rooms, "ZRANGEBYSCORE", rooms, "-inf", f"({_STAYS}", "LIMIT", 0, 100_000
        )
        await together([self._adopt(key) for key in listed])

    async def _adopt(self, listed: bytes) -> None:
        key = listed.decode("utf-8", "replace")
        channel = self._keys.room_channel(key)
        if channel is None or await self._find(channel) is None:
            await self._commands.send(self._keys.rooms, "ZREM", self._keys.rooms, listed)
        else:
            await self._list(key)
