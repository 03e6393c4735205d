"""An unauthenticated session in the pool of pending connections."""

from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind
from portward.node.sessions.session import Session
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
        return not self._session.spoke

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
