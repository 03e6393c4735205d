"""What sessions need from the node: their messages are served, and their end is cleaned up."""

from portward.model.disconnects import Disconnect
from portward.node.channels import Subscriptions
from portward.node.cluster import Revalidation
from portward.node.commands import Dispatcher
from portward.node.handshake.admission import AdmissionControl
from portward.node.handshake.session_lifecycle import LifecycleReports
from portward.node.rights import RELEASED_TTL
from portward.node.sessions import NodeContext, Session, ends


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
        if ending in ends.DISCARDING:
            session.transport.discard()
        session.protocol.closed(ending)
        self._lifecycle.ended(session, ending)
        self._subscriptions.abandon(session, ending)
        self._registry.remove(session, session.user)
        if session.resume_id is not None:
            self._background.run(
                self._stores.sessions.release(session.resume_id, session.id, RELEASED_TTL)
            )
        ends.record(self._telemetry, session, ending, cause, self.clock.monotonic())

    def unhandled(self, session: Session, count: int) -> None:
        """Record that messages received before the close of the peer were dropped."""
        ends.unhandled(self._telemetry, session, count)
