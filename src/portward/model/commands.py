"""What a client can ask, whatever its dialect. `id` is the client's own and comes back with the answer."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

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
    """An application-level sign of life."""


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


class Echo(Command, frozen=True):
    """Send back what came, as it came."""

    payload: bytes
    binary: bool


BEFORE_AUTHENTICATION: Final[frozenset[type[Command]]] = frozenset({Authenticate, Resume, Ping})
"""The only commands answered before the session is authenticated."""
