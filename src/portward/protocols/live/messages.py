"""The messages of the live protocol. The type is in the same object as the fields."""

from typing import Annotated, Final

from msgspec import UNSET, Meta, UnsetType

from portward.model.errors import ErrorKind
from portward.protocols.message import (
    AnyId,
    ErrorCode,
    Json,
    JsonDetails,
    Milliseconds,
    Offset,
    Received,
    Returning,
    Sent,
    StreamPosition,
    Wait,
    enumerate_codes,
)

ERRORS: Final = (
    ErrorCode("protocol-violation", "Invalid message envelope", temporary=False),
    ErrorCode("forbidden", "Subscription refused", temporary=False),
    ErrorCode("unavailable", ErrorKind.UNAVAILABLE.text, temporary=True),
    ErrorCode("limit", ErrorKind.LIMIT_EXCEEDED.text, temporary=False),
)
"""A temporary `limit` has a `retryMs`."""


# -- what clients send


class LiveRequest(Received, frozen=True, tag_field="type"):
    """The common part of what clients send."""

    id: AnyId | UnsetType = UNSET


class LiveSubscribe(LiveRequest, frozen=True, kw_only=True, tag="subscribe"):
    """Subscribe to a topic; the answer has the latest publication of every key."""

    topic: str


class LiveUnsubscribe(LiveRequest, frozen=True, kw_only=True, tag="unsubscribe"):
    """Unsubscribe from a topic."""

    topic: str


class LivePing(LiveRequest, frozen=True, tag="ping"):
    """Ask for a sign of life, for pages, which cannot send ping frames."""


class LiveReadHistory(LiveRequest, frozen=True, kw_only=True, tag="history"):
    """Read publications of a topic; with the limit 0 its position alone."""

    topic: str
    limit: Annotated[int, Meta(ge=0)] | UnsetType = UNSET


# -- what the gateway sends


class LiveSubscribed(Sent, frozen=True, kw_only=True, tag_field="type", tag="subscribed"):
    """The topic is subscribed to; `snapshot` is the latest publication of every key."""

    topic: str
    id: AnyId | UnsetType = UNSET
    snapshot: "list[LiveKeyed]"
    position: StreamPosition


class LiveUnsubscribed(Sent, frozen=True, tag_field="type", tag="unsubscribed"):
    """The topic is not subscribed to any more."""

    topic: str | UnsetType = UNSET
    id: AnyId | UnsetType = UNSET


class LivePublication(Sent, frozen=True, kw_only=True):
    """A publication of a topic."""

    key: str | UnsetType = UNSET
    data: Json
    ts: Milliseconds
    offset: Offset


class LiveKeyed(Sent, frozen=True):
    """The latest publication of a key."""

    key: str | None
    data: Json
    ts: Milliseconds
    offset: Offset


class LiveHistory(Sent, frozen=True, kw_only=True, tag_field="type", tag="history"):
    """Publications of a topic, oldest first, and its present position."""

    topic: str
    id: AnyId | UnsetType = UNSET
    publications: list[LivePublication]
    position: StreamPosition


class LiveData(Sent, frozen=True, kw_only=True, tag_field="type", tag="data"):
    """A new publication of a topic."""

    topic: str
    key: str | UnsetType = UNSET
    data: Json
    ts: Milliseconds
    offset: Offset


class LivePong(Sent, frozen=True, tag_field="type", tag="pong"):
    """The answer to `ping`."""

    id: AnyId | UnsetType = UNSET


class LiveShutdown(Sent, frozen=True, tag_field="type", tag="shutdown"):
    """This gateway process is stopping; the connection closes soon."""

    retry_ms: Wait


class LiveClosing(Sent, frozen=True, tag_field="type", tag="closing"):
    """The connection closes now, and the client may connect again after this time."""

    reason: Returning
    retry_ms: Wait


class LiveError(Sent, frozen=True, tag_field="type", tag="error"):
    """A command is refused, or a subscription is withdrawn; the connection stays open."""

    code: Annotated[str, enumerate_codes(ERRORS)]
    message: str
    topic: str | UnsetType = UNSET
    id: AnyId | UnsetType = UNSET
    details: JsonDetails | UnsetType = UNSET
    retry_ms: Wait | UnsetType = UNSET
