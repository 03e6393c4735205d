"""The identity of a session: bound once, then kept up to date with tokens, provider and directory."""

from typing import Protocol

from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind, Unavailable
from portward.model.identity import ANONYMOUS, Identity
from portward.model.lifecycle import State, Transition
from portward.node.rights.authorization import Authorizer
from portward.node.sessions import ActiveEndpoint, NodeContext, Session
from portward.telemetry.events import Event
from portward.telemetry.labels import AuthResult


class SessionLifecycle(Protocol):
    """Called at the steps of a session from its first identity on."""

    def bound(self, session: Session) -> None:
        """The session got its identity."""

    async def admits(self, session: Session) -> bool:
        """Ask the connect hooks of the application; False refuses the session."""

    def opened(self, session: Session) -> None:
        """The session is fully authenticated."""


class IdentityBinding:
    """Binds identities to sessions, and replaces them by newer ones of the same subject."""

    def __init__(
        self, context: NodeContext, authorizer: Authorizer, lifecycle: SessionLifecycle
    ) -> None:
        self._stores = context.stores
        self._registry = context.registry
        self._telemetry = context.telemetry
        self._settings = context.settings
        self._authorizer = authorizer
        self._lifecycle = lifecycle

    def admit(self, session: Session, identity: Identity) -> None:
        """Admit a session of an endpoint without authentication."""
        session.claims = session.identity = identity
        session.move(Transition.ADMIT)
        session.transport.authenticated()
        self._lifecycle.bound(session)
        self._lifecycle.opened(session)

    async def apply(self, session: Session, identity: Identity) -> None:
        """Bind an identity to a new session, or exchange that of a session that has one.

        Raises:
            CommandError: as :meth:`bind` and :meth:`exchange`.
            Unavailable: the store cannot be reached.
        """
        if session.state is State.NEW:
            await self.bind(session, identity)
        else:
            await self.exchange(session, identity)

    async def bind(self, session: Session, identity: Identity) -> None:
        """Bind an identity to a new session, then load its roles and check revocations again.

        The registration comes first: from then on the session gets every revocation and every change
        of rights, so that none is missed while the checks run.

        Raises:
            CommandError: the user has too many connections, was revoked or is refused by the application;
                each of these ends the session.
            Unavailable: the store cannot be reached, which also ends the session.
        """
        if session.state is not State.NEW:
            raise CommandError(ErrorKind.NOT_AUTHENTICATED)
        if self.has_too_many(session.endpoint, identity):
            session.end(Disconnect.CONNECTION_LIMIT, "too many connections of one user")
            raise CommandError(ErrorKind.LIMIT_EXCEEDED)
        session.claims = session.identity = identity
        session.move(Transition.ADMIT)
        self._lifecycle.bound(session)
        self._registry.bind(session, identity.subject)
        session.authenticated(identity.expires_at, self._settings.now.tokens.leeway)
        session.transport.authenticated()
        try:
            await self._complete(session, identity)
        except Unavailable:
            session.end(Disconnect.INTERNAL, "the store cannot be asked")
            raise
        self._telemetry.metrics.auth_total.add((session.endpoint.name, AuthResult.OK))
        self._telemetry.record(
            Event.AUTH_OK, client=session.id, address=session.address, user=identity.subject
        )
        self._lifecycle.opened(session)

    def has_too_many(self, endpoint: ActiveEndpoint, identity: Identity) -> bool:
        """Return whether a user has reached the limit of connections per user at an endpoint.

        The identity `anonymous` has no such limit.
        """
        limit, subject = self._settings.now.gate.max_per_user, identity.subject
        if not limit or subject == ANONYMOUS.subject:
            return False
        if self._registry.count_of_user(subject) < limit:  # over all endpoints: a cheap check first
            return False
        return sum(each.endpoint is endpoint for each in self._registry.of_user(subject)) >= limit

    async def _complete(self, session: Session, identity: Identity) -> None:
        await self.refresh_roles(session)
        await self._check_after_binding(session, identity)
        if session.alive and not await self._lifecycle.admits(session):
            session.end(Disconnect.PERMISSION_LOST, "refused by a connect hook")
            raise CommandError(ErrorKind.PERMISSION_DENIED)
        if not session.alive:
            raise CommandError(ErrorKind.NOT_AUTHENTICATED)

    async def _check_after_binding(self, session: Session, identity: Identity) -> None:
        """Check revocations again: one between the first check and the registration found no session."""
        if await self._stores.revocations.is_revoked(identity, session.resume_id):
            session.end(Disconnect.REVOKED, "revoked while it was authenticated")
            raise CommandError(ErrorKind.TOKEN_REVOKED)

    async def exchange(self, session: Session, identity: Identity) -> None:
        """Apply a newer identity of the same subject.

        Raises:
            CommandError: it is of another subject, which ends the session, or older than the current one.
        """
        current = session.claims
        if current is None or not session.alive:
            raise CommandError(ErrorKind.NOT_AUTHENTICATED)
        same = (identity.subject, identity.workspace, identity.issuer) == (
            current.subject,
            current.workspace,
            current.issuer,
        )
        if not same:
            session.end(Disconnect.AUTH_FAILED, "refresh with the token of another subject")
            raise CommandError(ErrorKind.AUTHENTICATION_FAILED)
        if (identity.issued_at or 0.0) < (current.issued_at or 0.0):
            raise CommandError(
                ErrorKind.AUTHENTICATION_FAILED, detail="older than the current token"
            )
        await self.refresh_roles(session, identity)
        if not session.alive:
            raise CommandError(ErrorKind.NOT_AUTHENTICATED)
        session.move(Transition.REFRESH)
        session.authenticated(identity.expires_at, self._settings.now.tokens.leeway)
        await self._check_after_binding(session, identity)
        self._telemetry.record(Event.AUTH_REFRESH, client=session.id, user=identity.subject)

    async def refresh_roles(self, session: Session, newer: Identity | None = None) -> None:
        """Apply the current roles and permissions of the directory; this increments the rights version.

        They are merged with the `newer` facts of the subject, by default with those of the current token.
        Reads again when the session's version changed during the read, so that the later of two
        concurrent changes is kept. A session that is no longer entitled to its endpoint ends.
        """
        while session.alive:
            version, claims = session.version, newer or session.claims
            if claims is None:
                return
            identity = await self._authorizer.with_directory_roles(claims)
            if session.version == version:
                session.claims, session.identity = claims, identity
                session.version += 1
                break
        if session.alive and session.identity and not session.endpoint.entitles(session.identity):
            session.end(Disconnect.PERMISSION_LOST, "none of the roles the endpoint wants")

    async def entitled(self, endpoint: ActiveEndpoint, identity: Identity) -> bool:
        """Return whether a verified identity, with its current roles, may use an endpoint."""
        if not endpoint.rules.roles:
            return True
        return endpoint.entitles(await self._authorizer.with_directory_roles(identity))
