"""Events that nodes exchange over the bus, apart from publications. Tagged, for one common decoder."""

from typing import Any

import msgspec

from portward.model.channel import Channel
from portward.model.replies import LeaveReason
from portward.model.revocation import Revocation


class BusEvent(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base class of bus events; the tag is the class name."""


class UserJoined(BusEvent, frozen=True):
    """The first connection of a user entered a channel; `client` is that connection.

    `order` is greater for a later event of this user in this channel; 0 when it is unknown.
    """

    channel: Channel
    user: str
    client: str
    email: str | None = None
    order: int = 0


class UserLeft(BusEvent, frozen=True):
    """The last connection of a user left a channel; `client` and `order` are as in `UserJoined`."""

    channel: Channel
    user: str
    client: str
    email: str | None = None
    reason: LeaveReason = LeaveReason.LEFT
    order: int = 0


class UserSignalled(BusEvent, frozen=True):
    """A signal for the other subscribers of a channel, not stored; `client` is the sending connection."""

    channel: Channel
    user: str
    client: str
    name: str
    active: bool


class Revoked(BusEvent, frozen=True):
    """A revocation took effect."""

    revocation: Revocation


class RightsChanged(BusEvent, frozen=True):
    """The rights of a user, or of every subscriber of a channel, must be checked again."""

    user: str | None = None
    channel: Channel | None = None


class ValueShared(BusEvent, frozen=True):
    """A user set a value shared by all its connections; `client` is the connection that set it."""

    user: str
    workspace: str | None
    client: str
    key: str
    value: Any
    version: int


class Disconnected(BusEvent, frozen=True):
    """An operator closes the connections of a user, or one of them."""

    user: str
    client: str | None = None


class Expelled(BusEvent, frozen=True):
    """A user is removed from a channel, on all connections or on one."""

    user: str
    channel: Channel
    client: str | None = None
    reason: str = "permission_denied"


class SurveyAsked(BusEvent, frozen=True):
    """A question of the node `node` for all nodes, or for those `among` them; `id` is random.

    `body` is JSON, whose type belongs to the kind of `question`.
    """

    id: str
    node: str
    question: str
    body: msgspec.Raw
    among: tuple[str, ...] | None = None


class SurveyAnswered(BusEvent, frozen=True):
    """The answer of the node `node` to the question `id`; with an `error` there is no answer."""

    id: str
    node: str
    body: msgspec.Raw
    error: str = ""


AnyEvent = (
    UserJoined
    | UserLeft
    | UserSignalled
    | Revoked
    | RightsChanged
    | ValueShared
    | Disconnected
    | Expelled
    | SurveyAsked
    | SurveyAnswered
)
"""All events, for decoders."""
