"""Verification of credentials, with limits that do not affect other clients of the same address.

In this order: a credential that is known to be refused is answered at once; a verification takes from
the common budget; a refusal is counted against the address, once for each credential, and when the
address had too many the answer is "too many" instead. A valid credential is never counted.
"""

import secrets
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from portward.model.errors import CommandError, CredentialError, ErrorKind, Unavailable
from portward.model.limits import VERIFICATIONS, LimitName
from portward.node.rights.ports import IdentityProviderPort, Verifier
from portward.node.sessions import HandshakeFacts, NodeContext
from portward.security.address import mask
from portward.security.credential_memory import (
    CredentialForm,
    CredentialMemory,
    Remembered,
    RetryTime,
)
from portward.security.fair_budget import FairBudget
from portward.security.jws import TokenReason
from portward.telemetry.events import Event
from portward.telemetry.labels import AuthResult

T = TypeVar("T")

CLOCK_JUMP: Final = 1.0
"""Seconds by which the wall clock may drift from the monotonic one before it counts as adjusted."""
_KNOWN_AGAIN: Final = frozenset({CredentialForm.TOKEN, CredentialForm.COOKIE})
"""Kinds of credentials that can be used more than once."""


class OverloadedError(CommandError):
    """Too many credentials are being verified, counted over all addresses."""


