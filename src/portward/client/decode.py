"""The messages of the rooms endpoint, with the types they must have."""

from typing import Any

import msgspec

import portward.client.events as events
from portward.model.position import Position


class RoomMessage(msgspec.Struct, frozen=True, rename="camel"):
    """A message of a room on the wire; its epoch is that of the answer or the room."""

    room_id: str
    id: str
    content: Any
    timestamp: int
    offset: int
    user_id: str | None = None
    email: str | None = None
    type: str = "chat_message"
    signature: str | None = None

    def event(self, epoch: str, *, missed: bool = False) -> events.Message:
        """Return the event for the application."""
        return events.Message(
            room=self.room_id,
            id=self.id,
            content=self.content,
            user=self.user_id,
            email=self.email,
            position=Position(self.offset, epoch),
            time=self.timestamp,
            kind=self.type,
            signature=self.signature,
            missed=missed,
        )


class RoomJoined(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to `join`."""

    room_id: str
    position: Position
    participants: tuple[str, ...] = ()
    recovered: bool | None = None
    messages: tuple[RoomMessage, ...] = ()


class RoomHistoryPage(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to `history`."""

    room_id: str
    messages: tuple[RoomMessage, ...]
    position: Position


class ParticipantEntry(msgspec.Struct, frozen=True, rename="camel"):
    """A user in a room."""

    user_id: str
    connections: int


class Participants(msgspec.Struct, frozen=True):
    """The answer to `presence`."""

    participants: tuple[ParticipantEntry, ...]


class StoredMessage(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to `message`."""

    message_id: str
    offset: int
    epoch: str


class UserEntry(msgspec.Struct, frozen=True, rename="camel"):
    """The user of this connection."""

    user_id: str


class AuthSuccess(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to `auth`."""

    ws_token: str
    user: UserEntry
    expires_at: int | None = None
    resumed: bool = False


class RefreshSuccess(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to `refresh`."""

    ws_token: str
    expires_at: int | None = None


class RoomLeft(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to `leave`; or unasked, with the reason."""

    room_id: str
    reason: str | None = None


class MemberChange(msgspec.Struct, frozen=True, rename="camel"):
    """A user joined or left."""

    room_id: str
    user_id: str
    email: str | None = None


class TypingSignal(msgspec.Struct, frozen=True, rename="camel"):
    """A user began or stopped typing."""

    room_id: str
    user_id: str
    active: bool


class TokenExpiry(msgspec.Struct, frozen=True, rename="camel"):
    """The token expires; Unix milliseconds."""

    expires_at: int


class ShutdownNotice(msgspec.Struct, frozen=True, rename="camel"):
    """The node shuts down; milliseconds."""

    retry_ms: int


class AlertMessage(msgspec.Struct, frozen=True, rename="camel"):
    """An alert on the wire."""

    id: str
    timestamp: int
    call_id: str
    type: str
    severity: str
    data: dict[str, Any]
    offset: int
    epoch: str
    suppressed: int = 0
    late: bool = False

    def event(self) -> events.CallAlert:
        """Return the event for the application."""
        return events.CallAlert(
            call=self.call_id,
            id=self.id,
            type=self.type,
            severity=self.severity,
            data=self.data,
            time=self.timestamp,
            position=Position(self.offset, self.epoch),
            suppressed=self.suppressed,
            late=self.late,
        )


class AlertPage(msgspec.Struct, frozen=True):
    """The answer to `getHistory`; positions by call where no alerts were asked for."""

    alerts: tuple[AlertMessage, ...]
    positions: dict[str, Position] = {}


class SubscribedAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to `subscribe` of alerts."""

    call_ids: tuple[str, ...]
    denied: tuple[str, ...] = ()
    recovered: dict[str, bool] = {}


class TopicMessage(msgspec.Struct, frozen=True):
    """A publication of a topic, alone or in a snapshot."""

    data: Any
    ts: int
    offset: int
    key: str | None = None

    def event(self, topic: str) -> events.TopicData:
        """Return the event for the application."""
        return events.TopicData(
            topic=topic, data=self.data, key=self.key, time=self.ts, offset=self.offset
        )


class TopicSubscribed(msgspec.Struct, frozen=True):
    """The answer to `subscribe` of live."""

    topic: str
    position: Position
    snapshot: tuple[TopicMessage, ...] = ()


class Envelope(msgspec.Struct, frozen=True):
    """A message of the rooms endpoint, for the older client: `{"type", "data", "timestamp", "id"}`."""

    type: str
    data: dict[str, Any]
    timestamp: float | None = None
    id: str | None = None
