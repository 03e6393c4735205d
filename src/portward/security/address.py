"""Who is calling: the one address that limits, caps, bans and logs go by.

A forwarding header is a claim anybody can make. It is believed only from a proxy the operator
named, only the one header the operator chose, and only as far as trusted hands wrote it: read from
the right.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Final, TypeAlias

import msgspec

from portward.security.forwarded import node_from, split_from_right

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

UNKNOWN: Final = "unknown"
"""What stands in place of an address that cannot be read: a Unix socket has none."""
MAX_HOPS: Final = 10
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
_EMBEDDED_BITS: Final = 32
_EMBEDDED_PREFIX: Final = 96
_PORT_DIGITS: Final = 5
_PROTO: Final = "x-forwarded-proto"
_CLAIMS: Final = frozenset(
    {
        "x-forwarded-for",
        "forwarded",
        "x-real-ip",
        _PROTO,
        "x-client-ip",
        "cf-connecting-ip",
        "true-client-ip",
    }
)


class ForwardedHeader(StrEnum):
    """The header the operator's proxy writes the client's address into."""

    X_FORWARDED_FOR = "x-forwarded-for"
    FORWARDED = "forwarded"
    X_REAL_IP = "x-real-ip"


class ClientAddress(msgspec.Struct, frozen=True):
    """`address` is the client as far as it is known, `peer` the other end of the socket.

    `ignored`: the peer is no trusted proxy and still sent a forwarding header. `scheme` is what a
    trusted proxy says the client used, `http` or `https`; None when nobody trusted said so.
    """

    address: str
    peer: str
    ignored: bool = False
    scheme: str | None = None


@lru_cache(maxsize=4096)
def parse_address(text: str) -> Address | None:
    """Read an address; zone ids are dropped and embedded IPv4 (mapped, NAT64) is taken out.

    None when the text is no address.
    """
    bare, zone, _ = text.partition("%")
    try:
        found = ipaddress.ip_address(bare)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address):
        return _unmapped(found)
    return None if zone else found


def _unmapped(found: ipaddress.IPv6Address) -> Address:
    if found in _MAPPED or found in _NAT64:
        return ipaddress.IPv4Address(int(found) & (2**_EMBEDDED_BITS - 1))
    return found


def _parse_network(text: str) -> Network:
    """A CIDR block in the family its addresses have once they are unmapped."""
    network = ipaddress.ip_network(text)
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= _EMBEDDED_PREFIX:
        inner = _unmapped(network.network_address)
        if isinstance(inner, ipaddress.IPv4Address):
            return ipaddress.IPv4Network((inner, network.prefixlen - _EMBEDDED_PREFIX))
    return network


class AddressRules:
    """How the client's address is found: the trusted proxies and the header they write.

    Raises:
        ValueError: a network or the header's name does not parse; the text names it.
    """

    __slots__ = ("_header", "_networks")

    def __init__(
        self, trusted: Iterable[str] = (), header: str = ForwardedHeader.X_FORWARDED_FOR
    ) -> None:
        self._header = ForwardedHeader(header)
        self._networks = tuple(_parse_network(text) for text in trusted)

    def trusts(self, address: Address) -> bool:
        """Tell whether the address is one of the operator's proxies."""
        return any(address in network for network in self._networks)

    def derive(self, peer: str, headers: Sequence[tuple[str, str]]) -> ClientAddress:
        """Find the client. `headers` are lower-case names with their values, in order.

        Names with an underscore are never looked at: some servers in between read them as if they
        had a hyphen, which is a way past a proxy that only cleans the real name.
        """
        nearest = parse_address(peer)
        if nearest is None or not self.trusts(nearest):
            claimed = any(name in _CLAIMS for name, _ in headers)
            return ClientAddress(_text(nearest), _text(nearest), ignored=claimed)
        client = self._walk(nearest, [value for name, value in headers if name == self._header])
        return ClientAddress(str(client), str(nearest), scheme=_scheme(headers))

    def _walk(self, nearest: Address, values: Sequence[str]) -> Address:
        """From the right to the first address that is not a trusted proxy, at most ten hops.

        An entry that does not parse ends the walk: whoever wrote it cannot be trusted to have
        copied what is left of it.
        """
        last = nearest
        for _, entry in zip(range(MAX_HOPS), self._entries(values), strict=False):
            hop = _parse_node(entry)
            if hop is None:
                break
            last = hop
            if not self.trusts(hop):
                break
        return last

    def _entries(self, values: Sequence[str]) -> Iterator[str]:
        if not values:
            return
        joined = ",".join(values)
        if self._header is ForwardedHeader.FORWARDED:
            for element in split_from_right(joined):
                yield node_from(element)
        else:
            yield from (entry.strip(" \t") for entry in reversed(joined.rsplit(",", MAX_HOPS)))


def _parse_node(text: str) -> Address | None:
    """An address as proxies write it: bare, `v4:port`, `[v6]` or `[v6]:port`."""
    if text.startswith("["):
        inside, bracket, port = text[1:].partition("]")
        sound = bool(bracket) and ":" in inside and (not port or _is_port(port))
        return parse_address(inside) if sound else None
    if text.count(":") == 1:
        text, _, port = text.partition(":")
        return parse_address(text) if _is_port(f":{port}") else None
    return parse_address(text)


def _is_port(text: str) -> bool:
    digits = text[1:]
    return (
        text.startswith(":")
        and 0 < len(digits) <= _PORT_DIGITS
        and digits.isascii()
        and digits.isdigit()
    )


def _scheme(headers: Sequence[tuple[str, str]]) -> str | None:
    """The right-most value is the nearest proxy's own; any left of it may be the client's."""
    values = [value for name, value in headers if name == _PROTO]
    if not values:
        return None
    scheme = values[-1].rpartition(",")[2].strip(" \t").lower()
    return scheme if scheme in {"http", "https"} else None


def _text(address: Address | None) -> str:
    return UNKNOWN if address is None else str(address)


@lru_cache(maxsize=4096)
def limit_keys(address: str) -> tuple[str, ...]:
    """The buckets an address is counted in, tightest first.

    IPv4 counts alone. One customer owns at least a /64 of IPv6, so that is one bucket, and the /48
    around it a second, to be given more room.
    """
    found = parse_address(address)
    if found is None:
        return (UNKNOWN,)
    if isinstance(found, ipaddress.IPv4Address):
        return (str(found),)
    return (_prefix(found, 64), _prefix(found, 48))


@lru_cache(maxsize=4096)
def mask(address: str) -> str:
    """The address as logs may show it: `192.168.1.xxx`, or the /48 of IPv6."""
    found = parse_address(address)
    if found is None:
        return UNKNOWN
    if isinstance(found, ipaddress.IPv4Address):
        return f"{str(found).rpartition('.')[0]}.xxx"
    return _prefix(found, 48)


def _prefix(address: ipaddress.IPv6Address, bits: int) -> str:
    kept = int(address) >> (128 - bits) << (128 - bits)
    return f"{ipaddress.IPv6Address(kept)}/{bits}"
