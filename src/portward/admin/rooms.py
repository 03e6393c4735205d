"""Methods about rooms: their records, and messages without a record."""

from typing import Annotated

from msgspec import Meta
from msgspec.structs import asdict

from portward.model.channel import Channel
from portward.model.errors import CommandError, ErrorKind
from portward.model.room import Room, RoomOrigin, RoomRecord
from portward.node.admin_method import (
    MAX_ITEMS,
    ApiRequest,
    ApiResult,
    MethodContext,
    Offset,
    PageSize,
    Word,
    method,
)
from portward.settings.keys import Scope

LONGEST_TTL = 10 * 365 * 86400
"""The longest time to live of a room in seconds."""


class RoomRequest(ApiRequest, frozen=True):
    """One room: the channel `<namespace>:<id>`."""

    id: Word
    namespace: Word = "rooms"

    @property
    def channel(self) -> Channel:
        """The channel of the room."""
        return room_channel(self.namespace, self.id)


class RoomsSetRequest(Room, frozen=True, kw_only=True):
    """The whole record of a room: the channel `<namespace>:<id>`."""

    id: Word
    name: Annotated[str, Meta(max_length=256)] = ""
    max_participants: Annotated[int, Meta(ge=0, description="0 for no limit.")] = 100
    namespace: Word = "rooms"
    ttl: (
        Annotated[float, Meta(gt=0, le=LONGEST_TTL, description="Seconds; null: until removed.")]
        | None
    ) = None

    @property
    def channel(self) -> Channel:
        """The channel of the room."""
        return room_channel(self.namespace, self.id)


class RoomsListRequest(ApiRequest, frozen=True):
    """Which rooms to list, by name; with `orphans` channels where messages are kept without a record."""

    namespace: Word | None = None
    orphans: bool = False
    limit: PageSize = MAX_ITEMS
    offset: Offset = 0


def room_channel(namespace: str, room: str) -> Channel:
    """Return the channel of a room.

    Raises:
        CommandError: the name of the channel would not be valid.
    """
    try:
        return Channel.parse(f"{namespace}:{room}")
    except ValueError:
        raise CommandError(ErrorKind.INVALID_CHANNEL) from None


class RoomResult(Room, frozen=True, kw_only=True, omit_defaults=False):
    """A record, and where it came from: the `user` who joined, where joining made it. Times are Unix time."""

    namespace: str
    origin: RoomOrigin
    user: str | None
    expires_at: float | None

    @classmethod
    def of(cls, channel: Channel, record: RoomRecord) -> "RoomResult":
        """Make the result for a record."""
        return cls(
            **asdict(record.room),
            namespace=channel.namespace,
            origin=record.origin,
            user=record.maker or None,
            expires_at=record.expires,
        )


class RoomsResult(ApiResult, frozen=True):
    """Rooms, or channels without a record, and how many there are before `limit` and `offset`."""

    rooms: list[RoomResult]
    orphans: list[str]
    total: int


class RemovedResult(ApiResult, frozen=True):
    """Whether there was anything to remove."""

    removed: bool


@method(scope=Scope.MANAGE, summary="Make or replace the record of a room")
async def rooms_set(call: MethodContext, request: RoomsSetRequest) -> Room:
    """Create or replace a room."""
    record = Room(**{name: getattr(request, name) for name in Room.__struct_fields__})
    return await call.operations.set_room(request.channel, record, ttl=request.ttl)


@method(scope=Scope.READ, summary="Read the record of a room")
async def rooms_get(call: MethodContext, request: RoomRequest) -> Room:
    """Read the record of a room."""
    record = await call.operations.room(request.channel)
    if record is None:
        raise CommandError(ErrorKind.UNKNOWN_CHANNEL, detail="there is no such room")
    return record.room


@method(scope=Scope.READ, summary="List rooms, or messages without a record")
async def rooms_list(call: MethodContext, request: RoomsListRequest) -> RoomsResult:
    """List rooms, or channels with messages but without a record."""
    first, last = request.offset, request.offset + request.limit
    if request.orphans:
        orphans = await call.operations.orphans()
        found = sorted(str(each) for each in orphans if _asked(request, each))
        return RoomsResult(rooms=[], orphans=found[first:last], total=len(found))
    records = await call.operations.rooms()
    channels = sorted(each for each in records if _asked(request, each))
    shown = [RoomResult.of(each, records[each]) for each in channels[first:last]]
    return RoomsResult(rooms=shown, orphans=[], total=len(channels))


def _asked(request: RoomsListRequest, channel: Channel) -> bool:
    return request.namespace in {None, channel.namespace}


@method(scope=Scope.MANAGE, summary="Delete what was said in a room, and its record")
async def rooms_remove(call: MethodContext, request: RoomRequest) -> RemovedResult:
    """Remove a room."""
    return RemovedResult(removed=await call.operations.remove_room(request.channel))
