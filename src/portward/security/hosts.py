"""Parsing of host names in `Origin` and `Host`, and the check of `Host` (RFC 9112 §3.2).

The check prevents DNS rebinding: without it, a page could reach an internal gateway under the page's
own host name.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection

_LONGEST: Final = 253
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?\Z")
_NUMERIC: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?\Z")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}\Z")
_LAST_PORT: Final = 65535


class HostPort(NamedTuple):
    """A host and its port; the port is None when it was not given."""

    host: str
    port: int | None


def parse_host(text: str) -> str:
    """Return the canonical form of a host: lower case, IPv6 compressed and in brackets.

    A trailing dot is kept and makes a different host. A name that browsers parse as an IPv4 address must be
    written as four decimal numbers (WHATWG URL, "ends in a number").

    Raises:
        ValueError: it is no host name and no address, or is not ASCII.
    """
    if not text.isascii():
        raise ValueError("a host is written in ASCII; international names as xn--")
    host = text.lower()
    if host.startswith("["):
        return _bracketed(host)
    if len(host) > _LONGEST or not _NAME.match(host):
        raise ValueError("not a host name")
    return str(ipaddress.IPv4Address(host)) if ends_in_number(host) else host


def ends_in_number(host: str) -> bool:
    """Return whether a browser would parse this name as an IPv4 address."""
    return _NUMERIC.match(host) is not None


def _bracketed(text: str) -> str:
    if not text.endswith("]") or "%" in text:
        raise ValueError("not an IPv6 literal")
    return f"[{ipaddress.IPv6Address(text[1:-1])}]"


def parse_port(text: str) -> int:
    """Parse a port from 1 to 65535 in plain digits, without leading zeros.

    Raises:
        ValueError: anything else.
    """
    if not _PORT.match(text) or int(text) > _LAST_PORT:
        raise ValueError("not a port")
    return int(text)


@lru_cache(maxsize=1024)
def parse_authority(text: str) -> HostPort:
    """Parse `host` or `host:port`. User-info, paths and blanks are not allowed.

    Raises:
        ValueError: it is neither.
    """
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        return HostPort(parse_host(text), None)
    return HostPort(parse_host(host), parse_port(port))


def parse_wildcard(text: str) -> HostPort:
    """Parse the part after `*.` in a pattern; the star stands for exactly one label.

    Raises:
        ValueError: the rest is an address or a top-level name, which would cover foreign domains.
    """
    rest = parse_authority(text)
    if rest.host.startswith("[") or ends_in_number(rest.host):
        raise ValueError("a wildcard cannot stand in an address")
    if "." not in rest.host.rstrip(".") and rest.host != "localhost":
        raise ValueError("a wildcard needs at least two labels after it")
    return rest


class HostPolicy:
    """The `Host` names that this gateway accepts. An empty list accepts every well-formed name.

    An entry is `name`, which covers every port, or `name:port`; `*.name` covers exactly one more label.

    Raises:
        ValueError: an entry does not parse; the text names it.
    """

    __slots__ = ("_exact", "_open", "_wild")

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._exact: set[HostPort] = set()
        self._wild: set[HostPort] = set()
        for entry in allowed:
            self._add(entry)
        self._open = not self._exact and not self._wild

    def _add(self, entry: str) -> None:
        try:
            if entry.startswith("*."):
                self._wild.add(parse_wildcard(entry[2:]))
            else:
                self._exact.add(parse_authority(entry))
        except ValueError as error:
            raise ValueError(f"not an allowed host: {entry!r} ({error})") from None

    def check(self, values: Sequence[str]) -> None:
        """Check the `Host` headers of a request.

        Raises:
            HandshakeRejected: BAD_REQUEST when there is not exactly one well-formed value, HOST when it is
                not on the list.
        """
        if len(values) != 1:
            raise HandshakeRejected(
                HandshakeRejection.BAD_REQUEST, "no host" if not values else "several hosts"
            )
        try:
            host, port = parse_authority(values[0])
        except ValueError:
            raise HandshakeRejected(HandshakeRejection.BAD_REQUEST, "malformed host") from None
        if not (self._open or self._covers(host, port)):
            raise HandshakeRejected(HandshakeRejection.HOST, "host not listed")

    def _covers(self, host: str, port: int | None) -> bool:
        if (host, None) in self._exact or (host, port) in self._exact:
            return True
        rest = host.partition(".")[2]
        return (rest, None) in self._wild or (rest, port) in self._wild
