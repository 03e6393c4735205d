"""Authentication by token, cookie, ticket or session token, and refresh on an open connection."""

import secrets
from collections.abc import Awaitable, Callable
from hashlib import sha256

from portward.engines.port import Engine, SessionRecord
from portward.hub.registry import Registry
from portward.model.clock import Clock
from portward.model.commands import Authenticate, Refresh, Resume
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, CredentialError, ErrorKind, Unavailable
from portward.model.identity import ANONYMOUS, Identity
from portward.model.lifecycle import State, Transition
from portward.model.replies import Authenticated, Refreshed
from portward.node.ports import IdentityProviderPort, Verifier
from portward.node.rights.authorization import Authorizer
from portward.node.rights.credential_judge import CredentialJudge
from portward.node.sessions import ActiveEndpoint, Session
from portward.security.credential_memory import CredentialForm
from portward.security.fair_budget import FairBudget
from portward.security.session_tokens import SessionTokens
from portward.security.tokens import TokenRefused
from portward.settings.resolve import SettingsInForce
from portward.telemetry import Telemetry
from portward.telemetry.events import Event
from portward.telemetry.labels import AuthResult

SESSION_TTL = 3600.0
"""Seconds during which a session can be resumed, from its last use."""
RELEASED_TTL = 120.0
"""Seconds during which it can be resumed once its connection has closed."""


