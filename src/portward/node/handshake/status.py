"""`GET /test`: relay status for pages of listed origins: enabled, token required, upstream configured."""

from collections.abc import Callable
from math import ceil
from random import Random

import msgspec

from portward.model.clock import Clock
from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.limits import LimitName
from portward.model.request import RequestHead
from portward.node.handshake.cors import Headers, preflight, readable_by
from portward.node.sessions import ActiveEndpoint
from portward.security.address import limit_keys


class RelayStatus(msgspec.Struct, frozen=True, rename="camel"):
    """The body of the status page."""

    status: str
    enabled: bool
    auth_required: bool
    upstream_configured: bool


class StatusPage:
    """The status page. Checks requests by the rules of the relay: origin, then attempts of the address.

    Attempts to connect and status requests count together against one limit per address.
    """

    def __init__(
        self,
        endpoint: ActiveEndpoint,
        clock: Clock,
        *,
        configured: Callable[[], bool],
        address: Callable[[RequestHead], str],
    ) -> None:
        """Set the services; `address` derives the address of the client from a request."""
        self.endpoint = endpoint
        self._clock = clock
        self._configured = configured
        self._address = address
        self._random = Random()  # noqa: S311 - spreads load, keeps no secret

    def status(self, head: RequestHead) -> RelayStatus:
        """Return the status.

        Raises:
            HandshakeRejected: the relay is off, the origin is not listed, or the address asks too often.
        """
        endpoint = self.endpoint
        self._check(head)
        keys = limit_keys(self._address(head))
        wait = endpoint.limits[LimitName.ATTEMPTS].wait(keys, self._clock.monotonic())
        if wait:
            raise HandshakeRejected(HandshakeRejection.RATE, "status", retry_after=wait)
        return RelayStatus(
            status="ok",
            enabled=True,
            auth_required=endpoint.rules.authenticated,
            upstream_configured=self._configured(),
        )

    def preflight(self, head: RequestHead) -> Headers:
        """Return the CORS headers of a preflight request; nothing for another request.

        It does not count as an attempt: browsers send it without a decision of the page.

        Raises:
            HandshakeRejected: the relay is off, or the origin is not listed.
        """
        if head.method != "OPTIONS" or not head.all("access-control-request-method"):
            return ()
        self._check(head)
        return (*self.headers(head), *preflight(self.endpoint, "GET, HEAD"))

    def headers(self, head: RequestHead) -> Headers:
        """Return the CORS headers of a response for the origin of the request, which was checked before."""
        return tuple(pair for origin in head.all("origin") for pair in readable_by(origin))

    def _check(self, head: RequestHead) -> None:
        endpoint = self.endpoint
        if not endpoint.rules.enabled:
            raise HandshakeRejected(HandshakeRejection.DISABLED)
        allow_missing = endpoint.rules.allow_missing_origin
        endpoint.origins.check(head.all("origin"), ambient=False, allow_missing=allow_missing)

    def retry_after(self, refused: HandshakeRejected) -> tuple[tuple[str, str], ...]:
        """Return a `Retry-After` header with jitter, so that clients do not all return at once."""
        if refused.retry_after is None:
            return ()
        return (("Retry-After", str(ceil(refused.retry_after * self._random.uniform(1.0, 1.5)))),)
