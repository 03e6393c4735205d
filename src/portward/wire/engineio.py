"""Packets of Engine.IO, protocol 4: one to a WebSocket message, several to the body of a poll."""

import re
from base64 import b64encode
from binascii import a2b_base64
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Final, NamedTuple

import msgspec

from portward.model.endings import Ending
from portward.wire import message as wire
from portward.wire.errors import WireFault
from portward.wire.message import Message

PROTOCOL: Final = "4"
MESSAGE: Final = wire.ENGINE_MESSAGE
SEPARATOR: Final = b"\x1e"
PACKETS: Final = 1024
"""Most packets in one body: each costs more than its bytes. Clients put all that they have into one."""
_BINARY: Final = b"b"
_BASE64: Final = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\Z")


class Kind(Enum):
    """What a packet is, by its first character."""

    OPEN = b"0"
    CLOSE = b"1"
    PING = b"2"
    PONG = b"3"
    MESSAGE = b"4"
    UPGRADE = b"5"
    NOOP = b"6"


_KINDS: Final = {kind.value: kind for kind in Kind}

PING: Final = wire.text(Kind.PING.value)
NOOP: Final = wire.text(Kind.NOOP.value)
CLOSE: Final = wire.text(Kind.CLOSE.value)
PROBE: Final = b"2probe"
PROBED: Final = wire.text(b"3probe")
UPGRADE: Final = Kind.UPGRADE.value


class Packet(NamedTuple):
    """One packet. A binary one is always a message."""

    kind: Kind
    payload: bytes
    binary: bool = False


class Opening(msgspec.Struct, frozen=True, rename="camel"):
    """What a client is told first. Times are milliseconds, `max_payload` bytes."""

    sid: str
    upgrades: tuple[str, ...]
    ping_interval: int
    ping_timeout: int
    max_payload: int

    def packet(self) -> bytes:
        """The packet that says so."""
        return Kind.OPEN.value + msgspec.json.encode(self)


def read(text: bytes) -> Packet:
    """Read one packet of text, which is known to be UTF-8. `b` in front of base64 is a binary message.

    Raises:
        WireFault: it is no packet.
    """
    if text[:1] == _BINARY:
        return _bytes(text[1:])
    kind = _KINDS.get(text[:1])
    if kind is None:
        raise WireFault(Ending.PROTOCOL_ERROR, "no Engine.IO packet" if text else "empty packet")
    return Packet(kind, text[1:])


def read_body(body: bytes) -> list[Packet]:
    """Read the body of a request, in order.

    Raises:
        WireFault: it is not UTF-8, holds too many packets, or something that is none.
    """
    texts = body.split(SEPARATOR, PACKETS)
    if len(texts) > PACKETS:
        raise WireFault(Ending.PROTOCOL_ERROR, "too many packets at once")
    try:
        body.decode()
    except UnicodeDecodeError:
        raise WireFault(Ending.INVALID_UTF8, "packets are not UTF-8") from None
    return [read(text) for text in texts]


def _bytes(text: bytes) -> Packet:
    """Base64, padded; the decoder would overlook what has no place in it."""
    if not _BASE64.match(text):
        raise WireFault(Ending.PROTOCOL_ERROR, "malformed base64")
    return Packet(Kind.MESSAGE, a2b_base64(text), binary=True)


def write_body(messages: Iterable[Message]) -> bytes:
    """Everything in order as the answer to one poll. Text of messages is marked already."""
    return SEPARATOR.join([text for message in messages for text in _texts(message)])


def as_text(message: Message) -> Message:
    """The same message without binary frames, for a client that takes none (`b64=1`)."""
    if True not in message.kinds:
        return message
    frames = [wire.text(text) for text in _texts(message)]
    whole = wire.join(frames)
    return Message(whole.payloads, whole.kinds, whole.frame, weight=message.weight, key=message.key)


def _texts(message: Message) -> Iterator[bytes]:
    for payload, binary in message.parts():
        yield _BINARY + b64encode(payload) if binary else payload
