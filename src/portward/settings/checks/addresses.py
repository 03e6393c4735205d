"""What is wrong with the address of a service, judged by its text alone. No answer repeats it."""

import re
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

_SIGNS: Final = re.compile(r"[!-\[\]-~]*")
"""Visible ASCII without the backslash, which browsers and libraries read in different ways."""
_NAME: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
_NUMERIC: Final = re.compile(r"(.*\.)?(\d+|0x[0-9a-f]*)", re.ASCII)
"""What resolvers take for an IPv4 address, in whatever spelling."""
_NEAR: Final = tuple(
    ip_network(block)
    for block in (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
        *("::1/128", "fc00::/7", "fe80::/10"),
    )
)


def flaw(url: str, schemes: tuple[str, ...], *, query: bool = False) -> str | None:
    """Say why a text is no address with one of `schemes`; None when it is one.

    It has a host, and neither user-info nor a fragment; a query only where that is allowed.
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
    return "%" not in host  # the zone of an IPv6 address, which only this machine knows


def is_near(url: str) -> bool:
    """Tell whether the host of an address without flaw is on this machine or a network of one's own.

    That is an address that is loopback, private or link-local, a name of one label, or a name in
    `.internal` or `.local`.
    """
    host = (urlsplit(url).hostname or "").removesuffix(".")
    try:
        address = ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".internal", ".local"))
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in _NEAR)
