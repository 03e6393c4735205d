"""What a client can ask, whatever its dialect. `id` is the client's own and comes back with the answer."""

from typing import Any, Final

import msgspec

from portward.model.channel import Channel
from portward.model.position import Position
from portward.model.room import RoomPermissions


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """The common part of all commands."""

    id: str | None = None


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


class Echo(Command, frozen=True):
    """Send back what came, as it came."""

    payload: bytes
    binary: bool


BEFORE_AUTHENTICATION: Final[frozenset[type[Command]]] = frozenset({Authenticate, Resume, Ping})
"""The only commands answered before the session is authenticated."""
