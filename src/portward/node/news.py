"""Acts on news about people and their rights, from this node or another."""

from portward.hub.registry import Registry
from portward.model.clock import Clock
from portward.model.endings import Ending
from portward.model.events import Disconnected, Expelled, Revoked, RightsChanged
from portward.node.authentication import Authentication
from portward.node.background import Background
from portward.node.membership import Membership
from portward.node.session import Session
from portward.telemetry import Telemetry


class News:
    """Implements `node.delivery.Authorities`."""

    def __init__(
        self,
        registry: Registry[Session],
        authentication: Authentication,
        membership: Membership,
        background: Background,
        telemetry: Telemetry,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._authentication = authentication
        self._membership = membership
        self._background = background
        self._telemetry = telemetry
        self._clock = clock

    def revoked(self, event: Revoked) -> None:
        """End every session that the revocation names."""
        revocation = event.revocation
        for session in self._registry:
            if session.claims is not None and revocation.names(session.claims, session.resume_id):
                session.end(Ending.REVOKED, f"revoked by {revocation.kind.value}")
        self._telemetry.metrics.revoked(self._clock.time() - revocation.at)

    def rights_changed(self, event: RightsChanged) -> None:
        """Judge a user's sessions again, or everyone in a channel."""
        if event.user is not None:
            for session in self._registry.of_user(event.user):
                self._background.run(self.judge_user(session))
        if event.channel is not None:
            for session in self._registry:
                if event.channel in session.subscriptions:
                    self._background.run(self._membership.judge_again(session, event.channel))

    async def judge_user(self, session: Session) -> None:
        """Judge one session again: its roles, then every channel it hears."""
        await self._authentication.identity_again(session)
        await self._membership.judge_all_again(session)

    def disconnected(self, event: Disconnected) -> None:
        """End a user's sessions, or one."""
        for session in self._registry.of_user(event.user):
            if event.client is None or session.id == event.client:
                session.end(Ending.REVOKED, "disconnected by the backend")

    def expelled(self, event: Expelled) -> None:
        """Take a user out of a channel."""
        for session in self._registry.of_user(event.user):
            if event.client is None or session.id == event.client:
                self._membership.remove(session, event.channel, event.reason)
