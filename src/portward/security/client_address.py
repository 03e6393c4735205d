"""Who is calling: the one address that limits, caps, bans and logs go by.

A forwarding header is a claim anybody can make. It is believed only from a proxy the operator
named, only the one header the operator chose, and only as far as trusted hands wrote it: read from
the right.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

import msgspec

from portward.model.request import UNIX_PEER
from portward.security.address import UNKNOWN, Address, parse_address, unmapped
from portward.security.forwarded import parse_element, split_from_right, split_list

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

UNIX: Final = UNIX_PEER
"""How the other end of a Unix socket is written among trusted proxies."""
MAX_HOPS: Final = 10
_EMBEDDED_PREFIX: Final = 96
_PORT_DIGITS: Final = 5
_PROTO: Final = "x-forwarded-proto"
_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
"""What proxies call the scheme of the client's connection, and what it comes to."""
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


_UNTRUSTED: Final = "the peer is no trusted proxy"
_UNTRUSTED_UNIX: Final = 'the Unix socket\'s peer is no trusted proxy; "unix:" makes it one'


class ForwardedHeader(StrEnum):
    """The header the operator's proxy writes the client's address into."""

    X_FORWARDED_FOR = "x-forwarded-for"
    FORWARDED = "forwarded"
    X_REAL_IP = "x-real-ip"


class ClientAddress(msgspec.Struct, frozen=True):
    """`address` is the client as far as it is known, `peer` the other end of the socket.

    `ignored`: the peer is no trusted proxy and still sent a forwarding header. `scheme` is what a
    trusted proxy says the client used, `http` or `https`; None when none said so. `claim` is where that
    was looked for and what was there, for the log: it may hold a client's own text.
    """

    address: str
    peer: str
    ignored: bool = False
    scheme: str | None = None
    claim: str = ""


class _Hop(NamedTuple):
    """One entry of the forwarding header: the address it names, and the scheme where it has one."""

    address: Address | None
    proto: str = ""


def _parse_network(text: str) -> Network:
    """A CIDR block in the family its addresses have once they are unmapped."""
    network = ipaddress.ip_network(text)
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= _EMBEDDED_PREFIX:
        inner = unmapped(network.network_address)
        if isinstance(inner, ipaddress.IPv4Address):
            return ipaddress.IPv4Network((inner, network.prefixlen - _EMBEDDED_PREFIX))
    return network


class AddressRules:
    """How the client's address is found: the trusted proxies and the header they write.

    Raises:
        ValueError: a network or the header's name does not parse; the text names it.
    """

    __slots__ = ("_header", "_networks", "_unix")

    def __init__(
        self, trusted: Iterable[str] = (), header: str = ForwardedHeader.X_FORWARDED_FOR
    ) -> None:
        entries = tuple(trusted)
        self._header = ForwardedHeader(header)
        self._unix = UNIX in entries
        self._networks = tuple(_parse_network(text) for text in entries if text != UNIX)

    def trusts(self, address: Address) -> bool:
        """Tell whether the address is one of the operator's proxies."""
        return any(address in network for network in self._networks)

    def trusts_peer(self, peer: str) -> bool:
        """Tell whether the other end of a socket, as text, is one of the operator's proxies."""
        if peer == UNIX:
            return self._unix
        address = parse_address(peer)
        return address is not None and self.trusts(address)

    def derive(
        self,
        peer: str,
        headers: Sequence[tuple[str, str]],
        *,
        via: str = "",
        scheme: str | None = None,
    ) -> ClientAddress:
        """Find the client. `headers` are lower-case names with their values, in order.

        `via` and `scheme` come from a PROXY header, see `model.request.Peer`. The client it names is not
        believed about its address, only a further proxy behind it would be; where it names none, nobody is.
        What is said of the scheme is believed as the proxy's word: whoever lies there harms nobody else.

        Names with an underscore are never looked at: some servers in between read them as if they
        had a hyphen, which is a way past a proxy that only cleans the real name.
        """
        nearest = parse_address(peer)
        if via and (via == peer or not self.trusts_peer(peer)):
            return self._named(nearest, headers, scheme)
        if not self.trusts_peer(peer):
            claimed = any(name in _CLAIMS for name, _ in headers)
            claim = _UNTRUSTED_UNIX if peer == UNIX else _UNTRUSTED
            return ClientAddress(_text(nearest), _text(nearest), ignored=claimed, claim=claim)
        found = self._walk(nearest, [value for name, value in headers if name == self._header])
        said, claim = self._scheme(found, headers)
        address = _text(found.address)
        return ClientAddress(address, _text(nearest), scheme=scheme or said, claim=claim)

    def _named(
        self, nearest: Address | None, headers: Sequence[tuple[str, str]], scheme: str | None
    ) -> ClientAddress:
        """The client that a PROXY header has named, if it has."""
        values = [value for name, value in headers if name == self._header]
        proto = next((hop.proto for hop in self._hops(values)), "")
        said, claim = self._scheme(_Hop(nearest, proto), headers)
        if scheme is not None:
            said, claim = scheme, f"the PROXY header says {scheme}"
        return ClientAddress(_text(nearest), _text(nearest), scheme=said, claim=claim)

    def _walk(self, nearest: Address | None, values: Sequence[str]) -> _Hop:
        """From the right to the first address that is not a trusted proxy, at most ten hops.

        An entry that does not parse ends the walk: whoever wrote it cannot be trusted to have
        copied what is left of it. Where the first one names no address, it still names the scheme: the
        trusted peer wrote it.
        """
        last = _Hop(nearest)
        for number, hop in zip(range(MAX_HOPS), self._hops(values), strict=False):
            if hop.address is None:
                return _Hop(nearest, hop.proto) if number == 0 else last
            last = hop
            if not self.trusts(hop.address):
                break
        return last

    def _hops(self, values: Sequence[str]) -> Iterator[_Hop]:
        joined = ",".join(values)
        if self._header is ForwardedHeader.FORWARDED:
            for text in split_from_right(joined):
                element = parse_element(text)
                yield _Hop(_parse_node(element.node), element.proto)
        else:
            yield from (_Hop(_parse_node(entry)) for entry in split_list(joined))

    def _scheme(self, hop: _Hop, headers: Sequence[tuple[str, str]]) -> tuple[str | None, str]:
        """The scheme the client used, and what was said of it, for the log.

        With `Forwarded` it stands beside the address. Else the right-most value of X-Forwarded-Proto is
        the nearest proxy's own; any left of it may be the client's.
        """
        if self._header is ForwardedHeader.FORWARDED:
            name, said = "proto of Forwarded", hop.proto
        else:
            joined = ",".join(value for header, value in headers if header == _PROTO)
            name, said = _PROTO, next(split_list(joined), "")
        if not said:
            return None, f"no {name} came"
        return _SCHEMES.get(said.lower()), f"{name} is {said!r}"


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


def _text(address: Address | None) -> str:
    return UNKNOWN if address is None else str(address)
