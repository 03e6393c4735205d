"""What the end of a connection does to what was queued, and what it is recorded as."""

from typing import Final

from portward.model.endings import Ending
from portward.node.session import Session
from portward.telemetry import Telemetry
from portward.telemetry.events import Event

DISCARDING: Final = frozenset({Ending.REVOKED, Ending.EXPIRED, Ending.PERMISSION_LOST, Ending.SLOW})
"""Endings after which nothing that was queued may still be written."""

EVENTS: Final = {
    Ending.SLOW: Event.SLOW_DROP,
    Ending.NO_PONG: Event.HB_TIMEOUT,
    Ending.IDLE: Event.HB_TIMEOUT,
    Ending.EXPIRED: Event.AUTH_EXPIRE,
    Ending.CONNECTION_LIMIT: Event.CONN_LIMIT,
    Ending.PROTOCOL_ERROR: Event.PROTO_ERROR,
    Ending.WRONG_DATA: Event.PROTO_ERROR,
    Ending.INVALID_UTF8: Event.PROTO_ERROR,
    Ending.FLOODING: Event.PROTO_ERROR,
    Ending.TOO_BIG: Event.PROTO_ERROR,
}
"""What is recorded beside `conn.close` when a connection ends so."""


def record(telemetry: Telemetry, session: Session, ending: Ending, cause: str, now: float) -> None:
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
