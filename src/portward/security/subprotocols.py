"""What a client offers in `Sec-WebSocket-Protocol`, and which of it is answered (RFC 6455 §4.2.2).

Some SDKs put a token there, because a page in a browser can set no other header. It is a credential like
any other, and must never come back in the answer.
"""

import re
from collections.abc import Collection
from typing import Final

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.request import RequestHead

REALTIME: Final = "realtime"
"""The subprotocol of the realtime API, which clients offer beside their key."""
KEY_PREFIX: Final = "openai-insecure-api-key."
"""What stands before the token in the offer that carries it."""
MAX_OFFERS: Final = 8
_HEADER: Final = "sec-websocket-protocol"
_LONGEST_NAME: Final = 64
"""Characters of a subprotocol's name; the longest registered one has 40. What is longer is no name."""
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_JWT_MARK: Final = "eyJ"
"""How a JWT's header begins: `{"` in base64url."""
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_-]+\Z")
_SECRET: Final = re.compile(
    r"(?:sk-|ek_|(?:[\w-]+\.)*(?:bearer|jwt|ticket|[\w-]*token|[\w-]*key|auth\w*)[.~+|].)",
    re.IGNORECASE | re.ASCII,
)
"""What begins like a credential of some convention."""


def offers(head: RequestHead) -> tuple[str, ...]:
    """What the client offers, in its order.

    Raises:
        Refused: BAD_REQUEST for more than `MAX_OFFERS`, or for what is no name.
    """
    values = head.all(_HEADER)
    if not values:
        return ()
    found = tuple(offer for part in ",".join(values).split(",") if (offer := part.strip(" \t")))
    if len(found) > MAX_OFFERS:
        raise HandshakeRejected(HandshakeRejection.BAD_REQUEST, "too many subprotocols")
    if not all(map(_NAME.match, found)):
        raise HandshakeRejected(HandshakeRejection.BAD_REQUEST, "malformed subprotocol")
    return found


def has_jwt(offer: str) -> bool:
    """Tell whether a JWT is among the dotted parts of an offer, in one pass."""
    parts = offer.split(".")
    return any(
        _JWT_MARK in header and _SEGMENT.match(payload)
        for header, payload, _ in zip(parts, parts[1:], parts[2:], strict=False)
    )


def is_nameable(offer: str) -> bool:
    """Tell whether an offer can be the name of a subprotocol, and is surely no credential."""
    return len(offer) <= _LONGEST_NAME and _JWT_MARK not in offer and not _SECRET.match(offer)


def select(head: RequestHead, spoken: Collection[str], *, first: bool = False) -> str | None:
    """The offer that is answered: the first of those in `spoken`, or with `first` the first at all.

    None when there is none; a client that is no browser may then go on without one.

    Raises:
        Refused: BAD_REQUEST for a malformed offer, or when nothing can be answered to a browser, which
            would have to drop the connection.
    """
    found = offers(head)
    if not found:
        return None
    chosen = next(
        (offer for offer in found if (first or offer in spoken) and is_nameable(offer)), None
    )
    if chosen is None and head.all("origin"):
        raise HandshakeRejected(
            HandshakeRejection.BAD_REQUEST, f"none of {len(found)} subprotocols is spoken here"
        )
    return chosen
