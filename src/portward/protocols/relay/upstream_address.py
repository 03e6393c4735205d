"""Address of the upstream: resolved once, and checked before a connection is made.

A name in the settings can resolve to anything the operator of its DNS likes, also inside this network.
The connection goes to the address that was checked, so a second answer of the DNS changes nothing.
"""

import asyncio
import socket
from ipaddress import IPv6Address, IPv6Network
from itertools import zip_longest
from typing import Final

from portward.model.errors import Unavailable
from portward.security.address import parse_address

MOST: Final = 4
"""Most addresses of a name that are tried."""
_UNICAST: Final = IPv6Network("2000::/3")
"""The one block of IPv6 that is assigned for the Internet (RFC 4291, section 2.4)."""


def is_public(text: str) -> bool:
    """Tell whether an address is public, not a private, local or special one.

    IPv4 inside IPv6 (mapped, NAT64, 6to4) is checked as the IPv4 address.
    """
    address = parse_address(text)
    if isinstance(address, IPv6Address):
        if address.sixtofour is not None:
            return is_public(str(address.sixtofour))
        if address not in _UNICAST:
            return False
    return address is not None and address.is_global and not _special(address.packed)


def _special(packed: bytes) -> bool:
    """Whether it is IPv4 multicast or reserved (RFC 1112); both count as global. IPv6 has its own block."""
    return len(packed) == 4 and packed[0] >= 0xE0  # noqa: PLR2004 - four bytes, from 224.0.0.0 on


async def find(host: str, port: int, *, allow_private: bool) -> list[str]:
    """Resolve `host`: at most `MOST` addresses, in the resolver's order, alternating between families.

    Raises:
        Unavailable: it does not resolve, or one of its addresses is not public and has to be.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Unavailable("upstream name does not resolve") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not addresses:
        raise Unavailable("upstream name does not resolve")
    if not allow_private and not all(map(is_public, addresses)):
        raise Unavailable("upstream address is private")
    return _turns(addresses)[:MOST]


def _turns(addresses: list[str]) -> list[str]:
    """Alternate the families, so that an unreachable family does not use up all tries."""
    six = ":" in addresses[0]
    first = [each for each in addresses if (":" in each) == six]
    other = [each for each in addresses if (":" in each) != six]
    return [each for pair in zip_longest(first, other) for each in pair if each is not None]
