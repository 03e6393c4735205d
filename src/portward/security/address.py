"""IP addresses: parsing, the keys they are rate limited by, and the masked form for logs."""

import ipaddress
from functools import lru_cache
from typing import Final, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

UNKNOWN: Final = "unknown"
"""The text in place of an address that cannot be parsed; a Unix socket has no address."""
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
_EMBEDDED_BITS: Final = 32


@lru_cache(maxsize=4096)
def parse_address(text: str) -> Address | None:
    """Parse an address; zone ids are dropped and an embedded IPv4 address (mapped, NAT64) is extracted.

    Returns None when the text is no address.
    """
    bare, zone, _ = text.partition("%")
    try:
        found = ipaddress.ip_address(bare)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address):
        return unmapped(found)
    return None if zone else found


def unmapped(found: ipaddress.IPv6Address) -> Address:
    """Return the IPv4 address inside an IPv6 one (mapped or NAT64), else the address itself."""
    if found in _MAPPED or found in _NAT64:
        return ipaddress.IPv4Address(int(found) & (2**_EMBEDDED_BITS - 1))
    return found


@lru_cache(maxsize=4096)
def limit_keys(address: str) -> tuple[str, ...]:
    """Return the keys that an address is counted under, the narrowest first.

    An IPv4 address is one key. One customer usually has at least a /64 of IPv6, so the /64 is the first
    key; the /48 around it is the second, which should have a higher limit.
    """
    found = parse_address(address)
    if found is None:
        return (UNKNOWN,)
    if isinstance(found, ipaddress.IPv4Address):
        return (str(found),)
    return (_prefix(found, 64), _prefix(found, 48))


@lru_cache(maxsize=4096)
def mask(address: str) -> str:
    """Return the address as logs may show it: `192.168.1.xxx`, or the /48 of IPv6."""
    found = parse_address(address)
    if found is None:
        return UNKNOWN
    if isinstance(found, ipaddress.IPv4Address):
        return f"{str(found).rpartition('.')[0]}.xxx"
    return _prefix(found, 48)


def _prefix(address: ipaddress.IPv6Address, bits: int) -> str:
    kept = int(address) >> (128 - bits) << (128 - bits)
    return f"{ipaddress.IPv6Address(kept)}/{bits}"
