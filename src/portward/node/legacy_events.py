"""Security events of relay endpoints, with the fields that an older relay logged.

They are recorded in addition to the gateway's other events. With `log.older_names` each event of the
older relay is also logged under the exact name it had there.
"""

from typing import Final, Unpack

from portward.model.handshake_errors import HandshakeRejection
from portward.node.sessions import NodeContext
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


class LegacyRelayEvents:
    """Records events of relay endpoints. Addresses are masked."""

    def __init__(self, context: NodeContext) -> None:
        endpoints = context.endpoints.values()
        self._telemetry = context.telemetry
        self._endpoints = frozenset(each.name for each in endpoints if each.rules.relays)
        self._exact = context.settings.now.log.older_names

    def established(self, endpoint: str, address: str, total: int) -> None:
        """Record an admitted connection; `total` is the number of connections, this one included."""
        if endpoint in self._endpoints:
            self._record(Event.CONNECTION_ESTABLISHED, ip=address, totalConnections=total)

    def blocked(
        self,
        endpoint: str,
        address: str | None,
        refusal: HandshakeRejection,
        *,
        status_page: bool = False,
    ) -> None:
        """Record a rejection, if it has one of the reasons that the older relay logged."""
        reason = _REASONS.get(refusal)
        if endpoint in self._endpoints and reason is not None:
            self._telemetry.record(Event.CONNECTION_BLOCKED, ip=address, reason=reason)
            if self._exact and refusal is HandshakeRejection.RATE and not status_page:
                self._telemetry.record(Event.WS_CONNECTION_BLOCKED_RATE_LIMIT, ip=address)

    def authenticated(self, endpoint: str, address: str, user: str | None) -> None:
        """Record a successful authentication."""
        if endpoint in self._endpoints:
            self._record(Event.AUTH_SUCCESS, ip=address, userId=user)

    def failed(self, endpoint: str, address: str, error: str) -> None:
        """Record a refused credential; `error` is an error code of the gateway."""
        if endpoint in self._endpoints:
            self._record(Event.AUTH_FAILED, ip=address, error=error)

    def limited(self, address: str) -> None:
        """Record that a client requested the status too often."""
        self._record(Event.HTTP_RATE_LIMIT_EXCEEDED, ip=address)

    def _record(self, event: Event, **fields: Unpack[Fields]) -> None:
        self._telemetry.record(event, **fields)
        if self._exact:
            self._telemetry.record(_EXACT[event], **fields)
