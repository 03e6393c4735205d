"""Handling of events about users and their rights, from this node or another."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final
from weakref import WeakSet

from portward.model.channel import Channel
from portward.model.disconnects import Disconnect
from portward.model.errors import Unavailable
from portward.model.events import (
    BusEvent,
    Disconnected,
    Expelled,
    Revoked,
    RightsChanged,
    ValueShared,
)
from portward.model.replies import SharedChanged
from portward.model.revocation import Revocation
from portward.node.channels import Subscriptions
from portward.node.rights import IdentityBinding
from portward.node.sessions import NodeContext, Session

RETRY: Final = 5.0
"""Seconds until a check that was not possible is tried again."""
KEPT: Final = 1000
"""The most revocations of which is known how many sessions they closed."""


class RightsEventHandler:
    """Applies revocations and changed rights to sessions."""

    def __init__(
        self,
        context: NodeContext,
        binding: IdentityBinding,
        subscriptions: Subscriptions,
    ) -> None:
        self._registry = context.registry
        self._background = context.background
        self._revocations = context.stores.revocations
        self._telemetry = context.telemetry
        self._clock = context.clock
        self._binding = binding
        self._subscriptions = subscriptions
        self._waiting: WeakSet[Session] = WeakSet()
        """Sessions that wait for another check."""
        self._ended: dict[Revocation, int] = {}
        """How many sessions each of the last revocations closed."""
        self._checking: dict[Session, int] = {}
        """The number of running checks of a session that were started by events."""

    @property
    def handlers(self) -> Mapping[type[BusEvent], Callable[..., None]]:
        """The events of the bus that this handles."""
        return {
            Revoked: self.revoked,
            RightsChanged: self.rights_changed,
            Disconnected: self.disconnected,
            Expelled: self.expelled,
            ValueShared: self.shared,
        }

    def revoked(self, event: Revoked) -> None:
        """Close every session that the revocation covers."""
        revocation = event.revocation
        self._revocations.hold(revocation)
        ended = self._ended.pop(revocation, 0)
        for session in self._registry:
            if session.claims is not None and revocation.names(session.claims, session.resume_id):
                ended += session.alive
                session.end(Disconnect.REVOKED, f"revoked by {revocation.kind.value}")
        self._ended[revocation] = ended
        if len(self._ended) > KEPT:
            del self._ended[next(iter(self._ended))]
        self._telemetry.metrics.revoked(self._clock.time() - revocation.at)

    def ended_by(self, revocation: Revocation) -> int:
        """Return how many sessions of this node one of the last revocations closed."""
        return self._ended.get(revocation, 0)

    def rights_changed(self, event: RightsChanged) -> None:
        """Check the rights of all sessions of a user, or of all subscribers of a channel.

        Pushes are withheld meanwhile, so that a session that has lost the right does not get them.
        """
        if event.user is not None:
            for session in self._registry.of_user(event.user):
                self._begin(session, session.subscriptions)
                self._background.run(self._await_check(session, self.reauthorize_user(session)))
        if event.channel is not None:
            for session in self._registry:
                if event.channel in session.subscriptions:
                    self._begin(session, (event.channel,))
                    judging = self._reauthorize_channel(session, event.channel)
                    self._background.run(self._await_check(session, judging))

    def _begin(self, session: Session, channels: Iterable[Channel]) -> None:
        self._subscriptions.withhold(session, channels)
        self._checking[session] = self._checking.get(session, 0) + 1

    async def _await_check(self, session: Session, judging: Awaitable[None]) -> None:
        """Wait for a check; after the last check of a session the withheld pushes are written.

        They are also written when the check was not possible: the old rights apply until the next try.
        """
        try:
            await judging
        finally:
            self._checking[session] -= 1
            if not self._checking[session]:
                del self._checking[session]
                self._subscriptions.release(session)

    async def reauthorize_user(self, session: Session) -> None:
        """Check the rights of one session: its roles, then every subscribed channel.

        A check that is not possible now is repeated later: otherwise a withdrawn right would stay in force
        because the store was unavailable.
        """
        try:
            await self._binding.refresh_roles(session)
            await self._subscriptions.reauthorize_all(session)
        except Unavailable:
            self._later(session)
            raise
        self._waiting.discard(session)

    async def _reauthorize_channel(self, session: Session, channel: Channel) -> None:
        try:
            await self._subscriptions.reauthorize(session, channel)
        except Unavailable:
            self._later(session)
            raise

    def _later(self, session: Session) -> None:
        if session.alive and session not in self._waiting:
            self._waiting.add(session)
            self._clock.call_later(RETRY, lambda: self._retry(session))

    def _retry(self, session: Session) -> None:
        self._waiting.discard(session)
        if session.alive:
            self._background.run(self.reauthorize_user(session))

    def disconnected(self, event: Disconnected) -> None:
        """Close the sessions of a user, or one of them."""
        for session in self._registry.of_user(event.user):
            if event.client is None or session.id == event.client:
                session.end(Disconnect.REVOKED, "disconnected by the backend")

    def shared(self, event: ValueShared) -> None:
        """Push a shared value to the other connections of the user on this node."""
        push = SharedChanged(key=event.key, value=event.value, version=event.version)
        for session in self._registry.of_user(event.user):
            identity = session.identity
            same = identity is not None and identity.workspace == event.workspace
            if same and session.id != event.client:
                session.push(push)

    def expelled(self, event: Expelled) -> None:
        """Remove a user from a channel."""
        for session in self._registry.of_user(event.user):
            if event.client is None or session.id == event.client:
                self._subscriptions.remove(session, event.channel, event.reason)
