"""Judges credentials, by whichever way they come in, so that no client pays for its neighbours.

In this order: a credential that is known to be refused is answered at once; a judgement takes from the
budget of all; a refusal is counted against the address, once for each credential, and when the address
has had too many it is answered "too many" instead. A good credential is never counted.
"""

import secrets
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

from portward.model.clock import Clock
from portward.model.errors import CommandError, CredentialError, ErrorKind, Unavailable
from portward.model.limits import VERIFICATIONS, LimitName
from portward.node.cluster_limits import ClusterRateLimiter
from portward.node.endpoint import HandshakeFacts
from portward.node.legacy_events import LegacyRelayEvents
from portward.security.address import mask
from portward.security.credential_memory import (
    CredentialForm,
    CredentialMemory,
    Remembered,
    RetryTime,
)
from portward.security.fair_budget import FairBudget
from portward.security.jws import TokenReason
from portward.telemetry import Telemetry
from portward.telemetry.events import Event
from portward.telemetry.labels import AuthResult

T = TypeVar("T")

CLOCK_JUMP: Final = 1.0
"""Seconds by which the wall clock may move against the monotonic one before it counts as set anew."""
_KNOWN_AGAIN: Final = frozenset({CredentialForm.TOKEN, CredentialForm.COOKIE})
"""Credentials that are presented more than once when they are good."""


class Standards(Protocol):
    """What judgements depend on beside the credential."""

    @property
    def edition(self) -> int:
        """A number that changes whenever the same token may be judged otherwise."""


class OverloadedError(CommandError):
    """Too many credentials are being judged, those of every address together."""


