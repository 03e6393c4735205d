"""A room: a channel with a record of who may read, write and administer it."""

from enum import StrEnum

import msgspec


class RoomType(StrEnum):
    """What a room is for; it decides the default treatment of its content."""

    CHAT = "chat"
    DOCUMENT = "document"
    COLLABORATION = "collaboration"
    NOTIFICATION = "notification"


class Sanitize(StrEnum):
    """`strip` removes angle brackets and the schemes of scripts from content; `none` leaves it alone."""

    STRIP = "strip"
    NONE = "none"


class RoomPermissions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Role names that may read, write and administer. A role that may more may also less."""

    read: tuple[str, ...] = ("user",)
    write: tuple[str, ...] = ("user",)
    admin: tuple[str, ...] = ("admin",)


class Room(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The record of a room. `max_participants` counts users, not connections; 0 is no bound."""

    id: str
    name: str = ""
    type: RoomType = RoomType.CHAT
    permissions: RoomPermissions = RoomPermissions()
    max_participants: int = 100
    sanitize: Sanitize | None = None

    @property
    def strips(self) -> bool:
        """Whether markup is removed from messages: by setting, else for chat alone."""
        if self.sanitize is None:
            return self.type == RoomType.CHAT
        return self.sanitize == Sanitize.STRIP


class RoomOrigin(StrEnum):
    """Where the record of a room came from."""

    BACKEND = "backend"
    SETTINGS = "settings"
    ADMIN = "admin"
    """An administrator of the room, who changed its permissions."""
    JOINER = "joiner"
    PUBLISHER = "publisher"
    """The backend, which published to a room without a record."""

    @property
    def ends_unused(self) -> bool:
        """Whether the record is a default that ends when the room is not used any more.

        All others are rules that were chosen, and time alone does not remove those.
        """
        return self in {RoomOrigin.JOINER, RoomOrigin.PUBLISHER}


class RoomRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A room as an engine keeps it.

    `life` names the time from the making of the record to its removal: two records of one room id have
    different lives, and what was said in one life is never read in another. `maker` is the user whose
    join made it. `expires` is Unix time, None for no fixed end.
    """

    room: Room
    origin: RoomOrigin = RoomOrigin.BACKEND
    life: str = ""
    maker: str = ""
    expires: float | None = None
