"""Commands of clients, independent of the protocol. The reply repeats the `id` that the client chose."""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from portward.model.channel import Channel
from portward.model.position import Position
from portward.model.room import RoomPermissions


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """Base class of all commands."""

    before_authentication: ClassVar[bool] = False
    """Whether it is accepted before the session is authenticated."""
    first_credential: ClassVar[bool] = False
    """Whether it authenticates a session; until then message limits do not count it."""
    unlimited: ClassVar[bool] = False
    """Whether it is counted but never rejected by a limit: leaving is always possible."""
    charged = True
    """Whether it counts as a message; else only as a frame."""

    id: str | int | None = None


class Authenticate(Command, frozen=True):
    """Authenticate with a token (JWT)."""

    before_authentication = first_credential = True

    token: str

    def __repr__(self) -> str:
        return "Authenticate()"


class Resume(Command, frozen=True):
    """Resume a session with the session token of an earlier `Authenticate`."""

    before_authentication = first_credential = True

    session_token: str

    def __repr__(self) -> str:
        return "Resume()"


class Refresh(Command, frozen=True):
    """Replace the current token by a newer one of the same subject."""

    token: str

    def __repr__(self) -> str:
        return "Refresh()"


class Ping(Command, frozen=True):
    """An application-level ping. One that is not `charged` counts only as a frame."""

    before_authentication = True

    charged: bool = True


class Subscribe(Command, frozen=True):
    """Subscribe to a channel; with `since`, also recover what was missed after that position."""

    channel: Channel
    since: Position | None = None


class Unsubscribe(Command, frozen=True):
    """Unsubscribe from a channel."""

    channel: Channel


class SubscribeMany(Command, frozen=True):
    """Subscribe to several channels; those without the right are left out. `since` is by channel."""

    channels: tuple[Channel, ...]
    since: Mapping[Channel, Position] = msgspec.field(default_factory=dict)


class Wanted(msgspec.Struct, frozen=True):
    """One of several channels. `about` is the text the client sent for it, which may be no channel name."""

    about: str
    channel: Channel | None
    since: Position | None = None


class SubscribeEach(Command, frozen=True):
    """Subscribe to several channels, each authorized and answered separately."""

    wanted: tuple[Wanted, ...]


class UnsubscribeMany(Command, frozen=True):
    """Unsubscribe from these channels; None means all."""

    channels: tuple[Channel, ...] | None = None


class Publish(Command, frozen=True):
    """Publish to a channel. `data` is any JSON value."""

    channel: Channel
    data: Any
    key: str | None = None
    type: str | None = None
    idempotency_key: str | None = None
    exclude: str | None = None
    attachments: tuple[bytes, ...] = ()
    """Bytes that `data` refers to by their number; only the backend sends them."""


class ReadHistory(Command, frozen=True):
    """Read the history of a channel. `since` without an epoch uses the current epoch."""

    channel: Channel
    limit: int | None = None
    since: int | None = None
    epoch: str | None = None
    before: int | None = None
    reverse: bool = False


class ReadHistories(Command, frozen=True):
    """Read the newest publications of one channel, or with None of all subscribed channels.

    A channel without the right to read returns nothing.
    """

    channel: Channel | None = None
    limit: int = 50


class ReadPresence(Command, frozen=True):
    """Read the presence of a channel."""

    channel: Channel


class Signal(Command, frozen=True):
    """Send a signal to the other subscribers. It is not stored; only the last one per turn is sent."""

    channel: Channel
    name: str
    active: bool


class Kick(Command, frozen=True):
    """Remove a user from a room; only for its administrators."""

    channel: Channel
    user: str


class SetPermissions(Command, frozen=True):
    """Change who may read, write and administer a room; only for its administrators."""

    channel: Channel
    permissions: RoomPermissions
