"""Find the client's address, which rate limits, connection caps, bans and logs use.

A client can forge a forwarding header. It is used only when a trusted proxy sent it, only the one
configured header, and only from the right end up to the first address that is no trusted proxy.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

import msgspec

from portward.model.request import UNIX_PEER
from portward.security.address import UNKNOWN, Address, parse_address, unmapped
from portward.security.forwarded import parse_element, split_from_right, split_list

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Headers: TypeAlias = Mapping[str, Sequence[str]]

UNIX: Final = UNIX_PEER
"""The entry among trusted proxies that stands for the peer of a Unix socket."""
MAX_HOPS: Final = 10
_EMBEDDED_PREFIX: Final = 96
_PORT_DIGITS: Final = 5
_PROTO: Final = "x-forwarded-proto"
_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
"""Schemes as proxies write them, and the HTTP scheme that each one means."""
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
    """The header in which the operator's proxy writes the client's address."""

    X_FORWARDED_FOR = "x-forwarded-for"
    FORWARDED = "forwarded"
    X_REAL_IP = "x-real-ip"


class ClientAddress(msgspec.Struct, frozen=True):
    """The client's address as far as it is known, with `peer`, the address at the other end of the socket.

    `ignored` is true when the peer is no trusted proxy but sent a forwarding header. `scheme` is the scheme
    that a trusted proxy reported, `http` or `https`; None without such a report. `claim` is the source of
    the scheme and its value, for the log; it may contain text of the client.
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
    """Parse a CIDR block; a block of embedded IPv4 addresses becomes an IPv4 network."""
    network = ipaddress.ip_network(text)
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= _EMBEDDED_PREFIX:
        inner = unmapped(network.network_address)
        if isinstance(inner, ipaddress.IPv4Address):
            return ipaddress.IPv4Network((inner, network.prefixlen - _EMBEDDED_PREFIX))
    return network


class AddressRules:
    """The rules that find the client's address: the trusted proxies and the header they write.

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
        """Return whether the address is one of the trusted proxies."""
        return any(address in network for network in self._networks)

    def trusts_peer(self, peer: str) -> bool:
        """Return whether the peer of a socket, given as text, is one of the trusted proxies."""
        if peer == UNIX:
            return self._unix
        if not self._networks:
            return False
        address = parse_address(peer)
        return address is not None and self.trusts(address)

    def derive(
        self,
        peer: str,
        headers: Headers,
        *,
        via: str = "",
        scheme: str | None = None,
    ) -> ClientAddress:
        """Find the client's address. `headers` are lower-case names with the values of each, in order.

        `via` and `scheme` come from a PROXY header, see `model.request.PeerAddress`. The address that it
        names is the client's; only when this address is itself a trusted proxy, the forwarding header is
        read for an address too. When the PROXY header names no client, it is not read for an address. The
        scheme in HTTP headers is used in all cases: a false one harms only the client that sent it.

        Header names with an underscore are ignored: some servers treat an underscore as a hyphen, so a client
        could bypass a proxy that removes only the name with a hyphen.
        """
        nearest = parse_address(peer)
        if via and (via == peer or not self.trusts_peer(peer)):
            return self._named(nearest, headers, scheme)
        if not self.trusts_peer(peer):
            claim = _UNTRUSTED_UNIX if peer == UNIX else _UNTRUSTED
            address = UNKNOWN if nearest is None else str(nearest)
            claimed = not _CLAIMS.isdisjoint(headers)
            return ClientAddress(address, address, ignored=claimed, claim=claim)
        found = self._walk(nearest, headers.get(self._header, ()))
        said, claim = self._scheme(found, headers)
        address = _text(found.address)
        return ClientAddress(address, _text(nearest), scheme=scheme or said, claim=claim)

    def _named(
        self, nearest: Address | None, headers: Headers, scheme: str | None
    ) -> ClientAddress:
        """Return the address from a PROXY header as the client's, with the scheme."""
        hops = self._hops(headers.get(self._header, ()))
        proto = next((hop.proto for hop in hops), "")
        said, claim = self._scheme(_Hop(nearest, proto), headers)
        if scheme is not None:
            said, claim = scheme, f"the PROXY header says {scheme}"
        return ClientAddress(_text(nearest), _text(nearest), scheme=said, claim=claim)

    def _walk(self, nearest: Address | None, values: Sequence[str]) -> _Hop:
        """Walk from the right to the first address that is not a trusted proxy, at most ten hops.

        An entry that does not parse ends the walk, because the entries to its left cannot be trusted either.
        When the right-most entry names no address, its scheme is still used: the trusted peer wrote it.
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

    def _scheme(self, hop: _Hop, headers: Headers) -> tuple[str | None, str]:
        """Return the scheme that the client used, and its source and value for the log.

        With `Forwarded` the scheme is in the same element as the address. Otherwise it is the right-most
        value of X-Forwarded-Proto, which the nearest proxy wrote; the client may have written the others.
        """
        if self._header is ForwardedHeader.FORWARDED:
            name, said = "proto of Forwarded", hop.proto
        else:
            joined = ",".join(headers.get(_PROTO, ()))
            name, said = _PROTO, next(split_list(joined), "")
        if not said:
            return None, f"no {name} came"
        return _SCHEMES.get(said.lower()), f"{name} is {said!r}"


def _parse_node(text: str) -> Address | None:
    """Parse an address as proxies write it: bare, `v4:port`, `[v6]` or `[v6]:port`."""
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
