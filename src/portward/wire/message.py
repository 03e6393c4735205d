"""Frames that a server sends, and messages: framed once, written to every recipient as the same bytes.

Frames and the body of a close frame follow RFC 6455, sections 5.2 and 7.4.
"""

from collections.abc import Callable, Iterator, Sequence
from struct import pack
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

import portward.wire.deflate as deflate
from portward.model.disconnects import Disconnect
from portward.model.payload import MultipartPayload, Payload
from portward.wire.errors import WireFault

ENGINE_MESSAGE: Final = b"4"
"""Type character of a text message in Engine.IO, protocol 4; binary messages have none."""


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

_TEXT: Final = FIN | TEXT
_BINARY: Final = FIN | BINARY
_DEFLATED: Final = FIN | RSV1 | TEXT
_TEXT_KIND: Final = (False,)


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


class WireMessage(msgspec.Struct):
    """One or more payloads, and all their frames in a row.

    `frame` is written to a socket; `payloads` go through a server that frames by itself, each as text
    or, where `kinds` is True, as bytes. `weight` is how many publications it counts as in a queue. A
    message with a `key` replaces an earlier one with the same key that is still queued for a slow peer.
    """

    payloads: tuple[bytes, ...]
    kinds: tuple[bool, ...]
    frame: bytes
    weight: int = 1
    key: str | None = None

    @property
    def binary(self) -> bool:
        """Whether the first payload is binary."""
        return self.kinds[0]

    def parts(self) -> Iterator[tuple[bytes, bool]]:
        """Each payload, and whether it is binary."""
        return zip(self.payloads, self.kinds, strict=True)

    def __repr__(self) -> str:
        kind = "binary" if self.binary else "text"
        return f"<Message {kind} x{len(self.payloads)}, {len(self.frame)} bytes>"


def text(payload: bytes) -> WireMessage:
    """Frame UTF-8 text."""
    return WireMessage((payload,), (False,), frame(_TEXT, payload))


def binary(payload: bytes) -> WireMessage:
    """Frame binary data."""
    return WireMessage((payload,), (True,), frame(_BINARY, payload))


def deflated(payload: bytes) -> WireMessage:
    """Frame UTF-8 text compressed, for connections that negotiated it.

    No message is a context for compressing the next, so that one frame serves every recipient
    and the size of a message shows nothing about another.
    """
    return WireMessage((payload,), (False,), frame(_DEFLATED, deflate.compress(payload)))


class FrameBuilder(NamedTuple):
    """Functions that turn the payloads of a protocol into messages for one kind of transport."""

    text: Callable[[Payload], WireMessage]
    deflated: Callable[[Payload], WireMessage]
    binary: Callable[[bytes], WireMessage]


def framing(mark: bytes = b"") -> FrameBuilder:
    """Make a frame builder that puts `mark` in front of each text."""

    def with_text(payload: Payload) -> WireMessage:
        if isinstance(payload, MultipartPayload):
            return _multipart(payload, mark, text)
        marked = mark + payload
        return WireMessage((marked,), _TEXT_KIND, frame(_TEXT, marked))

    def with_deflated(payload: Payload) -> WireMessage:
        if isinstance(payload, MultipartPayload):
            return _multipart(payload, mark, deflated)
        return deflated(mark + payload)

    return FrameBuilder(with_text, with_deflated, binary)


def _multipart(
    payload: MultipartPayload, mark: bytes, framed: Callable[[bytes], WireMessage]
) -> WireMessage:
    """Join text and its attachments into one publication that no other message can divide."""
    parts = [framed(mark + payload.text), *(binary(each) for each in payload.attachments)]
    rest = payload.then
    if rest is not None:
        parts.append(
            _multipart(rest, mark, framed)
            if isinstance(rest, MultipartPayload)
            else framed(mark + rest)
        )
    whole = join(parts)
    return WireMessage(whole.payloads, whole.kinds, whole.frame)


PLAIN: Final = framing()
"""WebSocket messages without a mark."""
ENGINE: Final = framing(ENGINE_MESSAGE)
"""Messages of Engine.IO."""


def with_conflation_key(message: WireMessage, key: str) -> WireMessage:
    """The same message with a key: it replaces an earlier one with this key."""
    return replace(message, key=key)


def join(messages: Sequence[WireMessage]) -> WireMessage:
    """Join several messages into one write.

    Raises:
        ValueError: there are none.
    """
    if len(messages) == 1:
        return messages[0]
    if not messages:
        raise ValueError("there is nothing to join")
    return WireMessage(
        tuple(payload for each in messages for payload in each.payloads),
        tuple(kind for each in messages for kind in each.kinds),
        b"".join([each.frame for each in messages]),
        weight=sum(each.weight for each in messages),
    )
