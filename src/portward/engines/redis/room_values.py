"""Records of rooms in the store: JSON that other applications may read, and the data about it."""

from typing import Any, Final, NamedTuple

import msgspec

from portward.engines.json_codec import decoder
from portward.model.room import Room, RoomOrigin, RoomRecord

OLDER: Final = "older"
"""`life` of a record that a node of an older version, or another application, has written."""

_room = decoder(Room)


class FoundRoom(NamedTuple):
    """What was found in the store; `room` is None for a record that cannot be read."""

    room: Room | None
    over: bool
    origin: RoomOrigin
    maker: str
    life: str
    expires: float | None
    idle: int

    @property
    def record(self) -> RoomRecord | None:
        """The record, unless it has expired or cannot be read."""
        if self.room is None or self.over:
            return None
        return RoomRecord(
            room=self.room,
            origin=self.origin,
            life=self.life,
            maker=self.maker,
            expires=self.expires,
        )


NO_RECORD: Final = FoundRoom(None, True, RoomOrigin.BACKEND, "", "", None, 0)


def found_room(kept: bytes, over: bytes, *about: bytes | None) -> FoundRoom:
    """Convert the result of the script that reads a record."""
    origin, maker, life, expires, idle = ("" if each is None else each.decode() for each in about)
    return FoundRoom(
        room=_decoded(kept),
        over=bool(over),
        origin=_origin(origin),
        maker=maker,
        life=life or OLDER,
        expires=int(expires) / 1000 if expires else None,
        idle=int(idle or 0),
    )


def _decoded(kept: Any) -> Room | None:
    try:
        room: Room = _room.decode(kept)
    except msgspec.DecodeError:
        return None
    return room


def _origin(text: str) -> RoomOrigin:
    try:
        return RoomOrigin(text)
    except ValueError:
        return RoomOrigin.BACKEND
