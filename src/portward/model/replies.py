"""Messages to clients: replies to commands, and pushes."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from portward.model.channel import Channel
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError
from portward.model.identity import Identity
from portward.model.position import Position
from portward.model.publication import Publication


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """Base class of all replies."""


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """Base class of all pushes."""


class Authenticated(Reply, frozen=True):
    """The session is authenticated. `expires_at` is in Unix seconds."""

    identity: Identity
    session_token: str
    expires_at: float | None
    resumed: bool = False

    def __repr__(self) -> str:
        return f"Authenticated(subject={self.identity.subject!r})"


class Refreshed(Reply, frozen=True):
    """A newer token is now in use."""

    session_token: str
    expires_at: float | None

    def __repr__(self) -> str:
        return "Refreshed()"


class Pong(Reply, frozen=True):
    """The reply to `Ping`."""


class Subscribed(Reply, frozen=True):
    """The subscription starts at `position`. `recovered` is None when no recovery was requested."""

    channel: Channel
    position: Position
    participants: tuple[str, ...] = ()
    recovered: bool | None = None
    publications: tuple[Publication, ...] = ()
    snapshot: tuple[Publication, ...] | None = None
    """The last publication of every key, if the namespace keeps a snapshot; else None."""
    later: tuple[Push, ...] = ()
    """Pushes that arrived while the reply was prepared; they follow it directly as ordinary pushes."""


class SubscribedMany(Reply, frozen=True):
    """`channels` are all channels now subscribed; `denied` those that were requested but not allowed.

    `recovered` is by channel, where recovery was requested. `later` follows the reply directly: missed
    publications, and pushes that arrived while the reply was prepared.
    """

    channels: tuple[Channel, ...]
    denied: tuple[Channel, ...] = ()
    recovered: Mapping[Channel, bool] | None = None
    later: tuple[Push, ...] = ()


class UnsubscribedMany(Reply, frozen=True):
    """`channels` are all channels still subscribed."""

    channels: tuple[Channel, ...]


class Failure(msgspec.Struct, frozen=True):
    """The refusal of one part of a command with several parts; `about` is the text the client sent for it."""

    about: str
    fault: CommandError


class SubscribedEach(Reply, frozen=True):
    """The end of a command about several channels, each of which was answered separately."""

    channels: tuple[Channel, ...]
    failed: tuple[Failure, ...] = ()


class AnsweredLater(Reply, frozen=True):
    """No reply: it was sent already, or follows later."""


class Unsubscribed(Reply, frozen=True):
    """The subscription has ended."""

    channel: Channel


class Published(Reply, frozen=True):
    """The publication has a position and is stored as durably as the engine allows."""

    publication_id: str
    position: Position
    duplicate: bool = False


class HistoryRead(Reply, frozen=True):
    """A page of a channel's history."""

    channel: Channel
    publications: tuple[Publication, ...]
    position: Position


class HistoriesRead(Reply, frozen=True):
    """The newest publications of one or several channels, oldest first.

    `positions` is the position of each channel; set only when the command asked for history alone.
    """

    deliveries: "tuple[Delivery, ...]"
    positions: Mapping[Channel, Position] | None = None


class Participant(msgspec.Struct, frozen=True):
    """A user in a channel and its number of connections."""

    user: str
    connections: int


class PresenceRead(Reply, frozen=True):
    """The presence of a channel."""

    channel: Channel
    participants: tuple[Participant, ...]


class Done(Reply, frozen=True):
    """Acknowledges a command without a result."""


class Welcome(Push, frozen=True):
    """The first push on a connection."""

    connection_id: str


class Delivery(Push, frozen=True):
    """A publication of a subscribed channel."""

    channel: Channel
    publication: Publication
    epoch: str
    suppressed: int = 0
    """Publications of the same type that the cooldown suppressed for this subscriber since the last one."""
    late: bool = False
    """Whether a cooldown delayed it: newer ones may have been sent before, and no position changes."""


class Joined(Push, frozen=True):
    """The first connection of a user entered a channel."""

    channel: Channel
    user: str
    email: str | None = None


class LeaveReason(StrEnum):
    """Why a user left a channel."""

    LEFT = "left"
    DISCONNECTED = "disconnected"


class Left(Push, frozen=True):
    """The last connection of a user left a channel."""

    channel: Channel
    user: str
    email: str | None = None
    reason: LeaveReason = LeaveReason.LEFT


class Signalled(Push, frozen=True):
    """A signal of another user, not stored."""

    channel: Channel
    user: str
    name: str
    active: bool


class Expiring(Push, frozen=True):
    """The token expires soon. `expires_at` is in Unix seconds."""

    expires_at: float


INSUFFICIENT_STATE: Final = "insufficient_state"
"""The reason of a removal after which the client subscribes again at once: publications were lost."""


class Removed(Push, frozen=True):
    """The gateway ended a subscription."""

    channel: Channel
    reason: str


class ShuttingDown(Push, frozen=True):
    """The node is draining; reconnect after `retry` milliseconds, to `address` if it is set."""

    retry: int
    address: str = ""


class Parting(Push, frozen=True):
    """The connection is about to be closed, for protocols that send the reason in a message first.

    `retry` is the delay before a reconnect in milliseconds, None for a client that must not reconnect.
    `told`: the client already got `ShuttingDown`.
    """

    ending: Disconnect
    retry: int | None = None
    told: bool = False


class SharedChanged(Push, frozen=True):
    """Another connection of the same user set a shared value."""

    key: str
    value: Any
    version: int


class Told(Push, frozen=True):
    """A message of the application to one connection: any JSON value."""

    data: Any
