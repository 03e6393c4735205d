"""Resumable sessions: stored after authentication, found again by a session token."""

import secrets
from typing import Final

from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, CredentialError, ErrorKind
from portward.model.identity import Identity
from portward.model.replies import Authenticated
from portward.node.rights.credentials import CredentialVerifier, refusal
from portward.node.sessions import NodeContext, Session
from portward.node.stores import SessionRecord
from portward.security.session_tokens import SessionTokens
from portward.security.tokens import TokenRefused

SESSION_TTL: Final = 3600.0
"""Seconds during which a session can be resumed, from its last use."""
RELEASED_TTL: Final = 120.0
"""Seconds during which it can be resumed once its connection has closed."""


class ResumableSessions:
    """Stores sessions, and issues session tokens; each token works once and yields a new one."""

    def __init__(
        self, context: NodeContext, credentials: CredentialVerifier, session_tokens: SessionTokens
    ) -> None:
        self._stores = context.stores
        self._clock = context.clock
        self._credentials = credentials
        self._session_tokens = session_tokens

    async def open(self, session: Session, identity: Identity) -> Authenticated:
        """Store a session, and return its `Authenticated` reply (a push after a handshake)."""
        return self._reply(await self._save(session, identity), session, resumed=False)

    async def renew(self, session: Session, identity: Identity) -> str:
        """Store a session with a newer identity, and return its session token."""
        return self._token(await self._save(session, identity))

    async def reopen(self, session: Session, record: SessionRecord) -> Authenticated:
        """Store a resumed session for the next time, and return its `Authenticated` reply."""
        await self._stores.sessions.save(record, SESSION_TTL)
        return self._reply(record, session, resumed=True)

    async def _save(self, session: Session, identity: Identity) -> SessionRecord:
        if session.resume_id is None:
            session.resume_id = secrets.token_hex(16)
        record = SessionRecord(
            id=session.resume_id, identity=identity, nonce=secrets.token_hex(16), client=session.id
        )
        await self._stores.sessions.save(record, SESSION_TTL)
        return record

    async def take(self, session: Session, token: str) -> SessionRecord:
        """Use up a session token and return the stored session.

        A session that presents another user's token ends, before that token is used up.

        Raises:
            CommandError: the token is not valid any more, or of another user.
        """
        try:
            claims = self._session_tokens.verify(token, self._clock.time())
        except TokenRefused as refused:
            raise refusal(refused, lasting=True) from None
        if session.claims is not None and session.claims.subject != claims.subject:
            session.end(Disconnect.AUTH_FAILED, "session token of another subject")
            raise CommandError(ErrorKind.AUTHENTICATION_FAILED, detail="session of another subject")
        record = await self._stores.sessions.swap(
            claims.session_id, claims.token_id, secrets.token_hex(16), session.id
        )
        if record is None or self._credentials.expired(record.identity):
            raise CredentialError(ErrorKind.AUTHENTICATION_FAILED, "session", lasting=True)
        await self._credentials.check_revoked(record.identity, record.id)
        return record

    def _reply(self, record: SessionRecord, session: Session, *, resumed: bool) -> Authenticated:
        return Authenticated(
            identity=session.identity or record.identity,
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
