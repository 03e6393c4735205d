"""Security events of relay endpoints, with the fields that an older relay logged.

They are recorded in addition to the gateway's other events. With `log.older_names` each event of the
older relay is also logged under the exact name it had there.
"""

from typing import Final, Unpack

from portward.model.handshake_errors import HandshakeRejection
from portward.model.identity import ANONYMOUS, Identity
from portward.node.sessions import EndpointObserver
from portward.telemetry import Telemetry
from portward.telemetry.events import Event
from portward.telemetry.fields import Fields

_REASONS: Final = {
    HandshakeRejection.RATE: "rate_limit",
    HandshakeRejection.ORIGIN: "origin",
    HandshakeRejection.ADDRESS_CAP: "ip_limit",
    HandshakeRejection.DISABLED: "disabled",
}
_EXACT: Final = {
    Event.CONNECTION_ESTABLISHED: Event.WS_CONNECTION_ESTABLISHED,
    Event.AUTH_SUCCESS: Event.WS_AUTH_SUCCESS,
    Event.AUTH_FAILED: Event.WS_AUTH_FAILED_INVALID_TOKEN,
    Event.HTTP_RATE_LIMIT_EXCEEDED: Event.EXACT_HTTP_RATE_LIMIT_EXCEEDED,
}


class LegacyRelayEvents(EndpointObserver):
    """Records the events of an endpoint, with `exact` also under old names."""

    def __init__(self, telemetry: Telemetry, *, exact: bool = False) -> None:
        self._telemetry = telemetry
        self._exact = exact

    def opened(self, address: str, total: int) -> None:
        """Record an admitted connection."""
        self._record(Event.CONNECTION_ESTABLISHED, ip=address, totalConnections=total)

    def rejected(self, address: str | None, refusal: HandshakeRejection, *, page: bool) -> None:
        """Record a rejection, if it has one of the reasons that the older relay logged."""
        reason, limited = _REASONS.get(refusal), refusal is HandshakeRejection.RATE
        if reason is not None:
            self._telemetry.record(Event.CONNECTION_BLOCKED, ip=address, reason=reason)
        if limited and page:
            self._record(Event.HTTP_RATE_LIMIT_EXCEEDED, ip=address)
        elif limited and self._exact:
            self._telemetry.record(Event.WS_CONNECTION_BLOCKED_RATE_LIMIT, ip=address)

    def authenticated(self, client: str, address: str, identity: Identity) -> None:  # noqa: ARG002
        """Record a successful authentication."""
        if identity is not ANONYMOUS:
            self._record(Event.AUTH_SUCCESS, ip=address, userId=identity.subject)

    def credential_refused(self, address: str, code: str) -> None:
        """Record a refused credential."""
        self._record(Event.AUTH_FAILED, ip=address, error=code)

    def _record(self, event: Event, **fields: Unpack[Fields]) -> None:
        self._telemetry.record(event, **fields)
        if self._exact:
            self._telemetry.record(_EXACT[event], **fields)
