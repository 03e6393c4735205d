"""Handshakes that are refused by a close code: a browser shows no status, but it shows that code.

Only for endpoints that are set so, and only after the form of the request, its host and its origin were found
right: a page that may not connect learns nothing.
"""

from collections.abc import Callable, Mapping
from typing import Final

from portward.model.endings import Ending
from portward.model.faults import Fault, FaultKind
from portward.model.parcel import Words
from portward.model.refusals import Refusal, Refused
from portward.model.replies import Parting
from portward.node.endpoint import Endpoint
from portward.wire.answers import RETRY_AFTER
from portward.wire.message import Message

ENDINGS: Final[Mapping[Refusal, Ending]] = {
    Refusal.UNAUTHENTICATED: Ending.AUTH_FAILED,
    Refusal.FORBIDDEN: Ending.PERMISSION_LOST,
    Refusal.USER_CAP: Ending.CONNECTION_LIMIT,
    # An address is shared: its other users fill it, and leave again.
    Refusal.ADDRESS_CAP: Ending.TOO_MANY_REQUESTS,
    Refusal.RATE: Ending.TOO_MANY_REQUESTS,
    Refusal.DRAINING: Ending.SHUTDOWN,
    Refusal.GLOBAL_CAP: Ending.TRY_LATER,
    Refusal.UNAUTHENTICATED_CAP: Ending.TRY_LATER,
    Refusal.ENDPOINT_CAP: Ending.TRY_LATER,
    Refusal.OVERLOAD: Ending.TRY_LATER,
    Refusal.UNAVAILABLE: Ending.TRY_LATER,
}
"""What a refusal comes to as an ending. The others are answered with their status, however it is set."""
_FAULTS: Final[Mapping[Ending, FaultKind]] = {
    Ending.TOO_MANY_REQUESTS: FaultKind.RATE_LIMITED,
    Ending.TRY_LATER: FaultKind.UNAVAILABLE,
}


class ClosedRefusal(Refused):
    """A refusal that is sent as a 101, messages that say when to come back, and a close."""

    def __init__(
        self,
        refused: Refused,
        close: tuple[int, str],
        messages: tuple[Message, ...],
        subprotocol: str | None,
    ) -> None:
        super().__init__(refused.refusal, refused.detail, retry_after=refused.retry_after)
        self.code, self.reason = close
        self.messages = messages
        self.subprotocol = subprotocol


def closed_refusal(
    endpoint: Endpoint,
    refused: Refused,
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
            words.append(dialect.fault(Fault(_FAULTS[ending], retry_after=retry), now))
        words.append(dialect.push(Parting(ending=ending, retry=retry), now))
    messages = tuple(endpoint.framing.text(each) for each in words if each is not None)
    return ClosedRefusal(refused, close, messages, subprotocol)
