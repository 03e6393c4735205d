"""Frames a server sends, as bytes, and the body of a close frame (RFC 6455 sections 5.2, 7.4)."""

from struct import pack
from typing import Final

from portward.model.disconnects import Disconnect
from portward.wire.errors import WireFault

FIN: Final = 0x80
RSV1: Final = 0x40
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8

CONTROL_SIZE: Final = 125
"""Longest payload of a control frame, in bytes."""
NO_STATUS: Final = 1005
"""Code for a close frame without a body; never sent."""

_SHORT: Final = 126
_MEDIUM: Final = 1 << 16
_CODES: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})
_OWN_CODES: Final = range(3000, 5000)

PING: Final = b"\x89\x00"


def frame(first: int, payload: bytes) -> bytes:
    """Build one unmasked frame; `first` is its first byte: FIN, reserved bits and opcode."""
    size = len(payload)
    if size < _SHORT:
        return bytes((first, size)) + payload
    if size < _MEDIUM:
        return pack(">BBH", first, 126, size) + payload
    return pack(">BBQ", first, 127, size) + payload


def pong(payload: bytes) -> bytes:
    """Build the answer to a ping that carried `payload`."""
    return frame(0x8A, payload)


def close(code: int, reason: str = "") -> bytes:
    """Build a close frame; 1005 makes one without a body. A reason too long for the frame is cut."""
    if code == NO_STATUS:
        return frame(FIN | CLOSE, b"")
    text = reason.encode()[: CONTROL_SIZE - 2].decode(errors="ignore")
    return frame(FIN | CLOSE, pack(">H", code) + text.encode())


def close_code(body: bytes) -> int:
    """Read the code of a close frame, 1005 when there is none.

    Raises:
        WireFault: half a code, one that must not be sent, or a reason that is not UTF-8.
    """
    if not body:
        return NO_STATUS
    code = int.from_bytes(body[:2], "big")
    if len(body) == 1 or not (code in _CODES or code in _OWN_CODES):
        raise WireFault(Disconnect.PROTOCOL_ERROR, "invalid close code")
    try:
        body[2:].decode()
    except UnicodeDecodeError:
        raise WireFault(Disconnect.INVALID_UTF8, "close reason is not UTF-8") from None
    return code
