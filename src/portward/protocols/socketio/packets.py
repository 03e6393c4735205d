"""Packets of Socket.IO, protocol 5: parser and encoder of their text, without their attachments.

    <type>[<attachments>-][<namespace>,][<acknowledgement id>][JSON]

An invalid packet closes the connection, as the protocol demands (:class:`PacketError`). One whose JSON is
refused (too deep, duplicate keys) is still a packet: it has the command error that answers it.
"""

import re
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final

import msgspec

from portward.model.errors import CommandError
from portward.model.payload import MAX_ATTACHMENTS, MultipartPayload, Payload
from portward.node.sessions import ProtocolViolation
from portward.protocols.socketio.attachments import pack
from portward.security import strict_json

MAX_NSP: Final = 128
MAX_EVENT: Final = 128
RESERVED: Final = frozenset(
    {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}
)
"""Events that clients raise by themselves, and that are never sent."""
ROOT: Final = "/"

_HEAD: Final = re.compile(
    rb"([0-6])(?:(?<=[56])(\d{1,2})-)?(?:(/[^,]{0,512})(?:,|\Z))?(\d{1,15})?(?!\d)"
)
_encode: Final = msgspec.json.Encoder().encode


class PacketError(ProtocolViolation, ValueError):
    """The packet is invalid in this protocol; the text has the reason, and none of the client's bytes."""

    def __str__(self) -> str:
        return f"Socket.IO: {super().__str__()}"


class SocketIoPacketKind(IntEnum):
    """The types of packets."""

    CONNECT = 0
    DISCONNECT = 1
    EVENT = 2
    ACK = 3
    CONNECT_ERROR = 4
    BINARY_EVENT = 5
    BINARY_ACK = 6


_EVENTS: Final = frozenset({SocketIoPacketKind.EVENT, SocketIoPacketKind.BINARY_EVENT})


class SocketIoPacket(msgspec.Struct, frozen=True, kw_only=True):
    """One packet of a client. `attachments` is how many are still to come, `size` is in bytes.

    `name` is the event of an EVENT and `data` its arguments; `fault` is the error when they were refused.
    """

    kind: SocketIoPacketKind
    nsp: str
    size: int
    id: int | None = None
    attachments: int = 0
    name: str = ""
    data: Any = None
    fault: CommandError | None = None

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        return f"Packet({self.kind.name}, {self.nsp!r}, {self.size} bytes)"

    @property
    def address(self) -> str:
        """Address of the answer: the text between the type and the JSON of an acknowledgement."""
        return address(self.nsp, self.id)


def address(nsp: str, ack: int | None) -> str:
    """Encode the Socket.IO namespace and the acknowledgement id; without an id no answer is awaited."""
    return f"{'' if nsp == ROOT else f'{nsp},'}{'' if ack is None else ack}"


def parse(text: bytes) -> SocketIoPacket:
    """Parse the text of a packet.

    Raises:
        PacketError: it is no packet that a client may send.
    """
    head = _HEAD.match(text)
    if head is None:
        raise PacketError("no packet")
    kind, count, nsp, ack = head.groups()
    packet = SocketIoPacket(
        kind=SocketIoPacketKind(int(kind)),
        nsp=(nsp or b"/").decode(),
        size=len(text),
        id=int(ack) if ack is not None else None,
        attachments=_count(int(kind), count),
    )
    return _with_data(packet, text[head.end() :])


def _count(kind: int, count: bytes | None) -> int:
    if kind not in {SocketIoPacketKind.BINARY_EVENT, SocketIoPacketKind.BINARY_ACK}:
        return 0
    if count is None or int(count) > MAX_ATTACHMENTS:
        raise PacketError("attachments")
    return int(count)


def _with_data(packet: SocketIoPacket, json: bytes) -> SocketIoPacket:
    """Add the payload, checked for the type of the packet."""
    try:
        return _checked(packet, strict_json.parse(json) if json else None)
    except CommandError as fault:
        if fault.detail == strict_json.NOT_JSON or packet.kind not in _EVENTS:
            raise PacketError("payload") from None
        fault.command_id = packet.address
        return msgspec.structs.replace(packet, fault=fault)


def _checked(packet: SocketIoPacket, data: Any) -> SocketIoPacket:
    match packet.kind:
        case SocketIoPacketKind.CONNECT if data is None or isinstance(data, dict):
            return msgspec.structs.replace(packet, data=data or {})
        case SocketIoPacketKind.DISCONNECT if data is None:
            return packet
        case SocketIoPacketKind.EVENT | SocketIoPacketKind.BINARY_EVENT if (
            isinstance(data, list) and data
        ):
            name, *arguments = data
            if isinstance(name, str) and name not in RESERVED and len(name) <= MAX_EVENT:
                return msgspec.structs.replace(packet, name=name, data=arguments)
        case SocketIoPacketKind.ACK | SocketIoPacketKind.BINARY_ACK if (
            isinstance(data, list) and packet.id is not None
        ):
            return msgspec.structs.replace(packet, data=data)
        case _:
            pass
    raise PacketError("payload")


# -- encoding


def connected(nsp: str, sid: str) -> bytes:
    """Encode that the client has entered a Socket.IO namespace."""
    return b"0" + address(nsp, None).encode() + _encode({"sid": sid})


def connect_error(nsp: str, message: str, code: str | None = None) -> bytes:
    """Encode that the client is not admitted to a Socket.IO namespace."""
    data = {"message": message} if code is None else {"message": message, "data": {"code": code}}
    return b"4" + address(nsp, None).encode() + _encode(data)


def disconnected(nsp: str) -> bytes:
    """Encode that the client has left a Socket.IO namespace, and must not reconnect by itself."""
    return b"1" + address(nsp, None).encode()


def event(nsp: str, name: str, arguments: Sequence[Any], ack: int | None = None) -> Payload:
    """Encode an event with its arguments."""
    return _words(b"2", b"5", address(nsp, ack), [name, *arguments])


def acknowledgement(address: str, arguments: Sequence[Any]) -> Payload:
    """Encode the answer to an event, at the address it came with."""
    return _words(b"3", b"6", address, list(arguments))


def _words(plain: bytes, binary: bytes, address: str, data: list[Any]) -> Payload:
    packed, attachments = pack(data)
    text = address.encode() + _encode(packed)
    if not attachments:
        return plain + text
    return MultipartPayload(b"%s%d-%s" % (binary, len(attachments), text), attachments)


def prepared(
    nsp: str, name: str, arguments: Sequence[Any], attachments: tuple[bytes, ...]
) -> Payload:
    """Encode an event whose arguments were packed before."""
    text = address(nsp, None).encode() + _encode([name, *arguments])
    if not attachments:
        return b"2" + text
    return MultipartPayload(b"5%d-%s" % (len(attachments), text), attachments)
