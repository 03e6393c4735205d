"""The live dialect: web pages that follow topics behind the cookie of their site.

A client's message is `{"type", "topic"}`: subscribe, unsubscribe or history; or `{"type": "ping"}`. It may
add an `id`, which comes back with the answer. The application may take all messages itself: then any JSON
value is one.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from portward.dialects import intake
from portward.model import commands as ask
from portward.model import replies as say
from portward.model.channel import Channel
from portward.model.commands import Command
from portward.model.endings import Ending
from portward.model.faults import RATE_FAULTS, Fault, FaultKind
from portward.model.position import Position
from portward.model.publication import Publication
from portward.model.replies import Push, Reply

RETRY: Final = 1000
"""Milliseconds after which to try again, where nobody knows better."""

_MALFORMED: Final = frozenset(
    {FaultKind.INVALID_FORMAT, FaultKind.INVALID_STRUCTURE, FaultKind.UNKNOWN_TYPE}
)
_UNAVAILABLE: Final = frozenset({FaultKind.UNAVAILABLE, FaultKind.INTERNAL})
_LIMITS: Final = RATE_FAULTS | {
    FaultKind.LIMIT_EXCEEDED,
    FaultKind.CHANNEL_FULL,
    FaultKind.TOO_LONG,
}
"""All other faults are said as one: nobody learns whether a topic exists from how it is refused."""

_encode = msgspec.json.Encoder().encode


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What clients send: unknown keys are refused."""

    type: Literal["subscribe", "unsubscribe"]
    topic: str
    id: str | int | UnsetType = UNSET


class _Ping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sign of life, for pages, which cannot send ping frames."""

    type: Literal["ping"]
    id: str | int | UnsetType = UNSET


class _History(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What clients send to read back a topic."""

    type: Literal["history"]
    topic: str
    limit: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    id: str | int | UnsetType = UNSET


class LiveDialect:
    """Implements `dialects.port.Dialect`. A topic `event:1` is the channel `<namespace>:event:1`.

    While `hands_over()` is true every message is for the application's own handler.
    """

    name = "live"
    binary = False
    resumable = False
    closes: ClassVar[Mapping[Ending, tuple[int, str]]] = {
        Ending.SHUTDOWN: (1001, "server shutting down"),
        Ending.SLOW: (1008, "back-pressure threshold exceeded"),
    }

    def __init__(self, namespace: str, hands_over: Callable[[], bool] = lambda: False) -> None:
        self._namespace = namespace
        self._hands_over = hands_over

    # -- what is heard

    def decode(self, payload: bytes, binary: bool) -> Command:  # noqa: ARG002 - text only, see `binary`
        """Read one message. See `Dialect.decode`."""
        message = intake.parse(payload)
        if self._hands_over():
            return ask.HandOver(data=message)
        identifier = intake.identifier(message)
        try:
            return self._decode(message, identifier)
        except msgspec.ValidationError:
            raise Fault(FaultKind.INVALID_STRUCTURE, command_id=identifier) from None
        except Fault as fault:
            fault.command_id = identifier
            raise

    def _decode(self, message: Any, identifier: str | int | None) -> Command:
        if isinstance(message, dict) and "id" in message and identifier is None:
            raise Fault(FaultKind.INVALID_STRUCTURE)
        if isinstance(message, dict) and message.get("type") == "ping":
            msgspec.convert(message, _Ping)
            return ask.Ping(id=identifier, charged=False)
        if isinstance(message, dict) and message.get("type") == "history":
            return self._history(msgspec.convert(message, _History), identifier)
        read = msgspec.convert(message, _Message)
        if read.type == "subscribe":
            channel = self._channel(read.topic, FaultKind.PERMISSION_DENIED)
            return ask.Subscribe(id=identifier, channel=channel)
        channel = self._channel(read.topic, FaultKind.NOT_SUBSCRIBED)
        return ask.Unsubscribe(id=identifier, channel=channel)

    def _history(self, read: _History, identifier: str | int | None) -> Command:
        channel = self._channel(read.topic, FaultKind.PERMISSION_DENIED)
        limit = None if isinstance(read.limit, UnsetType) else read.limit
        return ask.ReadHistory(id=identifier, channel=channel, limit=limit, reverse=True)

    def _channel(self, topic: str, otherwise: FaultKind) -> Channel:
        """The channel behind a topic. What cannot be one is refused like any that is not open."""
        try:
            return Channel.parse(f"{self._namespace}:{topic}")
        except ValueError:
            raise Fault(otherwise, about=topic) from None

    # -- what is said

    def reply(self, command: Command, reply: Reply, now: int) -> bytes | None:  # noqa: ARG002 - the port
        """The answer to a command."""
        if isinstance(reply, say.Subscribed):
            return _subscribed(reply, command.id)
        if isinstance(reply, say.HistoryRead):
            return _history(reply, command.id)
        if isinstance(reply, say.Unsubscribed):
            return _unsubscribed(reply.channel.name, command.id)
        if isinstance(reply, say.Pong):
            return _encode({"type": "pong", **_about(None, command.id)})
        return None

    def fault(self, fault: Fault, now: int) -> bytes:  # noqa: ARG002 - the port
        """The answer to a refused command. To leave what one is not in is no mistake."""
        kind, about = fault.kind, _about(fault.about, fault.command_id)
        if kind in _MALFORMED:
            broken = {} if fault.details is None else {"details": fault.details}
            return _error("protocol-violation", "Invalid message envelope", broken)
        if kind is FaultKind.NOT_SUBSCRIBED:
            return _unsubscribed(fault.about, fault.command_id)
        if kind in _UNAVAILABLE:
            return _unavailable(about, fault.retry_after)
        if kind in _LIMITS:
            return _error("limit", kind.text, about, fault.retry_after)
        return _forbidden(about)

    def push(self, push: Push, now: int) -> bytes | None:  # noqa: ARG002 - the port
        """Words nobody asked for. What is no word of this dialect is not said."""
        if isinstance(push, say.Delivery):
            return _data(push)
        if isinstance(push, say.Removed):
            about = _about(push.channel.name, None)
            lost = push.reason in {FaultKind.UNAVAILABLE.code, say.INSUFFICIENT_STATE}
            return _unavailable(about, None) if lost else _forbidden(about)
        return _encode(push.data) if isinstance(push, say.Told) else None


