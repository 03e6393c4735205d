"""The messages of the rooms protocol: the `data` of an envelope."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from portward.model.errors import ErrorKind
from portward.model.limits import JOINED_AT_ONCE
from portward.model.replies import INSUFFICIENT_STATE
from portward.model.room import RoomPermissions
from portward.protocols.message import (
    Expiry,
    Json,
    JsonDetails,
    MessageId,
    Milliseconds,
    Offset,
    Received,
    Returning,
    Sent,
    SincePosition,
    StreamPosition,
    Wait,
    enumerate_codes,
    error_codes,
)

TEXTS: Final = {
    ErrorKind.PERMISSION_DENIED: "Insufficient permissions",
    ErrorKind.UNKNOWN_CHANNEL: "Insufficient permissions",
    ErrorKind.UNKNOWN_ROOM: "Insufficient permissions",
    ErrorKind.CHANNEL_FULL: "Room is full",
    ErrorKind.NOT_SUBSCRIBED: "Room not found",
    ErrorKind.INVALID_CHANNEL: "Invalid room id",
    ErrorKind.RATE_LIMITED: "Rate limit exceeded",
    ErrorKind.AUTH_RATE_LIMITED: "Authentication rate limit exceeded",
    ErrorKind.SUBSCRIBE_RATE_LIMITED: "Join rate limit exceeded",
    ErrorKind.LIMIT_EXCEEDED: "Too many rooms",
}
"""Texts of this protocol where they differ from the default text of a command error."""

CODES: Final = {
    ErrorKind.UNKNOWN_CHANNEL: ErrorKind.PERMISSION_DENIED.code,
    ErrorKind.UNKNOWN_ROOM: ErrorKind.PERMISSION_DENIED.code,
    ErrorKind.NOT_SUBSCRIBED: "room_not_found",
    ErrorKind.CHANNEL_FULL: "room_full",
    ErrorKind.INVALID_CHANNEL: "invalid_room_id",
    ErrorKind.SUBSCRIBE_RATE_LIMITED: "join_rate_limited",
    ErrorKind.TOO_LONG: "message_too_long",
}

ERRORS: Final = error_codes(CODES, TEXTS)

UserId = Annotated[str, Meta(min_length=1, max_length=128)]


class RoomsEnvelope(msgspec.Struct, frozen=True):
    """What every message is wrapped in."""

    type: str
    data: Any
    timestamp: Milliseconds
    id: MessageId | int | UnsetType = UNSET


# -- what clients send


class RoomsHeartbeat(Received, frozen=True):
    """Ask for a sign of life."""


class RoomsAuth(Received, frozen=True):
    """Prove who the user is: with an access token, or with the session token of an earlier connection."""

    token: str | UnsetType = UNSET
    ws_token: str | UnsetType = UNSET


class RoomsRefresh(Received, frozen=True):
    """Replace the access token by a newer one of the same user."""

    token: str | UnsetType = UNSET


class RoomsRoom(Received, frozen=True):
    """One room by its id."""

    room_id: str


class RoomsJoinOne(RoomsRoom, frozen=True):
    """One of several rooms to join; with `since`, the messages after it follow."""

    since: SincePosition | None = None


class RoomsJoin(Received, frozen=True):
    """Join one room (`roomId`, `since`) or several (`rooms`)."""

    room_id: str | UnsetType = UNSET
    since: SincePosition | UnsetType | None = UNSET
    rooms: Annotated[list[RoomsJoinOne], Meta(max_length=JOINED_AT_ONCE)] | UnsetType = UNSET


class RoomsLeave(RoomsRoom, frozen=True):
    """Leave a room."""


class RoomsSend(RoomsRoom, frozen=True):
    """Send a message to everybody in a room."""

    content: Annotated[str, Meta(description="1 to 4000 characters after trimming.")]


class RoomsReadHistory(RoomsRoom, frozen=True):
    """Read messages of a room; with the limit 0 its position alone."""

    limit: Offset | None = None
    before: Offset | None = None
    since: Offset | SincePosition | None = None


class RoomsReadPresence(RoomsRoom, frozen=True):
    """Ask for the users in a room."""


class RoomsSetTyping(RoomsRoom, frozen=True):
    """Tell the others in a room whether the user types."""

    active: bool


class RoomsKick(RoomsRoom, frozen=True):
    """Remove a user from a room; for its administrators."""

    user_id: UserId


class RoomsSetPermissions(RoomsRoom, frozen=True):
    """Replace the permissions of a room; for its administrators."""

    permissions: RoomPermissions


# -- what the gateway sends


class RoomsHandshake(Sent, frozen=True):
    """The first message of a connection."""

    connection_id: str
    server_time: Milliseconds


class RoomsUser(Sent, frozen=True):
    """The user of this connection."""

    user_id: str
    email: str | None
    roles: list[str]


class RoomsAuthSuccess(Sent, frozen=True):
    """The connection is authenticated."""

    ws_token: Annotated[str, Meta(description="Session token for the next connection; a secret.")]
    user: RoomsUser
    expires_at: Expiry
    resumed: bool


class RoomsRefreshSuccess(Sent, frozen=True):
    """A newer token is in force."""

    expires_at: Expiry
    ws_token: Annotated[str, Meta(description="Session token for the next connection; a secret.")]


class RoomsHeartbeatResponse(Sent, frozen=True):
    """The answer to `heartbeat`."""

    server_time: Milliseconds


class RoomsMessage(Sent, frozen=True, kw_only=True):
    """A message of a room. One of the backend has no user, and may have any content."""

    id: str
    type: str
    room_id: str
    content: Json
    user_id: str | None
    email: str | UnsetType = UNSET
    timestamp: Milliseconds
    offset: Offset
    signature: str | UnsetType = UNSET
    suppressed: int | UnsetType = UNSET


class RoomsRoomJoined(Sent, frozen=True):
    """The room is joined. With `since` in the request: whether nothing is missing, and what was missed."""

    room_id: str
    participants: tuple[str, ...]
    position: StreamPosition
    recovered: bool | UnsetType = UNSET
    messages: list[RoomsMessage] | UnsetType = UNSET
    snapshot: list[RoomsMessage] | UnsetType = UNSET


class RoomsFailure(Sent, frozen=True):
    """A room that was not joined."""

    room_id: str
    code: str
    retry_after_ms: Wait | UnsetType = UNSET


class RoomsJoined(Sent, frozen=True):
    """The end of a join of several rooms: those that were joined, and the others."""

    rooms: list[str]
    failed: list[RoomsFailure]


class RoomsRoomLeft(Sent, frozen=True):
    """The room is left; with a `reason`, not by the client's own command."""

    room_id: str
    reason: (
        Annotated[
            str,
            Meta(
                description="`permission_denied`, `kicked` or `unsubscribed`; after `unavailable` and"
                f" `{INSUFFICIENT_STATE}` join again."
            ),
        ]
        | UnsetType
    ) = UNSET