class Authentication:
    """Verifies every kind of credential and binds identities to sessions."""

    def __init__(  # noqa: PLR0913 - ports and rules, wired by name in one place
        self,
        engine: Engine,
        registry: Registry[Session],
        authorizer: Authorizer,
        verifier: Verifier,
        session_tokens: SessionTokens,
        telemetry: Telemetry,
        clock: Clock,
        *,
        settings: SettingsInForce,
        bound: Callable[[Session], None],
        admits: Callable[[Session], Awaitable[bool]],
        opened: Callable[[Session], None],
        judge: CredentialJudge,
        provider: IdentityProviderPort | None = None,
    ) -> None:
        """Take the ports and the settings.

        `bound` is called when a session gets its identity, `admits` then runs the connect hooks and may
        refuse, and `opened` is called when the session is fully authenticated.
        """
        self._engine = engine
        self._registry = registry
        self._authorizer = authorizer
        self._verifier = verifier
        self._session_tokens = session_tokens
        self._provider = provider
        self._telemetry = telemetry
        self._clock = clock
        self._settings = settings
        self._bound = bound
        self._admits = admits
        self._opened = opened
        self.limited_verification = judge
        self._accepts = FairBudget(settings.now.gate.accept_rate)
        """Budget for authentications on open connections, over all addresses."""

    # -- from a credential to an identity

    async def identify(self, token: str) -> Identity:
        """Verify a token and check that it was not revoked.

        Raises:
            CommandError: `AUTHENTICATION_FAILED` or `TOKEN_REVOKED`.
            Unavailable: the key cannot be fetched now, or the store cannot be reached.
        """
        try:
            identity = await self._verifier.identify(token)
        except TokenRefused as refused:
            raise _refusal(refused, lasting=self._verifier.lasts(refused)) from None
        await self._check_revoked(identity, None)
        if await self._engine.revocations.token_revoked(token):
            # Not lasting: the other application may withdraw this revocation.
            raise CommandError(ErrorKind.TOKEN_REVOKED, detail="revoked by another application")
        return identity

    async def authenticate_cookie(self, cookies: str) -> Identity:
        """Return the identity of a browser's cookies, after checking that it was not revoked.

        Raises:
            CommandError: `AUTHENTICATION_FAILED` or `TOKEN_REVOKED`.
            Unavailable: the identity provider does not answer, or none is configured.
        """
        if self._provider is None:
            raise Unavailable("no identity provider is set")
        identity = await self._provider.identify(cookies)
        await self._check_revoked(identity, None)
        return identity

    def without_cookie(self) -> None:
        """Count a handshake without the cookie that its endpoint needs."""
        if self._provider is not None:
            self._provider.absent()

    def ignored_scheme(self, endpoint: str, address: str, scheme: str) -> None:
        """Log that an `Authorization` header was ignored because of its scheme."""
        self._telemetry.record(
            Event.AUTH_SCHEME_IGNORED, endpoint=endpoint, address=address, kind=scheme
        )

    async def redeem_ticket(self, ticket: str) -> Identity:
        """Use up a single-use ticket and return its identity.

        Raises:
            CommandError: `AUTHENTICATION_FAILED` or `TOKEN_REVOKED`.
        """
        identity = await self._engine.sessions.take_ticket(digest(ticket))
        if identity is None or self._expired(identity):
            raise CredentialError(ErrorKind.AUTHENTICATION_FAILED, "ticket", lasting=True)
        await self._check_revoked(identity, None)
        return identity

    async def issue_ticket(self, token: str, ttl: float) -> str:
        """Exchange a token for a ticket that works once within `ttl` seconds.

        Raises:
            CommandError: the token is not valid.
        """
        identity = await self.identify(token)
        ticket = secrets.token_urlsafe(32)
        await self._engine.sessions.put_ticket(digest(ticket), identity, ttl)
        return ticket

    def _expired(self, identity: Identity) -> bool:
        expires = identity.expires_at
        return (
            expires is not None and self._clock.time() >= expires + self._settings.now.tokens.leeway
        )

    async def _check_revoked(self, identity: Identity, session: str | None) -> None:
        if await self._engine.revocations.is_revoked(identity, session):
            raise CredentialError(ErrorKind.TOKEN_REVOKED, "revoked", lasting=True)

    # -- from an identity to a session

    async def authenticate(self, session: Session, command: Authenticate) -> Authenticated:
        """Authenticate a session by its first message; on an authenticated session, refresh it.

        Raises:
            CommandError: the token is refused, or too many attempts were made from this address.
        """
        return await self.open_resumable_session(
            session, await self.apply_token(session, command.token)
        )

    async def apply_token(self, session: Session, token: str) -> Identity:
        """Authenticate a session by a token, or apply a newer token; store nothing for a later resume.

        Raises:
            CommandError: as :meth:`authenticate`.
        """
        identity = await self._verified_token(session, token)
        if session.state is not State.NEW:
            await self._exchange(session, identity)
        else:
            await self.bind(session, identity)
        return identity

    async def resume(self, session: Session, command: Resume) -> Authenticated:
        """Resume a session with a session token; each token works once and yields a new one.

        Raises:
            CommandError: the token is not valid any more, or too many attempts were made from this address.
        """
        # Before the token is used up: a client that is refused here can retry with the same token.
        self._check_accepts(
            session, self._accepts.peek(session.keys, self._clock.monotonic(), known=True)
        )
        token = command.session_token
        record = await self.limited_verification.verify(
            CredentialForm.SESSION_TOKEN,
            token,
            session.handshake,
            lambda: self._take(session, token),
        )
        self._accepts.take(_user(record.identity), self._clock.monotonic(), known=True)
        session.resume_id = record.id
        if session.state is not State.NEW:
            await self._exchange(session, record.identity)
        else:
            await self.bind(session, record.identity)
        await self._engine.sessions.save(record, SESSION_TTL)
        return self._answer(record, resumed=True, effective=session.identity)

    async def _take(self, session: Session, token: str) -> SessionRecord:
        try:
            claims = self._session_tokens.verify(token, self._clock.time())
        except TokenRefused as refused:
            raise _refusal(refused, lasting=True) from None
        self._check_same_subject(session, claims.subject)
        record = await self._engine.sessions.swap(
            claims.session_id, claims.token_id, secrets.token_hex(16), session.id
        )
        if record is None or self._expired(record.identity):
            raise CredentialError(ErrorKind.AUTHENTICATION_FAILED, "session", lasting=True)
        await self._check_revoked(record.identity, record.id)
        return record

    @staticmethod
    def _check_same_subject(session: Session, subject: str) -> None:
        """End a session that presents another user's session token, before that token is used up."""
        if session.claims is not None and session.claims.subject != subject:
            session.end(Disconnect.AUTH_FAILED, "session token of another subject")
            raise CommandError(ErrorKind.AUTHENTICATION_FAILED, detail="session of another subject")

    async def _verified_token(self, session: Session, token: str) -> Identity:
        """Return the identity of a token, after charging the budget for authentications."""
        identity = await self.limited_verification.verify(
            CredentialForm.TOKEN, token, session.handshake, lambda: self.identify(token)
        )
        wait = self._accepts.take(_user(identity), self._clock.monotonic(), known=True)
        self._check_accepts(session, wait)
        return identity

    def _check_accepts(self, session: Session, wait: float) -> None:
        if wait:
            self.limited_verification.count_limited(session.handshake)
            raise CommandError(ErrorKind.AUTH_RATE_LIMITED, retry_after=int(wait * 1000) + 1)

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
        self._bound(session)
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
        self._opened(session)

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
        if session.alive and not await self._admits(session):
            session.end(Disconnect.PERMISSION_LOST, "refused by a connect hook")
            raise CommandError(ErrorKind.PERMISSION_DENIED)
        if not session.alive:
            raise CommandError(ErrorKind.NOT_AUTHENTICATED)

    async def _check_after_binding(self, session: Session, identity: Identity) -> None:
        """Check revocations again: one between the first check and the registration found no session."""
        if await self._engine.revocations.is_revoked(identity, session.resume_id):
            session.end(Disconnect.REVOKED, "revoked while it was authenticated")
            raise CommandError(ErrorKind.TOKEN_REVOKED)

    async def open_resumable_session(self, session: Session, identity: Identity) -> Authenticated:
        """Store a resumable session and return its `Authenticated` reply (a push after a handshake)."""
        record = await self._save(session, identity)
        return self._answer(record, resumed=False, effective=session.identity)

    async def _save(self, session: Session, identity: Identity) -> SessionRecord:
        if session.resume_id is None:
            session.resume_id = secrets.token_hex(16)
        record = SessionRecord(
            id=session.resume_id, identity=identity, nonce=secrets.token_hex(16), client=session.id
        )
        await self._engine.sessions.save(record, SESSION_TTL)
        return record

    def _answer(
        self, record: SessionRecord, *, resumed: bool, effective: Identity | None = None
    ) -> Authenticated:
        return Authenticated(
            identity=effective or record.identity,
            session_token=self._token(record),
            expires_at=record.identity.expires_at,
            resumed=resumed,
        )

    def _token(self, record: SessionRecord) -> str:
        return self._session_tokens.issue(
            record.identity.subject,
            record.id,
            self._clock.time(),
            token_id=record.nonce,
            lifetime=SESSION_TTL,
        )

    # -- a newer token on an open connection

    async def refresh(self, session: Session, command: Refresh) -> Refreshed:
        """Apply a newer token; the caller evaluates the rights again.

        Raises:
            CommandError: the token is refused, or older than the current one.
        """
        identity = await self._verified_token(session, command.token)
        await self._exchange(session, identity)
        if session.conversation is not None:
            return Refreshed(session_token="", expires_at=identity.expires_at)
        record = await self._save(session, identity)
        return Refreshed(session_token=self._token(record), expires_at=identity.expires_at)

    async def _exchange(self, session: Session, identity: Identity) -> None:
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
        await self._put_in_force(session, identity)
        self._check_entitlement(session)
        if not session.alive:
            raise CommandError(ErrorKind.NOT_AUTHENTICATED)
        session.move(Transition.REFRESH)
        session.authenticated(identity.expires_at, self._settings.now.tokens.leeway)
        await self._check_after_binding(session, identity)
        self._telemetry.record(Event.AUTH_REFRESH, client=session.id, user=identity.subject)

    async def replace_facts(self, session: Session, identity: Identity) -> None:
        """Apply newer facts of the identity provider about the same subject, and check the roles."""
        await self._put_in_force(session, identity)
        self._check_entitlement(session)

    # -- the directory changed

    async def refresh_roles(self, session: Session) -> None:
        """Apply the current roles and permissions of the directory; this increments the rights version.

        A session that is no longer entitled to its endpoint ends.
        """
        await self._put_in_force(session)
        self._check_entitlement(session)

    def _check_entitlement(self, session: Session) -> None:
        who = session.identity
        if session.alive and who is not None and not session.endpoint.entitles(who):
            session.end(Disconnect.PERMISSION_LOST, "none of the roles the endpoint wants")

    async def entitled(self, endpoint: ActiveEndpoint, identity: Identity) -> bool:
        """Return whether a verified identity, with its current roles, may use an endpoint."""
        if not endpoint.rules.roles:
            return True
        return endpoint.entitles(await self._authorizer.with_directory_roles(identity))

    async def _put_in_force(self, session: Session, newer: Identity | None = None) -> None:
        """Apply a token, by default the current one, merged with the directory's facts of its subject.

        Reads again when the session's version changed during the read, so that the later of two
        concurrent changes is kept.
        """
        while session.alive:
            version, claims = session.version, newer or session.claims
            if claims is None:
                return
            effective = await self._authorizer.with_directory_roles(claims)
            if session.version == version:
                session.claims, session.identity = claims, effective
                session.version += 1
                return


def _refusal(refused: TokenRefused, *, lasting: bool) -> CommandError:
    kind, claim = ErrorKind.AUTHENTICATION_FAILED, refused.claim or None
    return CredentialError(kind, refused.reason.value, lasting=lasting, claim=claim)


def _user(identity: Identity) -> tuple[str, ...]:
    """Return the budget key of a user, so that users of one address are counted separately."""
    return (f"user {identity.subject}",)


def digest(secret: str) -> str:
    """Return the SHA-256 (hex) of a secret: enough to recognise it, not to use it."""
    return sha256(secret.encode()).hexdigest()
