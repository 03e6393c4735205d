"""What a client is told: replies to its commands, and pushes it did not ask for."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from portward.model.approval import Approval
from portward.model.channel import Channel
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError
from portward.model.identity import Identity
from portward.model.position import Position
from portward.model.publication import Publication


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The common part of all replies."""


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """The common part of all pushes."""


class Authenticated(Reply, frozen=True):
    """The session is authenticated. `expires_at` is in Unix seconds."""

    identity: Identity
    session_token: str
    expires_at: float | None
    resumed: bool = False

    def __repr__(self) -> str:
        return f"Authenticated(subject={self.identity.subject!r})"


class Refreshed(Reply, frozen=True):
    """A newer token is in force."""

    session_token: str
    expires_at: float | None

    def __repr__(self) -> str:
        return "Refreshed()"


class Pong(Reply, frozen=True):
    """The answer to `Ping`."""


class Subscribed(Reply, frozen=True):
    """The channel is heard from `position` on. `recovered` is None when no recovery was asked for."""

    channel: Channel
    position: Position
    participants: tuple[str, ...] = ()
    recovered: bool | None = None
    publications: tuple[Publication, ...] = ()
    snapshot: tuple[Publication, ...] | None = None
    """The last publication of every key, where the namespace keeps that; None elsewhere."""
    later: tuple[Push, ...] = ()
    """What arrived while the answer was prepared: follows it at once, as ordinary pushes."""


class SubscribedMany(Reply, frozen=True):
    """`channels` are all that are heard now; `denied` those asked for in vain.

    `recovered` is by channel, for those where recovery was asked for. `later` follows the answer at
    once: what was missed, and what arrived while it was prepared.
    """

    channels: tuple[Channel, ...]
    denied: tuple[Channel, ...] = ()
    recovered: Mapping[Channel, bool] | None = None
    later: tuple[Push, ...] = ()


class UnsubscribedMany(Reply, frozen=True):
    """`channels` are all that are still heard."""

    channels: tuple[Channel, ...]


class Failure(msgspec.Struct, frozen=True):
    """One of several things asked for in one command that was refused, by the client's word for it."""

    about: str
    fault: CommandError


class SubscribedEach(Reply, frozen=True):
    """The end of a command about several channels, each of which was answered by itself."""

    channels: tuple[Channel, ...]
    failed: tuple[Failure, ...] = ()


class AnsweredLater(Reply, frozen=True):
    """Nothing: the answer was given, or will be."""


class Unsubscribed(Reply, frozen=True):
    """The channel is heard no longer."""

    channel: Channel


class Published(Reply, frozen=True):
    """The publication has its position and is stored as far as the engine stores."""

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

    `positions` is where each of the channels stands, when nothing but that was asked for.
    """

    deliveries: "tuple[Delivery, ...]"
    positions: Mapping[Channel, Position] | None = None


class Participant(msgspec.Struct, frozen=True):
    """A user in a channel and the number of its connections."""

    user: str
    connections: int


class PresenceRead(Reply, frozen=True):
    """Who is in a channel."""

    channel: Channel
    participants: tuple[Participant, ...]


class Done(Reply, frozen=True):
    """Acknowledges a command that has nothing else to say."""


class UpstreamConnected(Reply, frozen=True):
    """From now on messages go to the upstream and come from it. No model: the upstream has chosen it."""

    model: str | None


class Opened(Reply, frozen=True):
    """The client is in a Socket.IO namespace, where `sid` is its name."""

    nsp: str
    sid: str


class Called(Reply, frozen=True):
    """What the application's handler answered: JSON values, and bytes anywhere in them."""

    result: tuple[Any, ...] = ()


class Acted(Reply, frozen=True):
    """The action was done. `result` is what the application's handler returned, if there is one."""

    result: Any = None


class Decided(Reply, frozen=True):
    """The verdict is given, and was the first."""


class Sharing(Reply, frozen=True):
    """The value kept now; without `accepted` another one than was to be set."""

    accepted: bool
    version: int
    value: Any = None


class Echoed(Reply, frozen=True):
    """What came, as it came."""

    payload: bytes
    binary: bool


class Welcome(Push, frozen=True):
    """The first thing a connection hears."""

    connection_id: str


class Delivery(Push, frozen=True):
    """A publication of a channel the session hears."""

    channel: Channel
    publication: Publication
    epoch: str
    suppressed: int = 0
    """Publications of the same type that this listener was spared since the last one (cooldown)."""
    late: bool = False
    """Whether a cooldown held it back: newer ones may have been sent before, and it moves no position."""


class Joined(Push, frozen=True):
    """A user's first connection entered a channel."""

    channel: Channel
    user: str
    email: str | None = None


class LeaveReason(StrEnum):
    """Why a user is no longer in a channel."""

    LEFT = "left"
    DISCONNECTED = "disconnected"


class Left(Push, frozen=True):
    """A user's last connection left a channel."""

    channel: Channel
    user: str
    email: str | None = None
    reason: LeaveReason = LeaveReason.LEFT


class Signalled(Push, frozen=True):
    """Something fleeting another user said."""

    channel: Channel
    user: str
    name: str
    active: bool


class Expiring(Push, frozen=True):
    """The token runs out soon. `expires_at` is in Unix seconds."""

    expires_at: float


INSUFFICIENT_STATE: Final = "insufficient_state"
"""The reason of a removal after which to come back at once: something was lost on the way here."""


class Removed(Push, frozen=True):
    """A subscription was taken away."""

    channel: Channel
    reason: str


class ShuttingDown(Push, frozen=True):
    """The node is draining; come back after `retry` milliseconds, to `address` if that is known."""

    retry: int
    address: str = ""


class Parting(Push, frozen=True):
    """The connection is about to be closed, and why: for dialects that say so in a message first.

    `retry` is after how many milliseconds to come back, None for a client that is not to. `told`: the
    client knows it from `ShuttingDown`.
    """

    ending: Disconnect
    retry: int | None = None
    told: bool = False


class SharedChanged(Push, frozen=True):
    """Another connection of the same user set a value that all of them share."""

    key: str
    value: Any
    version: int


class Asked(Push, frozen=True):
    """Somebody who hears its channel is to decide on this request."""

    approval: Approval


class Emitted(Push, frozen=True):
    """An event of the application in a Socket.IO namespace. With `ack` it wants an answer under that id."""

    nsp: str
    event: str
    arguments: tuple[Any, ...]
    ack: int | None = None


class Told(Push, frozen=True):
    """What the application says to one connection, in its own words: any JSON value."""

    data: Any
