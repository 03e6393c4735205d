"""permessage-deflate (RFC 7692): negotiation, compression, and inflation that stops at a limit."""

import zlib
from collections.abc import Iterable
from typing import Final

from portward.model.disconnects import Disconnect
from portward.wire.errors import WireFault

MAX_OFFERS: Final = 8
"""Most offers that are read; a client that sends more gets no compression."""
_WINDOW_BITS: Final = 12
"""Window for sending: one frame serves all recipients, whatever window each can use."""
_LEVEL: Final = 6
_MEMORY: Final = 5
_TAIL: Final = b"\x00\x00\xff\xff"
_ENDS: Final = frozenset({b"", _TAIL, b"\x00" + _TAIL})
_ANSWER: Final = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
_BITS: Final = {str(bits): bits for bits in range(8, 16)}


def negotiate(values: Iterable[str]) -> str | None:
    """Answer the values of all `Sec-WebSocket-Extensions` headers; None means no compression.

    Accepts the first offer that can be kept. Linear in the length of the header; an unknown parameter,
    a repeated one or a bad value declines that offer alone (RFC 7692 section 5.1).
    """
    offers = [offer for value in values for offer in value.split(",", MAX_OFFERS)]
    if len(offers) > MAX_OFFERS:
        return None
    for offer in offers:
        name, *parameters = offer.split(";")
        if name.strip() == "permessage-deflate":
            answer = _accept(parameters)
            if answer is not None:
                return answer
    return None


def _accept(parameters: list[str]) -> str | None:
    seen: set[str] = set()
    for parameter in parameters:
        name, equals, text = (part.strip() for part in parameter.partition("="))
        value = _unquoted(text) if equals else None
        if name in seen or not _valid(name, value):
            return None
        seen.add(name)
    if "server_max_window_bits" in seen:
        return f"{_ANSWER}; server_max_window_bits={_WINDOW_BITS}"
    return _ANSWER


def _unquoted(text: str) -> str:
    quoted = len(text) > 1 and text.startswith('"') and text.endswith('"')
    return text[1:-1] if quoted else text


def _valid(name: str, value: str | None) -> bool:
    if name in {"server_no_context_takeover", "client_no_context_takeover"}:
        return value is None
    if name == "client_max_window_bits":
        return value is None or value in _BITS
    if name == "server_max_window_bits":
        return _BITS.get(value or "", 0) >= _WINDOW_BITS
    return False


def compress(payload: bytes) -> bytes:
    """Compress one message by itself (RFC 7692 section 7.2.1)."""
    deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, -_WINDOW_BITS, _MEMORY)
    return (deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH))[: -len(_TAIL)]


def inflate(payload: bytes, limit: int) -> bytes:
    """Inflate a compressed payload to a message of at most `limit` bytes.

    Raises:
        WireFault: TOO_BIG beyond `limit`, PROTOCOL_ERROR when it is no deflate stream.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        message = inflater.decompress(payload + _TAIL, limit + 1)
    except zlib.error:
        raise WireFault(Disconnect.PROTOCOL_ERROR, "bad compressed data") from None
    if len(message) > limit:
        raise WireFault(Disconnect.TOO_BIG, "inflates beyond the limit")
    if inflater.unused_data not in _ENDS:
        # A stream may end with a final block (section 7.2.3.4), and then nothing more follows.
        raise WireFault(Disconnect.PROTOCOL_ERROR, "data after the final block")
    return message