class LimitedVerification:
    """Verifies credentials: remembers refused ones, limits verifications, counts refusals by address."""

    def __init__(
        self,
        context: NodeContext,
        verifier: Verifier,
        provider: IdentityProviderPort | None,
    ) -> None:
        self._telemetry = context.telemetry
        self._clock = clock = context.clock
        self._cluster_limits = context.cluster_limits
        self._verifier = verifier
        self._provider = provider
        self._memory = CredentialMemory(secrets.token_bytes(32))
        self._budget = FairBudget(VERIFICATIONS)
        self._edition = verifier.edition
        self._offset = clock.time() - clock.monotonic()

    def forget_refusals(self) -> None:
        """Forget the refused credentials, so that each is verified again."""
        self._memory.forget_refusals()

    async def verify(
        self,
        form: CredentialForm,
        credential: str,
        handshake: HandshakeFacts,
        trial: Callable[[str], Awaitable[T]],
    ) -> T:
        """Verify a credential with `trial` and return its result, unless it is known to be refused.

        Raises:
            OverloadedError: the common budget is used up.
            CommandError: `AUTH_RATE_LIMITED`, or the refusal itself.
            Unavailable: the service that verifies it does not answer.
        """
        self._forget_outdated()
        key, now = self._memory.key(form, credential), self._clock.monotonic()
        known = self._memory.refused(key, now)
        if known is not None and now < known.again:
            raise await self._refused_again(known, handshake)
        self._check_cost(form, credential, key, handshake)
        try:
            found = await trial(credential)
        except CommandError as fault:
            self._forget_outdated()  # else the next check would forget this refusal
            raise await self._refused(key, _again(form, fault), fault, handshake) from None
        except Unavailable:
            self.record_unavailable(handshake)
            raise
        if form in _KNOWN_AGAIN:
            self._memory.accept(key, self._clock.monotonic())
        return found

    def count_limited(self, handshake: HandshakeFacts) -> None:
        """Count an attempt that was refused by a limit."""
        self._telemetry.metrics.auth_total.add((handshake.endpoint.name, AuthResult.LIMITED))

    def record_unavailable(self, handshake: HandshakeFacts) -> None:
        """Count and log a credential that could not be verified."""
        self._telemetry.metrics.auth_total.add((handshake.endpoint.name, AuthResult.UNAVAILABLE))
        self._telemetry.record(
            Event.AUTH_UNAVAILABLE, client=handshake.id, address=mask(handshake.address)
        )

    # -- before the verification

    def _forget_outdated(self) -> None:
        """Forget the refusals when keys, rules or the wall clock changed: they may be wrong now."""
        edition, offset = self._verifier.edition, self._clock.time() - self._clock.monotonic()
        if edition != self._edition or abs(offset - self._offset) > CLOCK_JUMP:
            self.forget_refusals()
        self._edition, self._offset = edition, offset

    def _check_cost(
        self, form: CredentialForm, credential: str, key: bytes, handshake: HandshakeFacts
    ) -> None:
        """Take from the common budget, and do not send probable guesses to the identity provider.

        Cookies cannot be verified here. An address whose cookies were refused too often may only use
        cookies that the provider accepted within the last day.
        """
        now = self._clock.monotonic()
        if form is CredentialForm.COOKIE:
            limiter = handshake.endpoint.limits[LimitName.AUTH]
            wait = limiter.peek(_cookie_keys(handshake), now)
            if wait and not (self._provider is not None and self._provider.confirmed(credential)):
                limiter.record_refusal()
                self.count_limited(handshake)
                raise _too_many(wait)
        # A credential that was valid before has its own key, apart from other clients of its address.
        known = self._memory.is_known(key, now)
        wait = self._budget.take((key,) if known else handshake.keys, now, known=known)
        if wait:
            self.count_limited(handshake)
            raise OverloadedError(ErrorKind.AUTH_RATE_LIMITED, retry_after=int(wait * 1000) + 1)

    # -- after the verification

    async def _refused_again(self, known: Remembered, handshake: HandshakeFacts) -> CommandError:
        """Return the error for a credential that is known to be refused."""
        wait = await self._count(known, handshake)
        result = AuthResult.LIMITED if wait else AuthResult.REPEATED
        fault = known.fault()
        self._record(handshake, fault, result)
        return _too_many(wait) if wait else fault

    async def _refused(
        self, key: bytes, again: RetryTime, fault: CommandError, handshake: HandshakeFacts
    ) -> CommandError:
        """Remember a credential that was refused now, and return the error for it."""
        now = self._clock.monotonic()
        known = self._memory.refuse(key, fault, again, now)
        if again is RetryTime.PAUSED and not known.counted:
            handshake.endpoint.limits[LimitName.AUTH].wait(_cookie_keys(handshake), now)
        wait = await self._count(known, handshake)
        self._record(handshake, fault, AuthResult.LIMITED if wait else _result(fault))
        return _too_many(wait) if wait else fault

    async def _count(self, known: Remembered, handshake: HandshakeFacts) -> float:
        """Count a refused credential once against the address; return seconds to wait, 0.0 for none."""
        if known.counted:
            return 0.0
        limiter, keys = handshake.endpoint.limits[LimitName.AUTH], handshake.keys
        wait = limiter.wait(keys, self._clock.monotonic())
        if wait:
            return wait
        known.counted = True  # before the await: a concurrent attempt with it must not count again
        wait = await self._cluster_limits.wait(limiter, keys, self._clock.monotonic())
        known.counted = not wait
        return wait

    def _record(self, handshake: HandshakeFacts, fault: CommandError, result: AuthResult) -> None:
        endpoint, address = handshake.endpoint.name, mask(handshake.address)
        self._telemetry.metrics.auth_total.add((endpoint, result))
        reason = fault.detail or fault.kind.code
        self._telemetry.record(
            Event.AUTH_FAIL, client=handshake.id, address=address, reason=reason, claim=fault.claim
        )
        handshake.endpoint.observer.credential_refused(address, fault.kind.code)


def _cookie_keys(handshake: HandshakeFacts) -> tuple[str, ...]:
    """Return the keys of the separate count of refused cookies, which protects the identity provider."""
    return tuple(f"cookies {key}" for key in handshake.keys)


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
    """Return the metric label of a refusal."""
    if fault.kind is ErrorKind.TOKEN_REVOKED:
        return AuthResult.REVOKED
    return AuthResult.EXPIRED if fault.detail == TokenReason.EXPIRED else AuthResult.FAILED
