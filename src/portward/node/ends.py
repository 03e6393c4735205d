"""What the end of a connection does to what was queued, and what it is recorded as."""

from typing import Final

from portward.model.disconnects import Disconnect
from portward.node.session import Session
from portward.telemetry import Telemetry
from portward.telemetry.events import Event

DISCARDING: Final = frozenset(
    {Disconnect.REVOKED, Disconnect.EXPIRED, Disconnect.PERMISSION_LOST, Disconnect.SLOW}
)
"""Endings after which nothing that was queued may still be written."""

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
"""What is recorded beside `conn.close` when a connection ends so."""


def record(
    telemetry: Telemetry, session: Session, ending: Disconnect, cause: str, now: float
) -> None:
    """Count and log the end of a session at `now`, in monotonic seconds."""
    telemetry.metrics.closed(session.endpoint.name, ending)
    telemetry.metrics.left(session.id)
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
    """Count and log messages that were given up because their client had closed a while ago."""
    telemetry.metrics.unhandled(session.endpoint.name, count)
    telemetry.record(
        Event.INBOX_DROP,
        client=session.id,
        endpoint=session.endpoint.name,
        user=session.user,
        count=count,
    )
