"""The steps in the life of a session: metrics, events, hooks, and the pool of pending connections."""

from portward.model.disconnects import Disconnect
from portward.node.hooks import HookRunner
from portward.node.sessions import NodeContext, PendingConnections, PendingSession, Session
from portward.telemetry.events import Event


class LifecycleReports:
    """Implements `rights.SessionLifecycle`; reports also the first and the last step of a session."""

    def __init__(
        self, context: NodeContext, pending: PendingConnections, hooks: HookRunner
    ) -> None:
        self._telemetry = context.telemetry
        self._registry = context.registry
        self._pending = pending
        self._hooks = hooks
        self.bound = pending.session_left

    def connected(self, session: Session) -> None:
        """The session is registered."""
        endpoint, handshake = session.endpoint.name, session.handshake
        pending = PendingSession(session, self._telemetry) if handshake.identity is None else None
        self._pending.session_opened(session, pending, handshake.keys)
        self._telemetry.metrics.connection_opened(endpoint)
        self._telemetry.record(
            Event.CONN_OPEN, client=session.id, endpoint=endpoint, address=session.address
        )
        session.endpoint.observer.opened(session.address, len(self._registry))

    async def admits(self, session: Session) -> bool:
        """Ask the connect hooks."""
        return not self._hooks.on_connect or await self._hooks.connect(session)

    def opened(self, session: Session) -> None:
        """The session is fully authenticated."""
        self._hooks.opened(session)
        if session.identity is not None:
            observer = session.endpoint.observer
            observer.authenticated(session.id, session.address, session.identity)

    def ended(self, session: Session, ending: Disconnect) -> None:
        """The session has ended."""
        if session.identity is None:
            self._pending.session_left(session)
        self._hooks.disconnected(session, ending)
