"""`GET /test`: whether the relay is on, wants a token, and has an upstream; for pages of listed origins."""

from collections.abc import Callable
from math import ceil
from random import Random

import msgspec

from portward.model.clock import Clock
from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.limits import LimitName
from portward.model.request import RequestHead
from portward.node.cors import Headers, preflight, readable_by
from portward.node.endpoint import ActiveEndpoint
from portward.security.address import limit_keys


class RelayStatus(msgspec.Struct, frozen=True, rename="camel"):
    """What the page says."""

    status: str
    enabled: bool
    auth_required: bool
    upstream_configured: bool


class StatusPage:
    """Judges who asks by the relay's own rules: origin, then attempts of the address.

    Attempts to connect and questions count together: both are what one address may ask of the relay.
    """

    def __init__(
        self,
        endpoint: ActiveEndpoint,
        clock: Clock,
        *,
        configured: Callable[[], bool],
        address: Callable[[RequestHead], str],
    ) -> None:
        """`address` derives the client's own address from a request."""
        self.endpoint = endpoint
        self._clock = clock
        self._configured = configured
        self._address = address
        self._random = Random()  # noqa: S311 - spreads load, keeps no secret

    def judge(self, head: RequestHead) -> RelayStatus:
        """The status.

        Raises:
            Refused: the relay is off, the origin is not listed, or the address asks too often.
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
        """What a page of a listed origin may send; nothing for what is no preflight.

        It counts as no attempt: a browser asks by itself.

        Raises:
            Refused: the relay is off, or the origin is not listed.
        """
        if head.method != "OPTIONS" or not head.all("access-control-request-method"):
            return ()
        self._check(head)
        return (*self.headers(head), *preflight(self.endpoint, "GET, HEAD"))

    def headers(self, head: RequestHead) -> Headers:
        """Who may read the answer: the one origin that asked, which was judged before."""
        return tuple(pair for origin in head.all("origin") for pair in readable_by(origin))

    def _check(self, head: RequestHead) -> None:
        endpoint = self.endpoint
        if not endpoint.rules.enabled:
            raise HandshakeRejected(HandshakeRejection.DISABLED)
        allow_missing = endpoint.rules.allow_missing_origin
        endpoint.origins.check(head.all("origin"), ambient=False, allow_missing=allow_missing)

    def retry_after(self, refused: HandshakeRejected) -> tuple[tuple[str, str], ...]:
        """When to ask again, spread a little so that not all come back at once."""
        if refused.retry_after is None:
            return ()
        return (("Retry-After", str(ceil(refused.retry_after * self._random.uniform(1.0, 1.5)))),)
