"""The request head of a handshake, as transports pass it to admission."""

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


class RequestHead(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP request without its body. Header names are lower case, values are stripped, order is kept.

    `peer` is the address of the peer of the socket as text, before any proxy header is evaluated;
    `UNIX_PEER` for a Unix socket. `via` and `scheme` are those of :class:`PeerAddress`.
    Never log `query` or `headers`: they may carry credentials.
    """

    method: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    peer: str = ""
    via: str = ""
    scheme: str | None = None
    secure: bool = False
    http_version: str = "1.1"

    def all(self, name: str) -> list[str]:
        """Return all values of the header `name` (lower case), in order."""
        return [value for key, value in self.headers if key == name]

    def one(self, name: str) -> str | None:
        """Return the only value of the header `name`, None when absent.

        Raises:
            ValueError: the header appears more than once.
        """
        values = self.all(name)
        if len(values) > 1:
            raise ValueError(f"duplicate header: {name}")
        return values[0] if values else None

    def __repr__(self) -> str:
        return f"RequestHead(method={self.method!r}, path={self.path!r})"
