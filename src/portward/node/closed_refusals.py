"""Handshakes that are refused by a close code: a browser shows no status, but it shows that code.

Only for endpoints that are set so, and only after the form of the request, its host and its origin were found
right: a page that may not connect learns nothing.
"""

from collections.abc import Callable, Mapping
from typing import Final

from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind
from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.payload import Words
from portward.model.replies import Parting
from portward.node.endpoint import ActiveEndpoint
from portward.wire.http_response import RETRY_AFTER
from portward.wire.message import WireMessage

ENDINGS: Final[Mapping[HandshakeRejection, Disconnect]] = {
    HandshakeRejection.UNAUTHENTICATED: Disconnect.AUTH_FAILED,
    HandshakeRejection.FORBIDDEN: Disconnect.PERMISSION_LOST,
    HandshakeRejection.USER_CAP: Disconnect.CONNECTION_LIMIT,
    # An address is shared: its other users fill it, and leave again.
    HandshakeRejection.ADDRESS_CAP: Disconnect.TOO_MANY_REQUESTS,
    HandshakeRejection.RATE: Disconnect.TOO_MANY_REQUESTS,
    HandshakeRejection.DRAINING: Disconnect.SHUTDOWN,
    HandshakeRejection.GLOBAL_CAP: Disconnect.TRY_LATER,
    HandshakeRejection.UNAUTHENTICATED_CAP: Disconnect.TRY_LATER,
    HandshakeRejection.ENDPOINT_CAP: Disconnect.TRY_LATER,
    HandshakeRejection.OVERLOAD: Disconnect.TRY_LATER,
    HandshakeRejection.UNAVAILABLE: Disconnect.TRY_LATER,
}
"""What a refusal comes to as an ending. The others are answered with their status, however it is set."""
_FAULTS: Final[Mapping[Disconnect, ErrorKind]] = {
    Disconnect.TOO_MANY_REQUESTS: ErrorKind.RATE_LIMITED,
    Disconnect.TRY_LATER: ErrorKind.UNAVAILABLE,
}


class ClosedRefusal(HandshakeRejected):
    """A refusal that is sent as a 101, messages that say when to come back, and a close."""

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
    """The refusal as a close, in the words of the endpoint's protocol; None for one that stays a status.

    `random` gives numbers in [0, 1): the time to come back is spread as that of `Retry-After` is.
    """
    ending = ENDINGS.get(refused.refusal)
    if ending is None:
        return None
    dialect = endpoint.dialect
    close = dialect.closes.get(ending, (ending.code, ending.reason))
    words: list[Words | None] = []
    if ending.reconnect:
        least = refused.retry_after if refused.retry_after is not None else RETRY_AFTER
        retry = int(least * (1 + random()) * 1000)
        if ending in _FAULTS:
            words.append(dialect.fault(CommandError(_FAULTS[ending], retry_after=retry), now))
        words.append(dialect.push(Parting(ending=ending, retry=retry), now))
    messages = tuple(endpoint.framing.text(each) for each in words if each is not None)
    return ClosedRefusal(refused, close, messages, subprotocol)
