"""The PROXY protocol, versions 1 and 2: a header in which a proxy describes a connection.

Follows HAProxy's "The PROXY protocol", sections 2.1 and 2.2. The reader gives how many bytes it can take
without one too many: the bytes after the header belong to TLS or to HTTP.
"""

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
"""Start of a header of version 2."""
_FIRST: Final = b"PROXY "
_SHORTEST: Final = len(b"PROXY UNKNOWN\r\n")
"""Bytes of the shortest header of either version."""
_SHORTEST_LINES: Final = {
    b"PROXY TCP4": len(b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n"),
    b"PROXY TCP6": len(b"PROXY TCP6 :: :: 1 1\r\n"),
}
_LONGEST_LINE: Final = 107
LONGEST_BLOCK: Final = 2048
"""Most bytes after the fixed part of version 2: addresses, and entries the proxy adds."""
_FIXED: Final = 16
_LOCAL, _PROXY = 0x20, 0x21
_UNSPECIFIED, _TCP4, _TCP6, _UNIX = 0x00, 0x11, 0x21, 0x31
_SIZES: Final = {_TCP4: 12, _TCP6: 36, _UNIX: 216}
_SSL: Final = 0x20
_SSL_USED: Final = 0x01
_SSL_SIZE: Final = 5
_WORDS: Final = 6
_LAST_PORT: Final = 65535
_NAMES: Final[dict[str, type[IPv4Address | IPv6Address]]] = {
    "TCP4": IPv4Address,
    "TCP6": IPv6Address,
}


class ProxyHeaderError(Exception):
    """The bytes are no acceptable header; the text has the reason, and none of the bytes."""


class ProxyHeader(NamedTuple):
    """Content of a header: the client's address, and whether it used TLS.

    `source` is None where the connection is the proxy's own, as for health checks, or where it does not
    know the client. `scheme` is `https` or `http`; None when the header does not tell.
    """

    source: str | None = None
    scheme: str | None = None


class ProxyHeaderReader:
    """Reads one header from pieces."""

    __slots__ = ("_held", "wanted")

    def __init__(self) -> None:
        self._held = b""
        self.wanted = _SHORTEST
        """Bytes that `feed` takes at most; every one of them belongs to the header."""

    def feed(self, data: bytes) -> ProxyHeader | None:
        """Return the header once it is complete; None before.

        Raises:
            ProxyHeaderError: it is no header, is too long, or is malformed.
        """
        held = self._held = self._held + data
        line = held[:1] == _FIRST[:1]
        self.wanted = _left_of_line(held) if line else _left_of_block(held)
        if self.wanted:
            return None
        return _parse_line(held) if line else _parse_block(held)


def _left_of_line(held: bytes) -> int:
    """Bytes that surely follow in a header of version 1; 0 when it is complete."""
    if not held.startswith(_FIRST[: len(held)]):
        raise ProxyHeaderError("no header")
    if held.endswith(b"\r\n"):
        return 0
    if len(held) >= _LONGEST_LINE:
        raise ProxyHeaderError("the line is too long")
    sure = 1 if held.endswith(b"\r") else 2
    least = _SHORTEST_LINES.get(held[: len(_FIRST) + 4], _SHORTEST)
    return min(max(least - len(held), sure), _LONGEST_LINE - len(held))


def _left_of_block(held: bytes) -> int:
    """Bytes that follow in a header of version 2, as far as is known."""
    if not held.startswith(SIGNATURE[: len(held)]):
        raise ProxyHeaderError("no header")
    if len(held) < _FIXED:
        return _FIXED - len(held)
    command, kind, size = struct.unpack_from("!BBH", held, len(SIGNATURE))
    if command not in {_LOCAL, _PROXY}:
        raise ProxyHeaderError("unknown version or command")
    if command == _PROXY and kind not in {_UNSPECIFIED, *_SIZES}:
        raise ProxyHeaderError("no stream, or an unknown family")
    if size > LONGEST_BLOCK:
        raise ProxyHeaderError("the block is too long")
    return _FIXED + int(size) - len(held)


def _parse_line(line: bytes) -> ProxyHeader:
    words = line[:-2].decode("latin-1").split(" ")
    if words[1] == "UNKNOWN":
        return ProxyHeader()
    kind = _NAMES.get(words[1])
    if kind is None or len(words) != _WORDS or "%" in words[2] or not all(map(_is_port, words[4:])):
        raise ProxyHeaderError("malformed line")
    try:
        source, _ = kind(words[2]), kind(words[3])
    except ValueError:
        raise ProxyHeaderError("malformed address") from None
    return ProxyHeader(str(source))


def _is_port(text: str) -> bool:
    sound = text.isascii() and text.isdigit() and (text == "0" or text[0] != "0")
    return sound and len(text) <= len(str(_LAST_PORT)) and int(text) <= _LAST_PORT


def _parse_block(data: bytes) -> ProxyHeader:
    command, kind = data[len(SIGNATURE)], data[len(SIGNATURE) + 1]
    if command == _LOCAL:
        return ProxyHeader()
    block = data[_FIXED:]
    size = _SIZES.get(kind, 0)
    if len(block) < size:
        raise ProxyHeaderError("addresses are missing")
    scheme = _scheme(block[size:]) if kind != _UNSPECIFIED else None
    if kind == _TCP4:
        return ProxyHeader(str(ip_address(block[:4])), scheme)
    if kind == _TCP6:
        return ProxyHeader(str(ip_address(block[:16])), scheme)
    return ProxyHeader(None, scheme)


def _scheme(rest: bytes) -> str | None:
    """Read the entry about TLS; the other entries are checked and ignored."""
    found: str | None = None
    while rest:
        if len(rest) < 3:  # noqa: PLR2004 - a type and a length
            raise ProxyHeaderError("an entry is cut")
        kind, size = struct.unpack_from("!BH", rest)
        value, rest = rest[3 : 3 + size], rest[3 + size :]
        if len(value) < size or (kind == _SSL and (size < _SSL_SIZE or found is not None)):
            raise ProxyHeaderError("an entry is malformed")
        if kind == _SSL:
            found = "https" if value[0] & _SSL_USED else "http"
    return found
