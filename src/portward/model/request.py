"""The request head of a handshake, as transports pass it to admission."""

from collections.abc import Iterable
from typing import Final

import msgspec

UNIX_PEER: Final = "unix:"
"""The peer of a request over a Unix socket, which has no address."""


class PeerAddress(msgspec.Struct, frozen=True, kw_only=True):
    """The peer of a connection.

    `address` is text, `UNIX_PEER` for a Unix socket. `via` is the trusted proxy whose PROXY header named the
    client; it equals `address` where that header named no client, and is empty without such a header.
    `scheme` is `https` or `http` where the header states how the client connected.
    """

    address: str
    via: str = ""
    scheme: str | None = None


def by_name(fields: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Group headers by name, for a :class:`RequestHead`."""
    headers: dict[str, list[str]] = {}
    for name, value in fields:
        headers.setdefault(name, []).append(value)
    return headers


class RequestHead(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP request without its body.

    `headers` has the values of each header in order, stripped, by its name in lower case. `peer` is the
    address of the peer of the socket as text, before any proxy header is evaluated;
    `UNIX_PEER` for a Unix socket. `via` and `scheme` are those of :class:`PeerAddress`.
    Never log `query` or `headers`: they may carry credentials.
    """

    method: str
    path: str
    query: str = ""
    headers: dict[str, list[str]] = {}
    peer: str = ""
    via: str = ""
    scheme: str | None = None
    secure: bool = False
    http_version: str = "1.1"

    def all(self, name: str) -> list[str]:
        """Return all values of the header `name` (lower case), in order."""
        return self.headers.get(name, [])

    def __repr__(self) -> str:
        return f"RequestHead(method={self.method!r}, path={self.path!r})"
