"""The live protocol: web pages that follow topics, authenticated by the cookie of their site.

A client's message is `{"type", "topic"}`: subscribe, unsubscribe or history; or `{"type": "ping"}`. It may
have an `id`, which is sent back with the answer. The application may take all messages itself: then any
JSON value is valid.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

import msgspec
from msgspec import UNSET, UnsetType

import portward.protocols.live.messages as wire
from portward.model import commands as ask
from portward.model import replies as say
from portward.model.channel import Channel
from portward.model.commands import Command
from portward.model.disconnects import Disconnect
from portward.model.errors import RATE_FAULTS, CommandError, ErrorKind
from portward.model.position import Position
from portward.model.replies import Push, Reply
from portward.protocols.base import JsonProtocol
from portward.protocols.message import StreamPosition, json_details, optional
from portward.security import strict_json

RETRY: Final = 1000
"""Milliseconds after which to try again, where no other time is known."""

_MALFORMED: Final = frozenset(
    {ErrorKind.INVALID_FORMAT, ErrorKind.INVALID_STRUCTURE, ErrorKind.UNKNOWN_TYPE}
)
_UNAVAILABLE: Final = frozenset({ErrorKind.UNAVAILABLE, ErrorKind.INTERNAL})
_LIMITS: Final = RATE_FAULTS | {
    ErrorKind.LIMIT_EXCEEDED,
    ErrorKind.CHANNEL_FULL,
    ErrorKind.TOO_LONG,
}
"""All other errors get one code, so that an error does not show whether a topic exists."""

_encode = msgspec.json.Encoder().encode


class HandOver(Command, frozen=True):
    """Pass a message to the handler of the application. `data` is any JSON value."""

    data: Any


class LiveProtocol(JsonProtocol):
    """A topic `event:1` is the channel `<namespace>:event:1`.

    While `hands_over()` is true every message is for the application's own handler.
    """

    name = "live"
    closes: ClassVar[Mapping[Disconnect, tuple[int, str]]] = {
        Disconnect.SHUTDOWN: (1001, "server shutting down"),
        Disconnect.SLOW: (1008, "back-pressure threshold exceeded"),
    }

    def __init__(self, namespace: str, hands_over: Callable[[], bool] = lambda: False) -> None:
        self._namespace = namespace
        self._hands_over = hands_over

    # -- decoding

    def decode(self, payload: bytes, binary: bool) -> Command:
        """Decode one message. See `ClientProtocol.decode`."""
        if self._hands_over():
            return HandOver(data=strict_json.parse(payload))
        return super().decode(payload, binary)

    def read(self, message: Any, identifier: str | int | None) -> Command:
        """Return the command of a message. See `JsonProtocol.read`."""
        kind = message.get("type") if isinstance(message, dict) else None
        schema = _READ.get(kind) if isinstance(kind, str) else None
        if schema is None:
            raise CommandError(ErrorKind.INVALID_STRUCTURE)
        read = msgspec.convert(message, schema)
        if isinstance(read, wire.LivePing):
            return ask.Ping(id=identifier, charged=False)
        if isinstance(read, wire.LiveReadHistory):
            return self._history(read, identifier)
        if isinstance(read, wire.LiveUnsubscribe):
            channel = self._channel(read.topic, ErrorKind.NOT_SUBSCRIBED)
            return ask.Unsubscribe(id=identifier, channel=channel)
        channel = self._channel(read.topic, ErrorKind.PERMISSION_DENIED)
        return ask.Subscribe(id=identifier, channel=channel)

    def _history(self, read: wire.LiveReadHistory, identifier: str | int | None) -> Command:
        channel = self._channel(read.topic, ErrorKind.PERMISSION_DENIED)
        limit = None if isinstance(read.limit, UnsetType) else read.limit
        return ask.ReadHistory(id=identifier, channel=channel, limit=limit, reverse=True)

    def _channel(self, topic: str, otherwise: ErrorKind) -> Channel:
        """The channel of a topic. An invalid topic gets the same error as one that is not allowed."""
        try:
            return Channel.parse(f"{self._namespace}:{topic}")
        except ValueError:
            raise CommandError(otherwise, about=topic) from None

    # -- encoding

    def reply(self, command: Command, reply: Reply, now: int) -> bytes | None:  # noqa: ARG002 - the port
        """Encode the answer to a command."""
        if isinstance(reply, say.Subscribed):
            return _subscribed(reply, command.id)
        if isinstance(reply, say.HistoryRead):
            return _history(reply, command.id)
        if isinstance(reply, say.Unsubscribed):
            return _unsubscribed(reply.channel.name, command.id)
        if isinstance(reply, say.Pong):
            return _encode(wire.LivePong(id=optional(command.id)))
        return None

    def reply_error(self, fault: CommandError, now: int) -> bytes:  # noqa: ARG002 - the port
        """Encode the answer to a refused command. To unsubscribe when not subscribed is no error."""
        kind = fault.kind
        if kind in _MALFORMED:
            return _encode(_error("protocol-violation", details=json_details(fault.details)))
        if kind is ErrorKind.NOT_SUBSCRIBED:
            return _unsubscribed(fault.about, fault.command_id)
        about = {"topic": optional(fault.about), "id": optional(fault.command_id)}
        if kind in _UNAVAILABLE:
            return _unavailable(**about, retry=fault.retry_after)
        if kind in _LIMITS:
            retry = optional(fault.retry_after)
            return _encode(_error("limit", message=kind.text, retry_ms=retry, **about))
        return _encode(_error("forbidden", **about))

    def push(self, push: Push, now: int) -> bytes | None:  # noqa: ARG002 - the port's
        """Encode a push; with an application's own handler, only what the application sends."""
        if isinstance(push, say.Delivery):
            return _data(push)
        if isinstance(push, say.Removed):
            topic = push.channel.name
            lost = push.reason in {ErrorKind.UNAVAILABLE.code, say.INSUFFICIENT_STATE}
            return _unavailable(topic=topic) if lost else _encode(_error("forbidden", topic=topic))
        if isinstance(push, say.Told):
            return _encode(push.data)
        return None if self._hands_over() else _leaving(push)


