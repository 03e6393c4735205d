"""Authentication by commands of open connections: a token, a session token, a newer token."""

from functools import partial

from portward.model.commands import Authenticate, Refresh, Resume
from portward.model.errors import CommandError, ErrorKind
from portward.model.identity import Identity
from portward.model.replies import Authenticated, Refreshed
from portward.node.rights.credentials import CredentialVerifier
from portward.node.rights.identity_binding import IdentityBinding
from portward.node.rights.limited_verification import LimitedVerification
from portward.node.rights.resumable_sessions import ResumableSessions
from portward.node.sessions import NodeContext, Session
from portward.security.credential_memory import CredentialForm
from portward.security.fair_budget import FairBudget


class Authentication:
    """Authenticates open connections, within a budget over all addresses."""

    def __init__(
        self,
        context: NodeContext,
        credentials: CredentialVerifier,
        limited: LimitedVerification,
        binding: IdentityBinding,
        resumable: ResumableSessions,
    ) -> None:
        self._clock = context.clock
        self._credentials = credentials
        self._limited = limited
        self._binding = binding
        self._resumable = resumable
        self._accepts = FairBudget(context.settings.now.gate.accept_rate)

    async def authenticate(self, session: Session, command: Authenticate) -> Authenticated:
        """Authenticate a session by its first message; on an authenticated session, refresh it.

        Raises:
            CommandError: the token is refused, or too many attempts were made from this address.
        """
        return await self._resumable.open(session, await self.apply_token(session, command.token))

    async def apply_token(self, session: Session, token: str) -> Identity:
        """Authenticate a session by a token, or apply a newer token; store nothing for a later resume.

        Raises:
            CommandError: as :meth:`authenticate`.
        """
        identity = await self._verified(session, token)
        await self._binding.apply(session, identity)
        return identity

    async def resume(self, session: Session, command: Resume) -> Authenticated:
        """Resume a session with a session token; each token works once and yields a new one.

        Raises:
            CommandError: the token is not valid any more, or too many attempts were made from this address.
        """
        # Before the token is used up: a client that is refused here can retry with the same token.
        self._check_budget(
            session, self._accepts.peek(session.keys, self._clock.monotonic(), known=True)
        )
        token = command.session_token
        record = await self._limited.verify(
            CredentialForm.SESSION_TOKEN,
            token,
            session.handshake,
            partial(self._resumable.take, session),
        )
        self._accepts.take(_user(record.identity), self._clock.monotonic(), known=True)
        session.resume_id = record.id
        await self._binding.apply(session, record.identity)
        return await self._resumable.reopen(session, record)

    async def refresh(self, session: Session, command: Refresh) -> Refreshed:
        """Apply a newer token; the caller evaluates the rights again.

        Raises:
            CommandError: the token is refused, or older than the current one.
        """
        identity = await self.replace_token(session, command.token)
        token = await self._resumable.renew(session, identity)
        return Refreshed(session_token=token, expires_at=identity.expires_at)

    async def replace_token(self, session: Session, token: str) -> Identity:
        """Apply a newer token as in `refresh`, without a session token.

        Raises:
            CommandError: the token is refused, or older than the current one.
        """
        identity = await self._verified(session, token)
        await self._binding.exchange(session, identity)
        return identity

    async def _verified(self, session: Session, token: str) -> Identity:
        """Return the identity of a token, after charging the budget for authentications."""
        identity = await self._limited.verify(
            CredentialForm.TOKEN,
            token,
            session.handshake,
            self._credentials.identify,
        )
        wait = self._accepts.take(_user(identity), self._clock.monotonic(), known=True)
        self._check_budget(session, wait)
        return identity

    def _check_budget(self, session: Session, wait: float) -> None:
        if wait:
            self._limited.count_limited(session.handshake)
            raise CommandError(ErrorKind.AUTH_RATE_LIMITED, retry_after=int(wait * 1000) + 1)


def _user(identity: Identity) -> tuple[str, ...]:
    """Return the budget key of a user, so that users of one address are counted separately."""
    return (f"user {identity.subject}",)
