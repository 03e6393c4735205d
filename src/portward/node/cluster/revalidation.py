"""Periodic checks of cookie sessions with the identity provider: after a logout they are closed."""

from random import Random
from typing import Final
from weakref import WeakSet

from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, Unavailable
from portward.model.identity import Identity
from portward.model.limits import REVALIDATION_CACHE
from portward.node.channels import Subscriptions
from portward.node.rights import IdentityBinding, IdentityProviderPort, LimitedVerification
from portward.node.sessions import NodeContext, Session

_SHARE: Final = 6
"""A cached answer may be at most this fraction of the bound old (one sixth)."""


class Revalidation:
    """Checks every cookie session once within `bound` seconds, at spread times.

    A cached answer counts if it is recent enough to keep the bound. While the provider does not answer, no
    session is closed for it, and the next check comes sooner. Without a provider no session is checked.
    """

    def __init__(
        self,
        context: NodeContext,
        provider: IdentityProviderPort | None,
        limited: LimitedVerification,
        binding: IdentityBinding,
        subscriptions: Subscriptions,
    ) -> None:
        self._background = context.background
        self._clock = context.clock
        self._provider = provider
        self._limited = limited
        self._binding = binding
        self._subscriptions = subscriptions
        bound = context.settings.now.identity_provider.revalidate
        self._random = Random()  # noqa: S311 - spreads load, keeps no secret
        self._max_age = min(REVALIDATION_CACHE, bound / _SHARE)
        self._period = bound - self._max_age
        self._waiting: WeakSet[Session] = WeakSet()
        """Sessions with changed facts whose rights could not be checked again yet."""

    def begin(self, session: Session) -> None:
        """Start the periodic checks of a session, at a random time within the period."""
        if self._provider is not None:
            self._later(session, self._period * self._random.uniform(0.5, 1.0))

    def recheck(self, session: Session) -> None:
        """Check a session now."""
        self._background.run(self._recheck(session))

    def _later(self, session: Session, seconds: float) -> None:
        session.recheck_at(self._clock.monotonic() + seconds)

    async def _recheck(self, session: Session) -> None:
        wait = self._max_age
        if self._provider is None:
            return
        try:
            identity = await self._provider.identify(
                session.handshake.cookies, max_age=self._max_age
            )
            await self._compare(session, identity)
            wait = self._period
        except CommandError:
            session.end(Disconnect.REVOKED, "the identity provider knows its cookie no longer")
        except Unavailable:
            self._limited.record_unavailable(session.handshake)
        finally:
            if session.alive:
                self._later(session, wait)

    async def _compare(self, session: Session, identity: Identity) -> None:
        """Check the rights again when the answer of the provider differs from the one before."""
        claims = session.claims
        if claims is None or not session.alive:
            return
        if identity.subject != claims.subject:
            session.end(Disconnect.REVOKED, "its cookie is another subject's now")
        elif session in self._waiting or _facts(identity) != _facts(claims):
            self._waiting.add(session)
            await self._binding.refresh_roles(session, identity)
            await self._subscriptions.reauthorize_all(session, fresh=True)
            self._waiting.discard(session)


def _facts(identity: Identity) -> tuple[object, ...]:
    return (identity.email, identity.roles, identity.profile)
