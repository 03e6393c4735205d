"""Reads the query and the headers of an Engine.IO request."""

from typing import Final, NamedTuple

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.request import RequestHead
from portward.security.credentials import query_pairs
from portward.wire.engineio import PROTOCOL

_READ: Final = frozenset({"EIO", "transport", "sid", "j", "b64"})
_TRUE: Final = frozenset({"1", "true"})
_CREDENTIALS: Final = frozenset({"token", "ticket"})
_LONGEST: Final = 16
"""Most digits of a length that are accepted."""


class Query(NamedTuple):
    """The parameters that are read; empty where there is none.

    `sound` is False for a query that cannot be read, or that has one of them twice. `credential`
    tells whether it holds one, `base64` whether the client takes no binary frames.
    """

    protocol: str = ""
    transport: str = ""
    sid: str = ""
    jsonp: bool = False
    credential: bool = False
    base64: bool = False
    sound: bool = True


def read_query(query: str) -> Query:
    """Read a query; unknown parameters are ignored."""
    try:
        pairs = query_pairs(query)
    except HandshakeRejected:
        return Query(sound=False)
    given = [(name, value) for name, value in pairs if name in _READ]
    found = dict(given)
    return Query(
        protocol=found.get("EIO", ""),
        transport=found.get("transport", ""),
        sid=found.get("sid", ""),
        jsonp="j" in found,
        credential=any(name in _CREDENTIALS for name, _ in pairs),
        base64=found.get("b64") in _TRUE,
        sound=len(found) == len(given),
    )


def check(query: Query) -> None:
    """Check the query of a WebSocket handshake.

    Raises:
        HandshakeRejected: BAD_REQUEST.
    """
    if query.protocol != PROTOCOL:
        raise HandshakeRejected(HandshakeRejection.BAD_REQUEST, "Engine.IO protocol")
    if query.transport != "websocket" or not query.sound:
        raise HandshakeRejected(HandshakeRejection.BAD_REQUEST, "Engine.IO transport")


def is_upgrade(head: RequestHead) -> bool:
    """Whether a request asks for an upgrade to WebSocket."""
    offers = ",".join(head.all("upgrade")).split(",")
    return any(offer.strip(" \t").lower() == "websocket" for offer in offers)


def length_of(head: RequestHead) -> int | None:
    """The announced length of the body; None when there is none, several, or not a number."""
    lengths = head.all("content-length")
    if len(lengths) != 1 or head.all("transfer-encoding"):
        return None
    text = lengths[0]
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST else None
