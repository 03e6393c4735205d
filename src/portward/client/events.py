"""The events of the clients. Times of messages are Unix milliseconds."""

from typing import Any

import msgspec

from portward.model.position import Position


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """The common part of all events."""


class Connected(Event, frozen=True):
    """A connection is open and authenticated. `resumed`: by the session of an earlier one.

    `user` is None where the endpoint needs no credential. `expires_at` is in Unix seconds.
    """

    user: str | None = None
    resumed: bool = False
    expires_at: float | None = None


class Disconnected(Event, frozen=True):
    """The connection broke or was not made; the next attempt is in `retry_in` seconds.

    `code` is the close code, None when there was none.
    """

    code: int | None
    reason: str
    retry_in: float


class Joined(Event, frozen=True):
    """This client is in a room, for the first time or again.

    `recovered` is None when nothing was asked for; True: the `missed` messages follow, and nothing
    is lost; False: some are lost, and `position` is the current one of the room.
    """

    room: str
    participants: tuple[str, ...]
    position: Position
    recovered: bool | None = None
    missed: int = 0


class Left(Event, frozen=True):
    """This client is no longer in a room. `reason` is None when it asked for that."""

    room: str
    reason: str | None = None


class JoinFailed(Event, frozen=True):
    """After a reconnect, a room was refused; it is not tried again."""

    room: str
    code: str
    text: str


class Message(Event, frozen=True):
    """A message of a room, in order, each once.

    `position` is the place to ask for what comes after it. `missed`: it was sent while this client
    was not connected. `user` is None for messages of the backend.
    """

    room: str
    id: str
    content: Any
    user: str | None
    position: Position
    time: int
    email: str | None = None
    kind: str = "chat_message"
    signature: str | None = None
    missed: bool = False


class Gap(Event, frozen=True):
    """Messages of a channel are lost for good: those after `start`, up to `end`.

    A position is None where it is not known. Without a common epoch the channel has started again.
    """

    channel: str
    start: Position | None
    end: Position | None


class UserJoined(Event, frozen=True):
    """A user joined a room."""

    room: str
    user: str
    email: str | None = None


class UserLeft(Event, frozen=True):
    """A user left a room; `disconnected`: by losing the last connection."""

    room: str
    user: str
    email: str | None = None
    disconnected: bool = False


class Typing(Event, frozen=True):
    """A user began or stopped typing."""

    room: str
    user: str
    active: bool


class TokenExpiring(Event, frozen=True):
    """The token expires at `expires_at` (Unix seconds); refresh it to stay connected."""

    expires_at: float


class TokenRefreshed(Event, frozen=True):
    """A newer token was accepted, until `expires_at` (Unix seconds), and there is a new session."""

    expires_at: float | None = None


class ShuttingDown(Event, frozen=True):
    """The node shuts down; the client reconnects by itself after `retry_in` seconds."""

    retry_in: float


class Other(Event, frozen=True):
    """A message of the gateway that is no answer to a method of the client."""

    type: str
    data: dict[str, Any]


class Raw(Event, frozen=True):
    """The text of every message, before the events that it makes; only with `raw=True`."""

    text: str


class CallAlert(Event, frozen=True):
    """An alert of a call. `late`: a cooldown delayed it, and newer ones may have arrived before it.

    `suppressed` is how many of the same call and type were left out since the last one.
    """

    call: str
    id: str
    type: str
    severity: str
    data: dict[str, Any]
    time: int
    position: Position
    suppressed: int = 0
    late: bool = False


class Denied(Event, frozen=True):
    """Calls that this user may not subscribe to, or not any longer."""

    calls: tuple[str, ...]


class TopicData(Event, frozen=True):
    """A publication of a topic. `key` names the part of the topic that it replaces."""

    topic: str
    data: Any
    key: str | None
    time: int
    offset: int
