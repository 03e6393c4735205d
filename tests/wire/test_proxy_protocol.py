import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.wire.proxy_protocol import (
    LONGEST_BLOCK,
    SIGNATURE,
    ProxyHeader,
    ProxyHeaderError,
    ProxyHeaderReader,
)

LINE = b"PROXY TCP4 203.0.113.7 10.0.0.1 51234 443\r\n"
FOUR = socket.inet_aton("203.0.113.7") + socket.inet_aton("10.0.0.1") + struct.pack("!HH", 5, 443)
SIX = (
    socket.inet_pton(socket.AF_INET6, "2001:db8::7")
    + socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    + struct.pack("!HH", 5, 443)
)


def block(body: bytes = FOUR, *, command: int = 0x21, kind: int = 0x11) -> bytes:
    """A header of version 2."""
    return SIGNATURE + struct.pack("!BBH", command, kind, len(body)) + body


def entry(kind: int, value: bytes) -> bytes:
    """One of the entries after the addresses."""
    return struct.pack("!BH", kind, len(value)) + value


def tls(used: int, rest: bytes = b"") -> bytes:
    """The entry about TLS."""
    return entry(0x20, struct.pack("!BI", used, 0) + rest)


def read(data: bytes, size: int = 0) -> tuple[ProxyHeader | None, int]:
    """The header at the start of `data`, fed in pieces of at most `size`, and how many bytes it took."""
    reader, taken = ProxyHeaderReader(), 0
    while taken < len(data):
        assert reader.wanted > 0
        piece = data[taken : taken + min(reader.wanted, size or reader.wanted)]
        taken += len(piece)
        header = reader.feed(piece)
        if header is not None:
            return header, taken
    return None, taken


@pytest.mark.parametrize("size", [0, 1, 2, 7, 15])
@pytest.mark.parametrize(
    ("data", "header"),
    [
        (LINE, ProxyHeader("203.0.113.7")),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 0 65535\r\n", ProxyHeader("2001:db8::7")),
        (b"PROXY TCP6 2001:DB8:0::7 ::1 1 2\r\n", ProxyHeader("2001:db8::7")),
        (b"PROXY UNKNOWN\r\n", ProxyHeader()),
        (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", ProxyHeader()),
        (b"PROXY UNKNOWN whatever it says\r\n", ProxyHeader()),
        (block(), ProxyHeader("203.0.113.7")),
        (block(SIX, kind=0x21), ProxyHeader("2001:db8::7")),
        (block(b"", command=0x20, kind=0), ProxyHeader()),
        (block(FOUR, command=0x20), ProxyHeader()),
        (block(b"\xff" * 50, command=0x20, kind=0xFF), ProxyHeader()),
        (block(b"", kind=0), ProxyHeader()),
        (block(b"\0" * 216, kind=0x31), ProxyHeader()),
        (block(FOUR + tls(1)), ProxyHeader("203.0.113.7", "https")),
        (block(FOUR + tls(7, entry(0x21, b"TLSv1.3"))), ProxyHeader("203.0.113.7", "https")),
        (block(FOUR + tls(0)), ProxyHeader("203.0.113.7", "http")),
        (block(SIX + tls(1), kind=0x21), ProxyHeader("2001:db8::7", "https")),
        (block(FOUR + entry(4, b"") + entry(0xEA, b"vpce-1")), ProxyHeader("203.0.113.7")),
        (block(FOUR + entry(3, b"abcd") + tls(1)), ProxyHeader("203.0.113.7", "https")),
        (block(FOUR + entry(4, b"x" * (LONGEST_BLOCK - 15))), ProxyHeader("203.0.113.7")),
    ],
)
def test_a_header_is_read_and_no_byte_beyond_it(
    data: bytes, header: ProxyHeader, size: int
) -> None:
    """Both versions, in one piece or many; what follows is left for whoever comes next."""
    assert read(data + b"GET / HTTP/1.1\r\n", size) == (header, len(data))


@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\n\r\n",
        b"PROXYTCP4 1.2.3.4 1.2.3.4 1 1\r\n",
        b"proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n",
        b"PROXY  TCP4 1.2.3.4 1.2.3.4 1 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 -1 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 \xb2\r\n",
        b"PROXY TCP4 1.2.3.04 1.2.3.4 1 1\r\n",
        b"PROXY TCP4 1.2.3 1.2.3.4 1 1\r\n",
        b"PROXY TCP4 ::1 ::1 1 1\r\n",
        b"PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n",
        b"PROXY TCP4 1.2.3.4 evil 1 1\r\n",
        b"PROXY TCP6 fe80::1%eth0 ::1 1 1\r\n",
        b"PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n",
        b"PROXY \r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n" + b"x" * 107,
        b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
        b"\x16\x03\x01\x02\x00",
        b"\x00",
        b"\r\n\r\n\0\r\nQUIT\r",
        SIGNATURE + b"\x11\x11\x00\x0c" + FOUR,
        SIGNATURE + b"\x31\x11\x00\x0c" + FOUR,
        block(command=0x22),
        block(kind=0x12),
        block(kind=0x10),
        block(kind=0x41),
        block(FOUR[:11]),
        block(SIX[:35], kind=0x21),
        block(b"\0" * 215, kind=0x31),
        block(FOUR + b"\x20"),
        block(FOUR + b"\x20\x00\x05\x01"),
        block(FOUR + entry(0x20, b"\x01")),
        block(FOUR + tls(1) + tls(0)),
        block(FOUR + b"\x04\xff\xff"),
        SIGNATURE + struct.pack("!BBH", 0x21, 0x11, LONGEST_BLOCK + 1),
        SIGNATURE + struct.pack("!BBH", 0x20, 0x00, 65535),
    ],
)
def test_what_is_no_header_is_refused(data: bytes, size: int) -> None:
    """As soon as that is certain, and before more than a header's length is held."""
    with pytest.raises(ProxyHeaderError):
        read(data, size)


@pytest.mark.parametrize("data", [LINE, block(), block(FOUR + tls(1))])
def test_a_part_of_a_header_is_waited_for(data: bytes) -> None:
    """Every shorter beginning of a good header is held, and is no error."""
    for size in range(len(data)):
        assert read(data[:size]) == (None, size)


@given(st.binary(max_size=80), st.integers(1, 20))
def test_no_bytes_raise_anything_else(data: bytes, size: int) -> None:
    """Whatever comes is a header, a part of one, or refused."""
    for given_ in (data, SIGNATURE + data, b"PROXY " + data, block(FOUR + data)):
        try:
            read(given_, size)
        except ProxyHeaderError:
            continue
