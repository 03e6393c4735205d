"""`GET /test`: relay status for pages of listed origins: enabled, token required, upstream configured."""

from math import ceil
from random import Random

import msgspec

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.limits import LimitName
from portward.model.request import RequestHead
from portward.node.handshake import preflight, readable_by
from portward.node.protocol_service import JSON_HEADERS, READ_METHODS
from portward.node.sessions import ActiveEndpoint, HttpReply
from portward.protocols.relay.relay import Relay
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

    def __init__(self, endpoint: ActiveEndpoint, relay: Relay) -> None:
        self.endpoint = endpoint
        self._relay = relay
        self._random = Random()  # noqa: S311 - spreads load, keeps no secret

    def answer(self, head: RequestHead, address: str) -> HttpReply:
        """Return the status. A preflight request does not count as an attempt: no page decides on it.

        Raises:
            HandshakeRejected: the relay is off, the origin is not listed, or the address asks too often.
        """
        self._check(head)
        origin = tuple(pair for each in head.all("origin") for pair in readable_by(each))
        if head.method == "OPTIONS" and head.all("access-control-request-method"):
            return HttpReply(204, headers=(*origin, *preflight(self.endpoint, "GET, HEAD")))
        now = self._relay.context.clock.monotonic()
        wait = self.endpoint.limits[LimitName.ATTEMPTS].wait(limit_keys(address), now)
        if wait:
            raise HandshakeRejected(HandshakeRejection.RATE, "status", retry_after=wait)
        if head.method not in READ_METHODS:
            return HttpReply(405, headers=(("Allow", "GET"),))
        status = RelayStatus(
            status="ok",
            enabled=True,
            auth_required=self.endpoint.rules.authenticated,
            upstream_configured=self._relay.upstream is not None,
        )
        return HttpReply(200, msgspec.json.encode(status), (*JSON_HEADERS, *origin))

    def reject(self, refused: HandshakeRejected) -> HttpReply:
        """Answer a rejected request; the delay has jitter, so that clients do not all return at once."""
        headers = refused.refusal.headers
        if refused.retry_after is not None:
            delay = ceil(refused.retry_after * self._random.uniform(1.0, 1.5))
            headers = (*headers, ("Retry-After", str(delay)))
        return HttpReply(refused.refusal.status, headers=headers)

    def _check(self, head: RequestHead) -> None:
        endpoint = self.endpoint
        if not endpoint.rules.enabled:
            raise HandshakeRejected(HandshakeRejection.DISABLED)
        allow_missing = endpoint.rules.allow_missing_origin
        endpoint.origins.check(head.all("origin"), ambient=False, allow_missing=allow_missing)
