"""Rejections sent as a close code after 101: a page can read that code, but not an HTTP status.

Only for endpoints that are configured so, and only when the form of the request, its host and its origin
are valid: a page that may not connect gets no information.
"""

from collections.abc import Callable, Mapping
from typing import Final

from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind
from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.payload import Payload
from portward.model.replies import Parting
from portward.node.sessions import ActiveEndpoint
from portward.wire.http_response import RETRY_AFTER
from portward.wire.message import WireMessage

ENDINGS: Final[Mapping[HandshakeRejection, Disconnect]] = {
    HandshakeRejection.UNAUTHENTICATED: Disconnect.AUTH_FAILED,
    HandshakeRejection.FORBIDDEN: Disconnect.PERMISSION_LOST,
    HandshakeRejection.USER_CAP: Disconnect.CONNECTION_LIMIT,
    # Temporary: an address is shared, and its other users disconnect again.
    HandshakeRejection.ADDRESS_CAP: Disconnect.TOO_MANY_REQUESTS,
    HandshakeRejection.RATE: Disconnect.TOO_MANY_REQUESTS,
    HandshakeRejection.DRAINING: Disconnect.SHUTDOWN,
    HandshakeRejection.GLOBAL_CAP: Disconnect.TRY_LATER,
    HandshakeRejection.UNAUTHENTICATED_CAP: Disconnect.TRY_LATER,
    HandshakeRejection.ENDPOINT_CAP: Disconnect.TRY_LATER,
    HandshakeRejection.OVERLOAD: Disconnect.TRY_LATER,
    HandshakeRejection.UNAVAILABLE: Disconnect.TRY_LATER,
}
"""The disconnect for each rejection. All others are sent as an HTTP status, on every endpoint."""
_FAULTS: Final[Mapping[Disconnect, ErrorKind]] = {
    Disconnect.TOO_MANY_REQUESTS: ErrorKind.RATE_LIMITED,
    Disconnect.TRY_LATER: ErrorKind.UNAVAILABLE,
}


class ClosedRefusal(HandshakeRejected):
    """A rejection sent as 101, messages with the time to reconnect, and a close frame."""

    def __init__(
        self,
        refused: HandshakeRejected,
        close: tuple[int, str],
        messages: tuple[WireMessage, ...],
        subprotocol: str | None,
    ) -> None:
        super().__init__(refused.refusal, refused.detail, retry_after=refused.retry_after)
        self.code, self.reason = close
        self.messages = messages
        self.subprotocol = subprotocol


def closed_refusal(
    endpoint: ActiveEndpoint,
    refused: HandshakeRejected,
    subprotocol: str | None,
    random: Callable[[], float],
    now: int,
) -> ClosedRefusal | None:
    """Return the rejection as a close in the endpoint's protocol; None for one that stays a status.

    `random` returns numbers in [0, 1) and spreads the reconnect time as that of `Retry-After`. `now` is
    in Unix milliseconds.
    """
    ending = ENDINGS.get(refused.refusal)
    if ending is None:
        return None
    protocol = endpoint.protocol
    close = protocol.closes.get(ending, (ending.code, ending.reason))
    words: list[Payload | None] = []
    if ending.reconnect:
        least = refused.retry_after if refused.retry_after is not None else RETRY_AFTER
        retry = int(least * (1 + random()) * 1000)
        if ending in _FAULTS:
            words.append(
                protocol.reply_error(CommandError(_FAULTS[ending], retry_after=retry), now)
            )
        words.append(protocol.push(Parting(ending=ending, retry=retry), now))
    messages = tuple(endpoint.framing.text(each) for each in words if each is not None)
    return ClosedRefusal(refused, close, messages, subprotocol)
