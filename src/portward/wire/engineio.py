"""Packets of Engine.IO, protocol 4: one per WebSocket message, several per body of a poll or post."""

import re
from base64 import b64encode
from binascii import a2b_base64
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Final, NamedTuple

import msgspec

import portward.wire.message as wire
from portward.model.disconnects import Disconnect
from portward.wire.errors import WireFault
from portward.wire.message import WireMessage

PROTOCOL: Final = "4"
MESSAGE: Final = wire.ENGINE_MESSAGE
SEPARATOR: Final = b"\x1e"
PACKETS: Final = 1024
"""Most packets in one body: each costs more than its bytes, and clients put all they have into one."""
_BINARY: Final = b"b"
_BASE64: Final = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\Z")


class EngineIoPacketKind(Enum):
    """Type of a packet, by its first character."""

    OPEN = b"0"
    CLOSE = b"1"
    PING = b"2"
    PONG = b"3"
    MESSAGE = b"4"
    UPGRADE = b"5"
    NOOP = b"6"


_KINDS: Final = {kind.value: kind for kind in EngineIoPacketKind}

PING: Final = wire.text(EngineIoPacketKind.PING.value)
NOOP: Final = wire.text(EngineIoPacketKind.NOOP.value)
CLOSE: Final = wire.text(EngineIoPacketKind.CLOSE.value)
PROBE: Final = b"2probe"
PROBED: Final = wire.text(b"3probe")
UPGRADE: Final = EngineIoPacketKind.UPGRADE.value


class EngineIoPacket(NamedTuple):
    """One packet. A binary one is always a message."""

    kind: EngineIoPacketKind
    payload: bytes
    binary: bool = False


class Opening(msgspec.Struct, frozen=True, rename="camel"):
    """Payload of the open packet. Times are milliseconds, `max_payload` bytes."""

    sid: str
    upgrades: tuple[str, ...]
    ping_interval: int
    ping_timeout: int
    max_payload: int

    def packet(self) -> bytes:
        """The open packet."""
        return EngineIoPacketKind.OPEN.value + msgspec.json.encode(self)


def read(text: bytes) -> EngineIoPacket:
    """Read one packet of text, which is known to be UTF-8. `b` in front of base64 is a binary message.

    Raises:
        WireFault: it is no packet.
    """
    if text[:1] == _BINARY:
        return _bytes(text[1:])
    kind = _KINDS.get(text[:1])
    if kind is None:
        raise WireFault(
            Disconnect.PROTOCOL_ERROR, "no Engine.IO packet" if text else "empty packet"
        )
    return EngineIoPacket(kind, text[1:])


def read_body(body: bytes) -> list[EngineIoPacket]:
    """Read the body of a request, in order.

    Raises:
        WireFault: it is not UTF-8, has too many packets, or has a part that is no packet.
    """
    texts = body.split(SEPARATOR, PACKETS)
    if len(texts) > PACKETS:
        raise WireFault(Disconnect.PROTOCOL_ERROR, "too many packets at once")
    try:
        body.decode()
    except UnicodeDecodeError:
        raise WireFault(Disconnect.INVALID_UTF8, "packets are not UTF-8") from None
    return [read(text) for text in texts]


def _bytes(text: bytes) -> EngineIoPacket:
    """Decode padded base64; checked here because the decoder skips invalid characters."""
    if not _BASE64.match(text):
        raise WireFault(Disconnect.PROTOCOL_ERROR, "malformed base64")
    return EngineIoPacket(EngineIoPacketKind.MESSAGE, a2b_base64(text), binary=True)


def write_body(messages: Iterable[WireMessage]) -> bytes:
    """Encode the answer to one poll, in order. Text of messages has its type character already."""
    return SEPARATOR.join([text for message in messages for text in _texts(message)])


def as_text(message: WireMessage) -> WireMessage:
    """The same message without binary frames, for a client that takes none (`b64=1`)."""
    if True not in message.kinds:
        return message
    frames = [wire.text(text) for text in _texts(message)]
    whole = wire.join(frames)
    return WireMessage(
        whole.payloads, whole.kinds, whole.frame, weight=message.weight, key=message.key
    )


def _texts(message: WireMessage) -> Iterator[bytes]:
    for payload, binary in message.parts():
        yield _BINARY + b64encode(payload) if binary else payload
