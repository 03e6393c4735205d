"""The envelopes of the endpoints: rooms, alerts, and the flat one of live and the relay."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import msgspec


class Incoming(NamedTuple):
    """A received message: its type, its content, the id it answers, and its text."""

    kind: str
    data: dict[str, Any]
    id: str | None
    payload: str | bytes


class Codec(Protocol):
    """Writes requests and reads messages of one endpoint."""

    def encode(self, kind: str, data: Mapping[str, Any], identifier: str | None = None) -> str:
        """Write a message; with an `identifier` the gateway repeats it in the answer."""

    def decode(self, payload: str | bytes) -> Incoming:
        """Read a message.

        Raises:
            ValueError: it is none of this endpoint.
        """


class _WithData(msgspec.Struct, frozen=True):
    type: str
    data: dict[str, Any]
    id: str | int | None = None


class _WithPayload(msgspec.Struct, frozen=True):
    type: str
    payload: dict[str, Any]
    id: str | int | None = None


_with_data = msgspec.json.Decoder(_WithData)
_with_payload = msgspec.json.Decoder(_WithPayload)


class RoomsCodec:
    """`{"type", "data", "timestamp", "id"}`. `now` is the Unix time in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now

    def encode(self, kind: str, data: Mapping[str, Any], identifier: str | None = None) -> str:
        """Write a message with the time of now."""
        message = {"type": kind, "data": data, "timestamp": int(self._now() * 1000)}
        return _encoded(message, identifier)

    def decode(self, payload: str | bytes) -> Incoming:
        """Read a text message; raises ValueError."""
        message = _with_data.decode(_text(payload))
        return Incoming(message.type, message.data, _identifier(message.id), payload)


class FlatCodec:
    """`{"type", …, "id"}`, both ways."""

    def encode(self, kind: str, data: Mapping[str, Any], identifier: str | None = None) -> str:
        """Write a message."""
        return _encoded({"type": kind, **data}, identifier)

    def decode(self, payload: str | bytes) -> Incoming:
        """Read a text message; raises ValueError."""
        message = msgspec.json.decode(_text(payload))
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise ValueError("a message is an object with a type")  # noqa: TRY004 - see `_text`
        return Incoming(message["type"], message, _identifier(message.get("id")), payload)


class AlertsCodec(FlatCodec):
    """Requests are flat; messages of the gateway are `{"type", "payload", "id"}`."""

    def decode(self, payload: str | bytes) -> Incoming:
        """Read a text message; raises ValueError."""
        message = _with_payload.decode(_text(payload))
        return Incoming(message.type, message.payload, _identifier(message.id), payload)


def _text(payload: str | bytes) -> str:
    if isinstance(payload, bytes):
        raise ValueError("a binary message")  # noqa: TRY004 - what is raised for every unreadable message
    return payload


def _identifier(value: object) -> str | None:
    return None if value is None else str(value)


def _encoded(message: dict[str, Any], identifier: str | None) -> str:
    if identifier is not None:
        message["id"] = identifier
    return msgspec.json.encode(message).decode()
