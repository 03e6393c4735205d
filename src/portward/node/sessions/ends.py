"""Effects of a disconnect: whether queued messages are discarded, and what is recorded."""

from typing import Final

from portward.model.disconnects import Disconnect
from portward.node.sessions.session import Session
from portward.telemetry import Telemetry
from portward.telemetry.events import Event

DISCARDING: Final = frozenset(
    {Disconnect.REVOKED, Disconnect.EXPIRED, Disconnect.PERMISSION_LOST, Disconnect.SLOW}
)
"""Disconnects after which queued messages are discarded."""

EVENTS: Final = {
    Disconnect.SLOW: Event.SLOW_DROP,
    Disconnect.NO_PONG: Event.HB_TIMEOUT,
    Disconnect.IDLE: Event.HB_TIMEOUT,
    Disconnect.EXPIRED: Event.AUTH_EXPIRE,
    Disconnect.CONNECTION_LIMIT: Event.CONN_LIMIT,
    Disconnect.PROTOCOL_ERROR: Event.PROTO_ERROR,
    Disconnect.WRONG_DATA: Event.PROTO_ERROR,
    Disconnect.INVALID_UTF8: Event.PROTO_ERROR,
    Disconnect.FLOODING: Event.PROTO_ERROR,
    Disconnect.TOO_BIG: Event.PROTO_ERROR,
}
"""The event that is recorded in addition to `conn.close`, by disconnect."""


def record(
    telemetry: Telemetry, session: Session, ending: Disconnect, cause: str, now: float
) -> None:
    """Count and log the disconnect of a session at `now`, in monotonic seconds."""
    telemetry.metrics.closed(session.endpoint.name, ending)
    telemetry.record(
        Event.CONN_CLOSE,
        client=session.id,
        endpoint=session.endpoint.name,
        user=session.user,
        ending=ending.name.lower(),
        code=session.close_code,
        detail=cause,
        seconds=round(now - session.opened, 3),
    )
    if ending in EVENTS:
        telemetry.record(
            EVENTS[ending],
            client=session.id,
            address=session.address,
            user=session.user,
            detail=cause,
        )


def unhandled(telemetry: Telemetry, session: Session, count: int) -> None:
    """Count and log messages that were dropped because their client closed too long ago."""
    telemetry.metrics.messages_unhandled_total.add((session.endpoint.name,), count)
    telemetry.record(
        Event.INBOX_DROP,
        client=session.id,
        endpoint=session.endpoint.name,
        user=session.user,
        count=count,
    )
