"""Offers in `Sec-WebSocket-Protocol`, and the selection of the one to answer (RFC 6455 §4.2.2).

Some SDKs send a token there, because a page in a browser can set no other header. This token is a
credential and must never be sent back in the answer.
"""

import re
from collections.abc import Collection
from typing import Final

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.request import RequestHead

"""The subprotocol of the realtime API, which clients offer together with their key."""
KEY_PREFIX: Final = "openai-insecure-api-key."
"""The prefix of the offer that carries the token."""
MAX_OFFERS: Final = 8
PROTOCOL_HEADER: Final = "sec-websocket-protocol"
_LONGEST_NAME: Final = 64
"""Most characters of a subprotocol's name. The longest registered name has 40; longer offers are no names."""
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_JWT_MARK: Final = "eyJ"
"""The first characters of a JWT's header: `{"` in base64url."""
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_-]+\Z")
_SECRET: Final = re.compile(
    r"(?:sk-|ek_|(?:[\w-]+\.)*(?:bearer|jwt|ticket|[\w-]*token|[\w-]*key|auth\w*)[.~+|].)",
    re.IGNORECASE | re.ASCII,
)
"""Prefixes that mark credentials by some convention."""


def offers(head: RequestHead) -> tuple[str, ...]:
    """Return the offers of the client, in its order.

    Raises:
        HandshakeRejected: BAD_REQUEST for more than `MAX_OFFERS`, or for an offer that is no valid name.
    """
    values = head.headers.get(PROTOCOL_HEADER, ())
    if not values:
        return ()
    found = tuple(offer for part in ",".join(values).split(",") if (offer := part.strip(" \t")))
    if len(found) > MAX_OFFERS:
        raise HandshakeRejected(HandshakeRejection.BAD_REQUEST, "too many subprotocols")
    if not all(map(_NAME.match, found)):
        raise HandshakeRejected(HandshakeRejection.BAD_REQUEST, "malformed subprotocol")
    return found


def has_jwt(offer: str) -> bool:
    """Return whether one of the dotted parts of an offer is a JWT; scans the offer once."""
    parts = offer.split(".")
    return any(
        _JWT_MARK in header and _SEGMENT.match(payload)
        for header, payload, _ in zip(parts, parts[1:], parts[2:], strict=False)
    )


def is_nameable(offer: str) -> bool:
    """Return whether an offer can be a subprotocol's name and does not look like a credential."""
    return len(offer) <= _LONGEST_NAME and _JWT_MARK not in offer and not _SECRET.match(offer)


def select(head: RequestHead, spoken: Collection[str], *, first: bool = False) -> str | None:
    """Return the offer to answer: the first of those in `spoken`; with `first` the first of any.

    Returns None when there is none; a client that is no browser may continue without a subprotocol.

    Raises:
        HandshakeRejected: BAD_REQUEST for a malformed offer, or when there is no offer to answer and the
            client is a browser, which would have to close the connection.
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
