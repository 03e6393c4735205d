"""What a client can ask, whatever its dialect. `id` is the client's own and comes back with the answer."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from portward.model.approval import Decision
from portward.model.channel import Channel
from portward.model.position import Position
from portward.model.room import RoomPermissions


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """The common part of all commands."""

    id: str | int | None = None


class Authenticate(Command, frozen=True):
    """Prove who one is with a token (JWT)."""

    token: str

    def __repr__(self) -> str:
        return "Authenticate()"


class Resume(Command, frozen=True):
    """Come back with the session token a previous `Authenticate` gave out."""

    session_token: str

    def __repr__(self) -> str:
        return "Resume()"


class Refresh(Command, frozen=True):
    """Put a newer token of the same subject in place of the current one."""

    token: str

    def __repr__(self) -> str:
        return "Refresh()"


class Ping(Command, frozen=True):
    """An application-level sign of life. One that is not `charged` counts as a frame alone."""

    charged: bool = True


class Subscribe(Command, frozen=True):
    """Hear a channel; with `since`, also what was missed after that position."""

    channel: Channel
    since: Position | None = None


class Unsubscribe(Command, frozen=True):
    """Hear a channel no longer."""

    channel: Channel


class SubscribeMany(Command, frozen=True):
    """Hear several channels; those one may not hear are left out. `since` is by channel."""

    channels: tuple[Channel, ...]
    since: Mapping[Channel, Position] = msgspec.field(default_factory=dict)


class Wanted(msgspec.Struct, frozen=True):
    """One of several channels: `about` is the client's word for it, which may name no channel at all."""

    about: str
    channel: Channel | None
    since: Position | None = None


class SubscribeEach(Command, frozen=True):
    """Hear several channels, each judged and answered by itself."""

    wanted: tuple[Wanted, ...]


class UnsubscribeMany(Command, frozen=True):
    """Hear these channels no longer; None stands for all."""

    channels: tuple[Channel, ...] | None = None


class Publish(Command, frozen=True):
    """Say something in a channel. `data` is any JSON value."""

    channel: Channel
    data: Any
    key: str | None = None
    type: str | None = None
    idempotency_key: str | None = None
    exclude: str | None = None
    attachments: tuple[bytes, ...] = ()
    """Bytes that `data` refers to by their number; the backend's alone."""


class ReadHistory(Command, frozen=True):
    """Read back a channel. `since` without an epoch trusts the current one."""

    channel: Channel
    limit: int | None = None
    since: int | None = None
    epoch: str | None = None
    before: int | None = None
    reverse: bool = False


class ReadHistories(Command, frozen=True):
    """Read back the newest of one channel, or with None of all channels the session hears.

    A channel one may not hear has nothing to show.
    """

    channel: Channel | None = None
    limit: int = 50


class ReadPresence(Command, frozen=True):
    """Ask who is in a channel."""

    channel: Channel


class Signal(Command, frozen=True):
    """Tell the others something fleeting: not stored, and only the last value of a turn is sent."""

    channel: Channel
    name: str
    active: bool


class Kick(Command, frozen=True):
    """Remove a user from a room; for its administrators."""

    channel: Channel
    user: str


class SetPermissions(Command, frozen=True):
    """Change who may read, write and administer a room; for its administrators."""

    channel: Channel
    permissions: RoomPermissions


class HandOver(Command, frozen=True):
    """A message for the application's own handler. `data` is any JSON value."""

    data: Any


class ConnectUpstream(Command, frozen=True):
    """Be connected to the upstream; without a model, to the default one."""

    model: str | None = None


class OpenSocket(Command, frozen=True):
    """Enter a Socket.IO namespace. `auth` is what the client sent with it, a token included."""

    nsp: str
    auth: dict[str, Any]

    def __repr__(self) -> str:
        return f"OpenSocket(nsp={self.nsp!r})"


class CloseSocket(Command, frozen=True):
    """Leave a Socket.IO namespace."""

    nsp: str


class Call(Command, frozen=True):
    """An event for the application's own handler. Arguments are JSON values, and bytes anywhere in them."""

    nsp: str
    event: str
    arguments: tuple[Any, ...] = ()


class Act(Command, frozen=True):
    """Do something in one's workspace, which its role must allow."""

    action: str
    payload: Any = None


class Decide(Command, frozen=True):
    """Give the verdict on a request for approval."""

    request: str
    decision: Decision
    comment: str | None = None


class Share(Command, frozen=True):
    """Set a value that all of one's connections share; with `version` only in place of that one."""

    key: str
    value: Any
    version: int | None = None


class Echo(Command, frozen=True):
    """Send back what came, as it came."""

    payload: bytes
    binary: bool


UNLIMITED: Final[frozenset[type[Command]]] = frozenset({CloseSocket})
"""Commands that are counted and never refused by a limit: leaving always works."""
FIRST_CREDENTIAL: Final[frozenset[type[Command]]] = frozenset({Authenticate, Resume, OpenSocket})
"""Commands by which a session proves whose it is; before that no limit of messages counts them."""
BEFORE_AUTHENTICATION: Final[frozenset[type[Command]]] = frozenset(
    {Authenticate, Resume, Ping, OpenSocket, CloseSocket}
)
"""The only commands answered before the session is authenticated."""
