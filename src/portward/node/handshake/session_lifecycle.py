"""The steps in the life of a session: metrics, events, hooks, and the pool of pending connections."""

from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind
from portward.node.sessions import HookRunner, NodeContext, PendingConnections, Session
from portward.telemetry import Telemetry
from portward.telemetry.events import Event

_CAUSE = "made room: its address held most connections without a user"


class PendingSession:
    """Adapts a session; implements `node.sessions.pending_connections.Pending`."""

    __slots__ = ("_session", "_telemetry")

    def __init__(self, session: Session, telemetry: Telemetry) -> None:
        self._session = session
        self._telemetry = telemetry

    @property
    def silent(self) -> bool:
        """Whether no complete message was received from it."""
        return not self._session.received_message

    @property
    def verifying(self) -> bool:
        """Whether one of its credentials is being verified, or will be soon."""
        return self._session.task is not None or bool(self._session.inbox)

    def displace(self, retry: float) -> None:
        """Send the delay before a reconnect in a message of the protocol, and close the session with 3013."""
        session, clock = self._session, self._session.host.clock
        fault = CommandError(ErrorKind.RATE_LIMITED, retry_after=int(retry * 1000))
        session.advised = clock.monotonic() + retry
        payload = session.protocol.reply_error(fault, int(clock.time() * 1000))
        if payload is not None:
            session.transport.write(session.endpoint.framing.text(payload))
        self._telemetry.record(
            Event.CONN_LIMIT, client=session.id, address=session.address, detail=_CAUSE
        )
        session.end(Disconnect.TOO_MANY_REQUESTS, _CAUSE)


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
