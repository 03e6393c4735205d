"""Asks the identity provider again about sessions that came in by cookie: a logout ends them."""

from random import Random
from typing import Final
from weakref import WeakSet

from portward.model.clock import Clock
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, Unavailable
from portward.model.identity import Identity
from portward.model.limits import REVALIDATION_CACHE
from portward.node.authentication import Authentication
from portward.node.background import Background
from portward.node.ports import IdentityProviderPort
from portward.node.session import Session
from portward.node.subscriptions import Subscriptions

_SHARE: Final = 6
"""Of the bound this part at most may be the age of an answer that was kept."""


class Revalidation:
    """Looks at every cookie once within `bound` seconds, spread out.

    An answer that was kept counts while it is young enough for the bound to hold. While the provider
    gives no answer nobody is ended for it, and it is asked again sooner.
    """

    def __init__(
        self,
        provider: IdentityProviderPort,
        authentication: Authentication,
        membership: Subscriptions,
        background: Background,
        clock: Clock,
        bound: float,
    ) -> None:
        self._provider = provider
        self._authentication = authentication
        self._membership = membership
        self._background = background
        self._clock = clock
        self._random = Random()  # noqa: S311 - spreads load, keeps no secret
        self._max_age = min(REVALIDATION_CACHE, bound / _SHARE)
        self._period = bound - self._max_age
        self._owed: WeakSet[Session] = WeakSet()
        """Sessions whose facts have changed, and whose rights could not be judged again yet."""

    def begin(self, session: Session) -> None:
        """Look at a session's cookie again and again, from some time within the period on."""
        self._later(session, self._period * self._random.uniform(0.5, 1.0))

    def recheck(self, session: Session) -> None:
        """Look at it now."""
        self._background.run(self._recheck(session))

    def _later(self, session: Session, seconds: float) -> None:
        session.recheck_at(self._clock.monotonic() + seconds)

    async def _recheck(self, session: Session) -> None:
        wait = self._max_age
        try:
            identity = await self._provider.identify(
                session.newcomer.cookies, max_age=self._max_age
            )
            await self._compare(session, identity)
            wait = self._period
        except CommandError:
            session.end(Disconnect.REVOKED, "the identity provider knows its cookie no longer")
        except Unavailable:
            self._authentication.judge.unreachable(session.newcomer)
        finally:
            if session.alive:
                self._later(session, wait)

    async def _compare(self, session: Session, identity: Identity) -> None:
        """Rights are judged again when the provider tells something else than before."""
        claims = session.claims
        if claims is None or not session.alive:
            return
        if identity.subject != claims.subject:
            session.end(Disconnect.REVOKED, "its cookie is another subject's now")
        elif session in self._owed or _facts(identity) != _facts(claims):
            self._owed.add(session)
            await self._authentication.replace_facts(session, identity)
            await self._membership.reauthorize_all(session, fresh=True)
            self._owed.discard(session)


def _facts(who: Identity) -> tuple[object, ...]:
    return (who.email, who.roles, who.profile)
