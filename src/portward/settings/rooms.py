"""The tables of rooms that are declared, `[rooms.<id>]`."""

from typing import Annotated

from msgspec import Meta, Struct

from portward.model.room import Room, RoomPermissions, RoomType, Sanitize
from portward.settings.meta import RELOAD, Count, FieldMeta

_DEFAULT = RoomPermissions()


class DeclaredPermissions(Struct, frozen=True, kw_only=True):
    """Roles that may read, write and administer a declared room."""

    read: Annotated[tuple[str, ...], RELOAD] = _DEFAULT.read
    """Roles that may read."""
    write: Annotated[tuple[str, ...], RELOAD] = _DEFAULT.write
    """Roles that may write, and so read."""
    admin: Annotated[tuple[str, ...], RELOAD] = _DEFAULT.admin
    """Roles that may do everything, and change these lists."""


class DeclaredRoom(Struct, frozen=True, kw_only=True):
    """A room that exists from the start of the gateway and does not expire."""

    name: Annotated[str, Meta(max_length=256), RELOAD] = ""
    """Its name; the id when empty."""
    type: Annotated[RoomType, RELOAD] = RoomType.CHAT
    """What it is for."""
    permissions: DeclaredPermissions = DeclaredPermissions()
    """Who may do what."""
    max_participants: Annotated[Count, RELOAD] = 100
    """Users in it at once; 0 for no limit."""
    sanitize: Annotated[
        Sanitize | None,
        FieldMeta(reload=True, unset="`strip` in a room of type `chat`, else `none`"),
    ] = None
    """`strip` removes markup from text, `none` leaves it alone."""
    namespace: Annotated[str, RELOAD] = "rooms"
    """Namespace it belongs to, whose rule is `roles`."""

    def record(self, room: str) -> Room:
        """Return the record of the room with the id `room`."""
        permissions = self.permissions
        return Room(
            id=room,
            name=self.name or room,
            type=self.type,
            permissions=RoomPermissions(permissions.read, permissions.write, permissions.admin),
            max_participants=self.max_participants,
            sanitize=self.sanitize,
        )
