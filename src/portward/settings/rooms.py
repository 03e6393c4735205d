"""The tables of rooms that are declared, `[rooms.<id>]`."""

from typing import Annotated

from msgspec import Meta, Struct

from portward.model.room import Room, RoomPermissions, RoomType, Sanitize
from portward.settings.meta import Count, FieldMeta

_DEFAULT = RoomPermissions()


class DeclaredPermissions(Struct, frozen=True, kw_only=True):
    """Roles that may read, write and administer a declared room."""

    read: Annotated[tuple[str, ...], FieldMeta("roles that may read", reload=True)] = _DEFAULT.read
    write: Annotated[
        tuple[str, ...], FieldMeta("roles that may write, and so read", reload=True)
    ] = _DEFAULT.write
    admin: Annotated[
        tuple[str, ...],
        FieldMeta("roles that may do everything, and change these lists", reload=True),
    ] = _DEFAULT.admin


class DeclaredRoom(Struct, frozen=True, kw_only=True):
    """A room that exists from the start of the gateway and does not expire."""

    name: Annotated[
        str, Meta(max_length=256), FieldMeta("its name; the id when empty", reload=True)
    ] = ""
    type: Annotated[RoomType, FieldMeta("what it is for", reload=True)] = RoomType.CHAT
    permissions: Annotated[DeclaredPermissions, FieldMeta("Who may do what.")] = (
        DeclaredPermissions()
    )
    max_participants: Annotated[
        Count, FieldMeta("users in it at once; 0 for no limit", reload=True)
    ] = 100
    sanitize: Annotated[
        Sanitize | None,
        FieldMeta(
            "`strip` removes markup from text, `none` leaves it alone",
            reload=True,
            unset="`strip` in a room of type `chat`, else `none`",
        ),
    ] = None
    namespace: Annotated[
        str, FieldMeta("namespace it belongs to, whose rule is `roles`", reload=True)
    ] = "rooms"

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
