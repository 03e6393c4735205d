"""Rooms: channels with a record of who may read, write and administer them."""

from enum import StrEnum
from typing import Final

import msgspec


class RoomType(StrEnum):
    """The type of a room; it decides the default treatment of its content."""

    CHAT = "chat"
    DOCUMENT = "document"
    COLLABORATION = "collaboration"
    NOTIFICATION = "notification"


class Sanitize(StrEnum):
    """`strip` removes angle brackets and script schemes from content; `none` leaves it unchanged."""

    STRIP = "strip"
    NONE = "none"


class RoomPermissions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Role names that may read, write and administer. A higher right includes the lower ones."""

    read: tuple[str, ...] = ("user",)
    write: tuple[str, ...] = ("user",)
    admin: tuple[str, ...] = ("admin",)


class Room(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The record of a room. `max_participants` counts users, not connections; 0 means no limit."""

    id: str
    name: str = ""
    type: RoomType = RoomType.CHAT
    permissions: RoomPermissions = RoomPermissions()
    max_participants: int = 100
    sanitize: Sanitize | None = None

    @property
    def strips(self) -> bool:
        """Whether markup is removed from messages: as set, else only for chat."""
        return STRIPS[self.type, self.sanitize]


STRIPS: Final = {
    (kind, sanitize): sanitize is Sanitize.STRIP or (sanitize is None and kind is RoomType.CHAT)
    for kind in RoomType
    for sanitize in (*Sanitize, None)
}
"""Whether markup is removed, by the type of a room and what is set for it."""


class RoomOrigin(StrEnum):
    """Who made the record of a room."""

    BACKEND = "backend"
    SETTINGS = "settings"
    ADMIN = "admin"
    """An administrator of the room, who changed its permissions."""
    JOINER = "joiner"
    PUBLISHER = "publisher"
    """The backend, which published to a room without a record."""

    @property
    def ends_unused(self) -> bool:
        """Whether the record is a default that is removed when the room is unused.

        All other records were chosen explicitly and do not expire through lack of use.
        """
        return self in ENDS_UNUSED


ENDS_UNUSED: Final = frozenset({RoomOrigin.JOINER, RoomOrigin.PUBLISHER})
"""The origins of records that are removed when their room is unused."""


class RoomRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A room as stored by an engine.

    `life` identifies the time from the creation of the record to its removal: two records of one room id
    have different values, and content of one is never read in another. `maker` is the user whose join
    made it. `expires` is Unix time, None for no fixed end.
    """

    room: Room
    origin: RoomOrigin = RoomOrigin.BACKEND
    life: str = ""
    maker: str = ""
    expires: float | None = None
