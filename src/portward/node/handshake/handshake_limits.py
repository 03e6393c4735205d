"""Rate limits of handshakes: by address, by refused user, and over all addresses."""

from typing import Final

from portward.model.clock import Clock
from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.identity import ANONYMOUS
from portward.model.limits import LimitName, Rate
from portward.node.sessions import ActiveEndpoint, ClusterRateLimiter, HandshakeFacts
from portward.security.fair_budget import FairBudget

_OF_USERS: Final = frozenset(
    {HandshakeRejection.FORBIDDEN, HandshakeRejection.USER_CAP, HandshakeRejection.ENDPOINT_CAP}
)
"""Rejections of authenticated users: further attempts are counted by user, not by address."""


class HandshakeLimits:
    """Counts handshakes so that a client does not use up the limit of others at its address.

    Admitted handshakes, and rejected ones without a credential, are counted by address. A refused credential
    is counted where it is verified (`node.rights.limited_verification`). A rejected handshake of a user who
    is not entitled or has too many connections is counted by user.
    """

    def __init__(self, accept_rate: Rate, cluster_limits: ClusterRateLimiter, clock: Clock) -> None:
        self._accepts = FairBudget(accept_rate)
        self._cluster_limits = cluster_limits
        self._clock = clock

    def check_attempts(
        self, endpoint: ActiveEndpoint, keys: tuple[str, ...], what: str = "connection attempts"
    ) -> None:
        """Check that an address, or a user, has handshakes left, without counting.

        Raises:
            HandshakeRejected: RATE.
        """
        limiter = endpoint.limits[LimitName.ATTEMPTS]
        wait = limiter.peek(keys, self._clock.monotonic())
        if wait:
            limiter.record_refusal()
            raise HandshakeRejected(HandshakeRejection.RATE, what, retry_after=wait)

    def check_user(self, handshake: HandshakeFacts) -> None:
        """Check that the user was not rejected too often, before the roles are read; without counting.

        Raises:
            HandshakeRejected: RATE.
        """
        limit_keys = _limit_keys(handshake)
        self.check_attempts(handshake.endpoint, limit_keys, "refused handshakes of one user")

    def check_accepts(self, handshake: HandshakeFacts) -> None:
        """Check that the accept rate over all addresses allows one more, without counting.

        Raises:
            HandshakeRejected: OVERLOAD.
        """
        keys, now = _limit_keys(handshake), self._clock.monotonic()
        wait = self._accepts.peek(keys, now, known=handshake.identity is not None)
        if wait:
            raise HandshakeRejected(HandshakeRejection.OVERLOAD, "accept rate", retry_after=wait)

    async def count(self, handshake: HandshakeFacts, *, refuse: bool) -> None:
        """Count a handshake that may be admitted: by address, over all nodes, then over all addresses.

        In this order one address cannot use up the limit that all share. Without `refuse` it is counted
        and admitted anyway: its single-use credential is already used up.

        Raises:
            HandshakeRejected: RATE or OVERLOAD.
        """
        limiter, keys = handshake.endpoint.limits[LimitName.ATTEMPTS], handshake.keys
        if refuse:
            self.check_accepts(handshake)
        now = self._clock.monotonic()
        wait = limiter.wait(keys, now)
        if not wait and self._cluster_limits.enabled:
            wait = await self._cluster_limits.wait(limiter, keys, now)
            now = self._clock.monotonic()
        if wait and refuse:
            raise HandshakeRejected(
                HandshakeRejection.RATE, "connection attempts", retry_after=wait
            )
        wait = self._accepts.take(_limit_keys(handshake), now, known=handshake.identity is not None)
        if wait and refuse:
            raise HandshakeRejected(HandshakeRejection.OVERLOAD, "accept rate", retry_after=wait)

    def charge(self, endpoint: ActiveEndpoint, keys: tuple[str, ...]) -> None:
        """Count a rejected handshake without a credential against its address."""
        endpoint.limits[LimitName.ATTEMPTS].wait(keys, self._clock.monotonic())

    def refused(
        self, handshake: HandshakeFacts, refusal: HandshakeRejection, *, shown: bool
    ) -> None:
        """Count a rejected handshake; `shown` is whether it had a credential."""
        limiter, now = handshake.endpoint.limits[LimitName.ATTEMPTS], self._clock.monotonic()
        if handshake.identity is not None and refusal in _OF_USERS:
            limiter.wait(_limit_keys(handshake), now)
        elif refusal is HandshakeRejection.UNAUTHENTICATED and not shown:
            self.charge(handshake.endpoint, handshake.keys)


def _limit_keys(handshake: HandshakeFacts) -> tuple[str, ...]:
    """Return the keys to count by: the authenticated user, else the address."""
    identity = handshake.identity
    if identity is None or identity.subject == ANONYMOUS.subject:
        return handshake.keys
    return (f"user {identity.subject}",)
