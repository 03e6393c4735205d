"""What sessions need from the node: their messages are served, and their end is cleaned up."""

from typing import Final

from portward.model.disconnects import Disconnect
from portward.node.channels import Subscriptions
from portward.node.cluster import Revalidation
from portward.node.commands import Dispatcher
from portward.node.handshake.admission import AdmissionControl
from portward.node.handshake.session_lifecycle import LifecycleReports
from portward.node.rights import RELEASED_TTL
from portward.node.sessions import NodeContext, Session
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


class NodeSessionHost:
    """Implements `sessions.SessionHost`."""

    def __init__(
        self,
        context: NodeContext,
        admission: AdmissionControl,
        lifecycle: LifecycleReports,
        subscriptions: Subscriptions,
        dispatcher: Dispatcher,
        revalidation: Revalidation,
    ) -> None:
        self.clock = context.clock
        self.wheel = context.wheel
        self.later = context.call_soon
        self.on_encoded = context.fan_out.on_encoded
        self.handle_message = dispatcher.handle_message
        self.recheck = revalidation.recheck
        self.connection_lost = admission.left
        self.remove_subscription = subscriptions.remove
        self._stores = context.stores
        self._telemetry = context.telemetry
        self._registry = context.registry
        self._background = context.background
        self._lifecycle = lifecycle
        self._subscriptions = subscriptions

    def ended(self, session: Session, ending: Disconnect, cause: str) -> None:
        """Remove a session from every map."""
        if ending in DISCARDING:
            session.transport.discard()
        session.protocol.closed(ending)
        self._lifecycle.ended(session, ending)
        self._subscriptions.abandon(session, ending)
        self._registry.remove(session, session.user)
        if session.resume_id is not None:
            self._background.run(
                self._stores.sessions.release(session.resume_id, session.id, RELEASED_TTL)
            )
        _record_end(self._telemetry, session, ending, cause, self.clock.monotonic())

    def unhandled(self, session: Session, count: int) -> None:
        """Record that messages received before the close of the peer were dropped."""
        _record_unhandled(self._telemetry, session, count)


def _record_end(
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


def _record_unhandled(telemetry: Telemetry, session: Session, count: int) -> None:
    """Count and log messages that were dropped because their client closed too long ago."""
    telemetry.metrics.messages_unhandled_total.add((session.endpoint.name,), count)
    telemetry.record(
        Event.INBOX_DROP,
        client=session.id,
        endpoint=session.endpoint.name,
        user=session.user,
        count=count,
    )
