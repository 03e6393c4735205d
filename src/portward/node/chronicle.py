"""Security events under the names that operators of the older relay search their logs for.

They stand beside the gateway's own events, for endpoints that relay, and say nothing more than those.
"""

from collections.abc import Iterable
from typing import Final

from portward.model.refusals import Refusal
from portward.telemetry import Telemetry
from portward.telemetry.events import Event

_REASONS: Final = {
    Refusal.RATE: "rate_limit",
    Refusal.ORIGIN: "origin",
    Refusal.ADDRESS_CAP: "ip_limit",
    Refusal.DISABLED: "disabled",
}


class Chronicle:
    """Records for the endpoints named. Addresses are masked ones."""

    def __init__(self, telemetry: Telemetry, endpoints: Iterable[str]) -> None:
        self._telemetry = telemetry
        self._endpoints = frozenset(endpoints)

    def established(self, endpoint: str, address: str, total: int) -> None:
        """A connection was let in; with it there are `total`."""
        if endpoint in self._endpoints:
            self._telemetry.record(Event.CONNECTION_ESTABLISHED, ip=address, totalConnections=total)

    def blocked(self, endpoint: str, address: str | None, refusal: Refusal) -> None:
        """A handshake was turned away for one of the reasons that the older relay knew."""
        reason = _REASONS.get(refusal)
        if endpoint in self._endpoints and reason is not None:
            self._telemetry.record(Event.CONNECTION_BLOCKED, ip=address, reason=reason)

    def proven(self, endpoint: str, address: str, user: str | None) -> None:
        """Somebody proved who they are."""
        if endpoint in self._endpoints:
            self._telemetry.record(Event.AUTH_SUCCESS, ip=address, userId=user)

    def failed(self, endpoint: str, address: str, error: str) -> None:
        """A credential was refused; `error` is one of our own words."""
        if endpoint in self._endpoints:
            self._telemetry.record(Event.AUTH_FAILED, ip=address, error=error)

    def limited(self, address: str) -> None:
        """Somebody asked for the status too often."""
        self._telemetry.record(Event.HTTP_RATE_LIMIT_EXCEEDED, ip=address)