class RoomsAck(Sent, frozen=True):
    """A message is stored, at this position."""

    message_id: str
    offset: Offset
    epoch: str


class RoomsHistory(Sent, frozen=True):
    """Messages of a room, oldest first, and its present position."""

    room_id: str
    messages: list[RoomsMessage]
    position: StreamPosition


class RoomsParticipant(Sent, frozen=True):
    """A user in a room."""

    user_id: str
    connections: int


class RoomsPresence(Sent, frozen=True):
    """The users in a room."""

    room_id: str
    participants: list[RoomsParticipant]


class RoomsMoved(Sent, frozen=True, kw_only=True):
    """A user entered or left a room."""

    user_id: str
    email: str | UnsetType = UNSET
    room_id: str


class RoomsTyping(Sent, frozen=True):
    """A user began or stopped typing."""

    room_id: str
    user_id: str
    active: bool


class RoomsTokenExpiring(Sent, frozen=True):
    """The token expires soon: send `refresh`."""

    expires_at: Expiry


class RoomsShutdown(Sent, frozen=True):
    """This gateway process is stopping; the connection closes soon."""

    retry_ms: Wait


class RoomsClosing(Sent, frozen=True):
    """The connection closes now, and the client may connect again after this time."""

    reason: Returning
    retry_ms: Wait


class RoomsDone(Sent, frozen=True):
    """A command that has no other answer is carried out."""


class RoomsError(Sent, frozen=True):
    """A command is refused; the connection stays open."""

    message: str
    code: Annotated[str, enumerate_codes(ERRORS)]
    retry_after_ms: Wait | UnsetType = UNSET
    details: JsonDetails | UnsetType = UNSET
    room_id: str | UnsetType = UNSET