def _about(topic: str | None, identifier: str | int | None) -> dict[str, Any]:
    about = {"topic": topic, "id": identifier}
    return {key: value for key, value in about.items() if value is not None}


def _error(code: str, text: str, about: dict[str, Any], retry: int | None = None) -> bytes:
    message = {"type": "error", "code": code, "message": text, **about}
    if retry is not None:
        message["retryMs"] = retry
    return _encode(message)


def _forbidden(about: dict[str, Any]) -> bytes:
    return _error("forbidden", "Subscription refused", about)


def _unavailable(about: dict[str, Any], retry: int | None) -> bytes:
    return _error("unavailable", FaultKind.UNAVAILABLE.text, about, retry or RETRY)


def _unsubscribed(topic: str | None, identifier: str | int | None) -> bytes:
    return _encode({"type": "unsubscribed", **_about(topic, identifier)})


def _subscribed(reply: say.Subscribed, identifier: str | int | None) -> bytes:
    message = {
        "type": "subscribed",
        **_about(reply.channel.name, identifier),
        "snapshot": [{"key": each.key, **_content(each)} for each in reply.snapshot or ()],
        "position": _position(reply.position),
    }
    return _encode(message)


def _history(reply: say.HistoryRead, identifier: str | int | None) -> bytes:
    message = {
        "type": "history",
        **_about(reply.channel.name, identifier),
        "publications": [_keyed(each) for each in reply.publications],
        "position": _position(reply.position),
    }
    return _encode(message)


def _position(position: Position) -> dict[str, Any]:
    return {"offset": position.offset, "epoch": position.epoch}


def _data(push: say.Delivery) -> bytes:
    return _encode({"type": "data", "topic": push.channel.name, **_keyed(push.publication)})


def _keyed(publication: Publication) -> dict[str, Any]:
    key = {} if publication.key is None else {"key": publication.key}
    return key | _content(publication)


def _content(publication: Publication) -> dict[str, Any]:
    return {"data": publication.data, "ts": publication.time, "offset": publication.offset}