_Request = wire.LiveSubscribe | wire.LiveUnsubscribe | wire.LivePing | wire.LiveReadHistory
_READ: Final[Mapping[str, type[_Request]]] = {
    "subscribe": wire.LiveSubscribe,
    "unsubscribe": wire.LiveUnsubscribe,
    "ping": wire.LivePing,
    "history": wire.LiveReadHistory,
}
_TEXTS: Final = {error.code: error.text for error in wire.ERRORS}


def _leaving(push: Push) -> bytes | None:
    if isinstance(push, say.ShuttingDown):
        return _encode(wire.LiveShutdown(retry_ms=push.retry))
    if not isinstance(push, say.Parting) or push.retry is None or push.told:
        return None
    return _encode(wire.LiveClosing(reason=push.ending.name.lower(), retry_ms=push.retry))


def _error(code: str, message: str | None = None, **more: Any) -> wire.LiveError:
    return wire.LiveError(code=code, message=message or _TEXTS[code], **more)


def _unavailable(
    topic: Any = UNSET,
    id: Any = UNSET,  # noqa: A002 - the word on the wire
    retry: int | None = None,
) -> bytes:
    return _encode(_error("unavailable", topic=topic, id=id, retry_ms=retry or RETRY))


def _unsubscribed(topic: str | None, identifier: str | int | None) -> bytes:
    return _encode(wire.LiveUnsubscribed(topic=optional(topic), id=optional(identifier)))


def _subscribed(reply: say.Subscribed, identifier: str | int | None) -> bytes:
    message = wire.LiveSubscribed(
        topic=reply.channel.name,
        id=optional(identifier),
        snapshot=[
            wire.LiveKeyed(key=each.key, data=each.data, ts=each.time, offset=each.offset)
            for each in reply.snapshot or ()
        ],
        position=_position(reply.position),
    )
    return _encode(message)


def _history(reply: say.HistoryRead, identifier: str | int | None) -> bytes:
    message = wire.LiveHistory(
        topic=reply.channel.name,
        id=optional(identifier),
        publications=[
            wire.LivePublication(
                key=optional(each.key), data=each.data, ts=each.time, offset=each.offset
            )
            for each in reply.publications
        ],
        position=_position(reply.position),
    )
    return _encode(message)


def _position(position: Position) -> StreamPosition:
    return StreamPosition(offset=position.offset, epoch=position.epoch)


def _data(push: say.Delivery) -> bytes:
    publication = push.publication
    key = publication.key
    return _encode(
        wire.LiveData(
            topic=push.channel.name,
            key=UNSET if key is None else key,
            data=publication.data,
            ts=publication.time,
            offset=publication.offset,
        )
    )
