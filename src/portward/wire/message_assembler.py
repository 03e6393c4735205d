"""Assembles messages from data frames, by RFC 6455 sections 5.4 and 8.1, and RFC 7692."""

import codecs
from typing import Final

import portward.wire.deflate as deflate
from portward.model.disconnects import Disconnect
from portward.model.limits import FRAGMENTS
from portward.wire.errors import WireFault
from portward.wire.message import BINARY, TEXT

CONTINUATION: Final = 0x0
RSV1: Final = 4
"""The first reserved bit in the argument `rsv`, which holds all three as one number."""

_utf8 = codecs.getincrementaldecoder("utf-8")


class MessageAssembler:
    """Collects the fragments of one message at a time.

    `limit` is the size of a message in bytes, inflated or not, and may be changed between frames.
    `compression` tells that the extension was negotiated. After a `WireFault` it cannot be used again.
    """

    __slots__ = (
        "_compressed",
        "_decoder",
        "_parts",
        "_size",
        "binary",
        "compression",
        "limit",
        "unfinished",
    )

    def __init__(self, limit: int, *, compression: bool = False) -> None:
        self.limit = limit
        self.compression = compression
        self.binary = False
        self.unfinished = False
        """Whether a message was begun and its last fragment has not come."""
        self._parts: list[bytes] = []
        self._size = 0
        self._compressed = False
        self._decoder: codecs.IncrementalDecoder | None = None

    def feed(self, opcode: int, fin: int, rsv: int, payload: bytes) -> bytes | None:
        """Take one data frame; returns the payload when it completes a message, else None.

        `opcode` is 0 (continuation), 1 (text) or 2 (binary); `binary` then tells which it was.

        Raises:
            WireFault: with the disconnect that the RFC or one of the limits demands.
        """
        if self.unfinished or opcode == CONTINUATION or not fin or rsv:
            return self._collect(opcode, fin, rsv, payload)
        if len(payload) > self.limit:
            raise WireFault(Disconnect.TOO_BIG, "message over the size limit")
        self.binary = opcode == BINARY
        if not self.binary and not payload.isascii():
            _check_text(payload)
        return payload

    def _collect(self, opcode: int, fin: int, rsv: int, payload: bytes) -> bytes | None:
        self._check_order(opcode, rsv)
        parts = self._parts
        if not self.unfinished:
            self._begin(opcode, compressed=rsv == RSV1)
        self._size += len(payload)
        parts.append(payload)
        if self._size > self.limit:
            raise WireFault(Disconnect.TOO_BIG, "message over the size limit")
        if len(parts) > FRAGMENTS:
            raise WireFault(Disconnect.FLOODING, "too many fragments")
        if self._decoder is not None:
            _check_part(self._decoder, payload, final=bool(fin))
        return self._end(parts) if fin else None

    def _check_order(self, opcode: int, rsv: int) -> None:
        if self.unfinished is not (opcode == CONTINUATION):
            raise WireFault(Disconnect.PROTOCOL_ERROR, "fragments out of order")
        if rsv and (rsv != RSV1 or not self.compression or opcode == CONTINUATION):
            raise WireFault(Disconnect.PROTOCOL_ERROR, "reserved bit set")

    def _begin(self, opcode: int, *, compressed: bool) -> None:
        self.unfinished = True
        self.binary = opcode == BINARY
        self._compressed = compressed
        if opcode == TEXT and not compressed:
            self._decoder = _utf8()

    def _end(self, parts: list[bytes]) -> bytes:
        payload = b"".join(parts)
        if self._compressed:
            payload = deflate.inflate(payload, self.limit)
            if not self.binary:
                _check_text(payload)
        self._parts, self._decoder = [], None
        self.unfinished = False
        self._size = 0
        return payload


def _check_text(payload: bytes) -> None:
    try:
        payload.decode()
    except UnicodeDecodeError:
        raise WireFault(Disconnect.INVALID_UTF8, "text is not UTF-8") from None


def _check_part(decoder: codecs.IncrementalDecoder, part: bytes, *, final: bool) -> None:
    """Fail on the first fragment that cannot become UTF-8 any more."""
    try:
        decoder.decode(part, final)
    except UnicodeDecodeError:
        raise WireFault(Disconnect.INVALID_UTF8, "text is not UTF-8") from None
