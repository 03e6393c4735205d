"""What nodes tell each other over the bus, apart from publications. Tagged, so one decoder reads all."""

from typing import Any

import msgspec

from portward.model.channel import Channel
from portward.model.replies import LeaveReason
from portward.model.revocation import Revocation


class BusEvent(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The common part; the tag is the class name."""


class UserJoined(BusEvent, frozen=True):
    """A user's first connection entered a channel; `client` is that connection.

    `order` is greater for what happened later to this user in this channel; 0 when it is not known.
    """

    channel: Channel
    user: str
    client: str
    email: str | None = None
    order: int = 0


class UserLeft(BusEvent, frozen=True):
    """A user's last connection left a channel; `client` and `order` are as in `UserJoined`."""

    channel: Channel
    user: str
    client: str
    email: str | None = None
    reason: LeaveReason = LeaveReason.LEFT
    order: int = 0


class UserSignalled(BusEvent, frozen=True):
    """Something fleeting that the others in a channel are told; `client` is where it came from."""

    channel: Channel
    user: str
    client: str
    name: str
    active: bool


class Revoked(BusEvent, frozen=True):
    """A revocation took effect."""

    revocation: Revocation


class RightsChanged(BusEvent, frozen=True):
    """The rights of a subject, or of everyone in a channel, must be judged again."""

    user: str | None = None
    channel: Channel | None = None


class ValueShared(BusEvent, frozen=True):
    """A user set a value that all of its connections share; `client` is where it came from."""

    user: str
    workspace: str | None
    client: str
    key: str
    value: Any
    version: int


class Disconnected(BusEvent, frozen=True):
    """An operator ends a user's connections, or one of them."""

    user: str
    client: str | None = None


class Expelled(BusEvent, frozen=True):
    """A user is removed from a channel, on every connection or on one."""

    user: str
    channel: Channel
    client: str | None = None
    reason: str = "permission_denied"


AnyEvent = (
    UserJoined
    | UserLeft
    | UserSignalled
    | Revoked
    | RightsChanged
    | ValueShared
    | Disconnected
    | Expelled
)
"""Every event there is, for those who read them from a wire."""