class CredentialJudge:
    """The memory of judgements, the budget for them, and what a refusal costs its address.

    `confirmed` tells whether the identity provider called cookies good within the last day.
    """

    def __init__(
        self,
        standards: Standards,
        confirmed: Callable[[str], bool],
        span: ClusterRateLimiter,
        telemetry: Telemetry,
        chronicle: LegacyRelayEvents,
        clock: Clock,
    ) -> None:
        self._standards = standards
        self._confirmed = confirmed
        self._span = span
        self._telemetry = telemetry
        self._chronicle = chronicle
        self._clock = clock
        self._memory = CredentialMemory(secrets.token_bytes(32))
        self._budget = FairBudget(VERIFICATIONS)
        self._edition = standards.edition
        self._offset = clock.time() - clock.monotonic()

    def forget_refusals(self) -> None:
        """Judge every credential anew."""
        self._memory.forget_refusals()

    async def judge(
        self,
        form: CredentialForm,
        credential: str,
        newcomer: HandshakeFacts,
        trial: Callable[[], Awaitable[T]],
    ) -> T:
        """What `trial` finds out about a credential, unless the answer is known.

        Raises:
            Overloaded: it cannot be judged now.
            Fault: `AUTH_RATE_LIMITED`, or the refusal itself.
            Unavailable: whoever has to be asked does not answer.
        """
        self._look_for_changes()
        key, now = self._memory.key(form, credential), self._clock.monotonic()
        known = self._memory.refused(key, now)
        if known is not None and now < known.again:
            raise await self._repeated(known, newcomer)
        self._check_cost(form, credential, key, newcomer)
        try:
            found = await trial()
        except CommandError as fault:
            self._look_for_changes()  # so that it is not forgotten as a judgement of before
            raise await self._refused(key, _again(form, fault), fault, newcomer) from None
        except Unavailable:
            self.unreachable(newcomer)
            raise
        if form in _KNOWN_AGAIN:
            self._memory.accept(key, self._clock.monotonic())
        return found

    def limited(self, newcomer: HandshakeFacts) -> None:
        """Count an attempt that a limit refused."""
        self._telemetry.metrics.authenticated(newcomer.endpoint.name, AuthResult.LIMITED)

    def unreachable(self, newcomer: HandshakeFacts) -> None:
        """Count and log a credential that could not be judged."""
        self._telemetry.metrics.authenticated(newcomer.endpoint.name, AuthResult.UNAVAILABLE)
        self._telemetry.record(
            Event.AUTH_UNAVAILABLE, client=newcomer.id, address=mask(newcomer.address)
        )

    # -- before

    def _look_for_changes(self) -> None:
        """What was refused by other keys, or at another time of day, may be good now."""
        edition, offset = self._standards.edition, self._clock.time() - self._clock.monotonic()
        if edition != self._edition or abs(offset - self._offset) > CLOCK_JUMP:
            self.forget_refusals()
        self._edition, self._offset = edition, offset

    def _check_cost(
        self, form: CredentialForm, credential: str, key: bytes, newcomer: HandshakeFacts
    ) -> None:
        """Take from the budget; and spare the identity provider what is probably a guess.

        Cookies cannot be judged here. An address whose cookies were refused too often may still use
        those that the provider called good within the last day, and no others.
        """
        now = self._clock.monotonic()
        if form is CredentialForm.COOKIE:
            limiter = newcomer.endpoint.limits[LimitName.AUTH]
            wait = limiter.peek(_cookie_keys(newcomer), now)
            if wait and not self._confirmed(credential):
                limiter.record_refusal()
                self.limited(newcomer)
                raise _too_many(wait)
        # A credential that was good before does not depend on who else is at its address.
        known = self._memory.is_known(key, now)
        wait = self._budget.take((key,) if known else newcomer.keys, now, known=known)
        if wait:
            self.limited(newcomer)
            raise OverloadedError(ErrorKind.AUTH_RATE_LIMITED, retry_after=int(wait * 1000) + 1)

    # -- after

    async def _repeated(self, known: Remembered, newcomer: HandshakeFacts) -> CommandError:
        """The answer to a credential that is known to be refused."""
        wait = await self._count(known, newcomer)
        result = AuthResult.LIMITED if wait else AuthResult.REPEATED
        fault = known.fault()
        self._record(newcomer, fault, result)
        return _too_many(wait) if wait else fault

    async def _refused(
        self, key: bytes, again: RetryTime, fault: CommandError, newcomer: HandshakeFacts
    ) -> CommandError:
        """The answer to a credential that was refused just now, which is remembered."""
        now = self._clock.monotonic()
        known = self._memory.refuse(key, fault, again, now)
        if again is RetryTime.PAUSED and not known.counted:
            newcomer.endpoint.limits[LimitName.AUTH].wait(_cookie_keys(newcomer), now)
        wait = await self._count(known, newcomer)
        self._record(newcomer, fault, AuthResult.LIMITED if wait else _result(fault))
        return _too_many(wait) if wait else fault

    async def _count(self, known: Remembered, newcomer: HandshakeFacts) -> float:
        """Count a refused credential against the address, once; seconds to wait when it has too many."""
        if known.counted:
            return 0.0
        limiter, keys = newcomer.endpoint.limits[LimitName.AUTH], newcomer.keys
        wait = limiter.wait(keys, self._clock.monotonic())
        if wait:
            return wait
        known.counted = True  # before the store answers: the same at the same time counts once
        wait = await self._span.wait(limiter, keys, self._clock.monotonic())
        known.counted = not wait
        return wait

    def _record(self, newcomer: HandshakeFacts, fault: CommandError, result: AuthResult) -> None:
        endpoint, address = newcomer.endpoint.name, mask(newcomer.address)
        self._telemetry.metrics.authenticated(endpoint, result)
        reason = fault.detail or fault.kind.code
        self._telemetry.record(
            Event.AUTH_FAIL, client=newcomer.id, address=address, reason=reason, claim=fault.claim
        )
        self._chronicle.failed(endpoint, address, fault.kind.code)


def _cookie_keys(newcomer: HandshakeFacts) -> tuple[str, ...]:
    """The keys by which refused cookies are counted apart, for the identity provider's sake."""
    return tuple(f"cookies {key}" for key in newcomer.keys)


def _again(form: CredentialForm, fault: CommandError) -> RetryTime:
    if form is CredentialForm.COOKIE:
        return RetryTime.PAUSED
    return (
        RetryTime.NEVER
        if isinstance(fault, CredentialError) and fault.lasting
        else RetryTime.AT_ONCE
    )


def _too_many(wait: float) -> CommandError:
    return CommandError(ErrorKind.AUTH_RATE_LIMITED, retry_after=int(wait * 1000) + 1)


def _result(fault: CommandError) -> AuthResult:
    """How a refusal is counted."""
    if fault.kind is ErrorKind.TOKEN_REVOKED:
        return AuthResult.REVOKED
    return AuthResult.EXPIRED if fault.detail == TokenReason.EXPIRED else AuthResult.FAILED
