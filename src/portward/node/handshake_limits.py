"""How often handshakes may come: of one address, of one user who is refused, and of all together."""

from typing import Final

from portward.model.clock import Clock
from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.identity import ANONYMOUS
from portward.model.limits import LimitName, Rate
from portward.node.cluster_limits import ClusterRateLimiter
from portward.node.endpoint import ActiveEndpoint, HandshakeFacts
from portward.security.fair_budget import FairBudget

_OF_USERS: Final = frozenset(
    {HandshakeRejection.FORBIDDEN, HandshakeRejection.USER_CAP, HandshakeRejection.ENDPOINT_CAP}
)
"""Refusals of those who proved who they are: trying again is held against the user."""


class HandshakeLimits:
    """Counts handshakes in such a way that no client pays for its neighbours.

    An address is charged for handshakes that are let in and for those without a credential. A refused
    credential is charged where it is judged; a user who is not entitled, or has too many connections, is
    charged as a user.
    """

    def __init__(self, accept_rate: Rate, span: ClusterRateLimiter, clock: Clock) -> None:
        self._accepts = FairBudget(accept_rate)
        self._span = span
        self._clock = clock

    def check_address(self, endpoint: ActiveEndpoint, keys: tuple[str, ...]) -> None:
        """Look whether the address has handshakes left; nothing is counted yet.

        Raises:
            Refused: RATE.
        """
        self._check(endpoint, keys, "connection attempts")

    def check_user(self, newcomer: HandshakeFacts) -> None:
        """Look whether the user was refused too often, before it is found out whether to refuse again.

        Raises:
            Refused: RATE.
        """
        self._check(newcomer.endpoint, _payer(newcomer), "refused handshakes of one user")

    def _check(self, endpoint: ActiveEndpoint, keys: tuple[str, ...], what: str) -> None:
        limiter = endpoint.limits[LimitName.ATTEMPTS]
        wait = limiter.peek(keys, self._clock.monotonic())
        if wait:
            limiter.record_refusal()
            raise HandshakeRejected(HandshakeRejection.RATE, what, retry_after=wait)

    def check_accepts(self, newcomer: HandshakeFacts) -> None:
        """Look whether one more may be let in, those of all addresses together; nothing is counted yet.

        Raises:
            Refused: OVERLOAD.
        """
        keys, now = _payer(newcomer), self._clock.monotonic()
        wait = self._accepts.peek(keys, now, known=newcomer.identity is not None)
        if wait:
            raise HandshakeRejected(HandshakeRejection.OVERLOAD, "accept rate", retry_after=wait)

    async def count(self, newcomer: HandshakeFacts, *, refuse: bool) -> None:
        """Count a handshake that may be let in: its address, then over all nodes, then over all addresses.

        In this order one address cannot use up what all of them share. Without `refuse` it is counted and
        let in: its credential works once and is used up by now.

        Raises:
            Refused: RATE or OVERLOAD.
        """
        limiter, keys = newcomer.endpoint.limits[LimitName.ATTEMPTS], newcomer.keys
        if refuse:
            self.check_accepts(newcomer)
        wait = limiter.wait(keys, self._clock.monotonic())
        wait = wait or await self._span.wait(limiter, keys, self._clock.monotonic())
        if wait and refuse:
            raise HandshakeRejected(
                HandshakeRejection.RATE, "connection attempts", retry_after=wait
            )
        payer, now = _payer(newcomer), self._clock.monotonic()
        wait = self._accepts.take(payer, now, known=newcomer.identity is not None)
        if wait and refuse:
            raise HandshakeRejected(HandshakeRejection.OVERLOAD, "accept rate", retry_after=wait)

    def charge(self, endpoint: ActiveEndpoint, keys: tuple[str, ...]) -> None:
        """Count a handshake without a credential that was refused."""
        endpoint.limits[LimitName.ATTEMPTS].wait(keys, self._clock.monotonic())

    def refused(
        self, newcomer: HandshakeFacts, refusal: HandshakeRejection, *, shown: bool
    ) -> None:
        """Count a handshake that was refused; `shown` is whether it brought a credential."""
        limiter, now = newcomer.endpoint.limits[LimitName.ATTEMPTS], self._clock.monotonic()
        if newcomer.identity is not None and refusal in _OF_USERS:
            limiter.wait(_payer(newcomer), now)
        elif refusal is HandshakeRejection.UNAUTHENTICATED and not shown:
            self.charge(newcomer.endpoint, newcomer.keys)


def _payer(newcomer: HandshakeFacts) -> tuple[str, ...]:
    """What a handshake counts by: the user who proved to be one, else the address."""
    identity = newcomer.identity
    if identity is None or identity.subject == ANONYMOUS.subject:
        return newcomer.keys
    return (f"user {identity.subject}",)
