"""Checks of a service's address by its text alone. No result contains the address."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

_SIGNS: Final = re.compile(r"[!-\[\]-~]*")
"""Visible ASCII without the backslash, which browsers and libraries parse in different ways."""
_NAME: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
_NUMERIC: Final = re.compile(r"(.*\.)?(\d+|0x[0-9a-f]*)", re.ASCII)
"""All texts that resolvers parse as an IPv4 address."""
_NEAR: Final = tuple(
    ip_network(block)
    for block in (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
        *("::1/128", "fc00::/7", "fe80::/10"),
    )
)

_NAT64: Final = ip_network("64:ff9b::/96")
_UNICAST: Final = ip_network("2000::/3")
"""The only IPv6 block that is assigned for the Internet (RFC 4291 section 2.4)."""


def flaw(url: str, schemes: tuple[str, ...], *, query: bool = False) -> str | None:
    """Return why a text is no address with one of `schemes`; None when it is one.

    It must have a host, and neither user-info nor a fragment; a query only where allowed.
    """
    if not _SIGNS.fullmatch(url):
        return "has a blank, a backslash, or a sign that is not ASCII"
    scheme, mark, rest = url.partition("://")
    if not mark or scheme.lower() not in schemes:
        return f"does not begin with {' or '.join(f'{each}://' for each in schemes)}"
    if "#" in rest:
        return "has a fragment"
    if "?" in rest and not query:
        return "has a query"
    return _authority_flaw(url)


def _authority_flaw(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "has no host, or a port that is no number from 1 to 65535"
    if "@" in parts.netloc:
        return "has a user name or a password in it"
    if port == 0 or parts.netloc.endswith(":"):
        return "has a port that is no number from 1 to 65535"
    return None if _is_host(host) else "has no host"


def _is_host(host: str) -> bool:
    if ":" not in host and not _NUMERIC.fullmatch(host.removesuffix(".")):
        return _NAME.fullmatch(host) is not None
    try:
        ip_address(host)
    except ValueError:
        return False
    return "%" not in host  # an IPv6 zone has a meaning only on this machine


def is_near(url: str) -> bool:
    """Return whether the host of a valid address is on this machine or in a private network.

    That is a loopback, private or link-local address, a name of one label, or a name in `.internal` or
    `.local`.
    """
    host = _host(url)
    address = _literal(host)
    if address is None:
        return "." not in host or host.endswith((".internal", ".local")) or is_here(url)
    return any(address in network for network in _NEAR)


def is_here(url: str) -> bool:
    """Return whether the host of a valid address is this machine."""
    host = _host(url)
    address = _literal(host)
    if address is None:
        return host == "localhost" or host.endswith(".localhost")  # RFC 6761 section 6.3
    return address.is_loopback


def is_private(url: str) -> bool:
    """Return whether the host of a valid address is a non-public IP address, or this machine.

    Non-public are loopback, private, link-local, reserved and multicast addresses.
    """
    address = _literal(_host(url))
    if address is None:
        return is_here(url)
    if isinstance(address, IPv6Address) and address not in _UNICAST:
        return True
    return not address.is_global or address.is_multicast


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").removesuffix(".")


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    """Parse a host that is an IP address; None when it is a name."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return _inner(address) if isinstance(address, IPv6Address) else address


def _inner(address: IPv6Address) -> IPv4Address | IPv6Address:
    """Return the embedded IPv4 address: mapped, 6to4 (RFC 3056), or NAT64 (RFC 6052)."""
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or address
