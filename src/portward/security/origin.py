"""The check of the `Origin` header (RFC 6454 §7), which browsers set and pages cannot forge.

A page of any site can open a WebSocket, and the browser sends cookies with it. This check stops a hostile
page from using the rights of its visitor. Origins are parsed and compared as (scheme, host, port), never
by prefix, suffix or substring.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.security.hosts import HostPort, parse_authority, parse_host, parse_wildcard

_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{0,31}\Z")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_DEVELOPMENT: Final = ("http://localhost:*", "http://127.0.0.1:*")
_NULL: Final = "null"


class Origin(NamedTuple):
    """The origin of a page. Without a written port, `port` is the default of the scheme, or 0."""

    scheme: str
    host: str
    port: int


def _split(text: str) -> tuple[str, str]:
    scheme, mark, rest = text.partition("://")
    scheme = scheme.lower()
    if not mark or not _SCHEME.match(scheme):
        raise ValueError("an origin is written scheme://host or scheme://host:port")
    return scheme, rest


def _join(scheme: str, authority: HostPort) -> Origin:
    port = authority.port
    return Origin(scheme, authority.host, _DEFAULT_PORTS.get(scheme, 0) if port is None else port)


@lru_cache(maxsize=1024)
def parse_origin(text: str) -> Origin:
    """Parse one serialized origin.

    User-info, path, query, blanks, lists and control characters are not allowed.

    Raises:
        ValueError: the text is no origin, or it is `null`.
    """
    scheme, rest = _split(text)
    return _join(scheme, parse_authority(rest))


class OriginPolicy:
    """The origins that an endpoint accepts, compiled once.

    An entry is an origin; in `https://*.example.com` the star stands for exactly one label. In development
    `*` covers every origin and `http://localhost:*` (a loopback host) covers every port. Without entries,
    development mode accepts the loopback names and production accepts nothing.

    `listed` is whether there were entries; `anything` whether `*` was one of them.

    Raises:
        ValueError: an entry does not parse, or is not allowed in production; the text names it.
    """

    __slots__ = ("_any_port", "_exact", "_wild", "anything", "listed")

    def __init__(self, allowed: Iterable[str] = (), *, production: bool) -> None:
        entries = tuple(allowed)
        self.listed = bool(entries)
        self.anything = False
        self._exact: set[Origin] = set()
        self._wild: set[Origin] = set()
        self._any_port: set[tuple[str, str]] = set()
        for entry in entries or (() if production else _DEVELOPMENT):
            try:
                self._add(entry, production=production)
            except ValueError as error:
                raise ValueError(f"not an allowed origin: {entry!r} ({error})") from None

    def _add(self, entry: str, *, production: bool) -> None:
        loose = entry == "*" or entry.endswith(":*")
        if loose and production:
            raise ValueError("only for development")
        if entry == "*":
            self.anything = True
            return
        scheme, rest = _split(entry)
        if loose:
            self._any_port.add((scheme, self._loopback(rest[:-2])))
        elif rest.startswith("*."):
            self._wild.add(_join(scheme, parse_wildcard(rest[2:])))
        else:
            self._exact.add(_join(scheme, parse_authority(rest)))

    @staticmethod
    def _loopback(text: str) -> str:
        host = parse_host(text)
        if host not in _LOOPBACK:
            raise ValueError("every port is only for loopback hosts")
        return host

    def allows(self, origin: Origin, *, ambient: bool) -> bool:
        """Return whether the list covers this origin. `*` is not enough for an ambient credential."""
        scheme, host, port = origin
        rest = host.partition(".")[2]
        return (
            origin in self._exact
            or (scheme, rest, port) in self._wild
            or (scheme, host) in self._any_port
            or (self.anything and not ambient)
        )

    def check(self, values: Sequence[str], *, ambient: bool, allow_missing: bool) -> None:
        """Check the `Origin` headers of a request.

        `ambient` means that the browser adds the credential by itself (a cookie): then an origin is required,
        and `*` is not enough.

        Raises:
            HandshakeRejected: BAD_REQUEST for several headers, else ORIGIN.
        """
        if len(values) > 1:
            raise HandshakeRejected(HandshakeRejection.BAD_REQUEST, "several origins")
        if values:
            self._check_present(values[0], ambient=ambient)
        elif ambient or not allow_missing:
            raise HandshakeRejected(HandshakeRejection.ORIGIN, "no origin")

    def _check_present(self, value: str, *, ambient: bool) -> None:
        if value.lower() == _NULL:
            raise HandshakeRejected(HandshakeRejection.ORIGIN, "null origin")
        try:
            origin = parse_origin(value)
        except ValueError:
            raise HandshakeRejected(HandshakeRejection.ORIGIN, "malformed origin") from None
        if not self.allows(origin, ambient=ambient):
            raise HandshakeRejected(HandshakeRejection.ORIGIN, "origin not listed")
