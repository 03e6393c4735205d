"""Verification of credentials: access tokens, browser cookies and single-use tickets."""

import secrets
from hashlib import sha256

from portward.model.errors import CommandError, CredentialError, ErrorKind, Unavailable
from portward.model.identity import Identity
from portward.node.rights.ports import IdentityProviderPort, Verifier
from portward.node.sessions import NodeContext
from portward.security.tokens import TokenRefused


class CredentialVerifier:
    """Returns the identity of a credential, after checking that it was not revoked."""

    def __init__(
        self, context: NodeContext, verifier: Verifier, provider: IdentityProviderPort | None
    ) -> None:
        self._stores = context.stores
        self._clock = context.clock
        self._settings = context.settings
        self._verifier = verifier
        self._provider = provider

    async def identify(self, token: str) -> Identity:
        """Verify a token and check that it was not revoked.

        Raises:
            CommandError: `AUTHENTICATION_FAILED` or `TOKEN_REVOKED`.
            Unavailable: the key cannot be fetched now, or the store cannot be reached.
        """
        try:
            identity = await self._verifier.identify(token)
        except TokenRefused as refused:
            raise refusal(refused, lasting=self._verifier.lasts(refused)) from None
        await self.check_revoked(identity, None)
        if await self._stores.revocations.token_revoked(token):
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
        await self.check_revoked(identity, None)
        return identity

    def without_cookie(self) -> None:
        """Count a handshake without the cookie that its endpoint needs."""
        if self._provider is not None:
            self._provider.absent()

    async def redeem_ticket(self, ticket: str) -> Identity:
        """Use up a single-use ticket and return its identity.

        Raises:
            CommandError: `AUTHENTICATION_FAILED` or `TOKEN_REVOKED`.
        """
        identity = await self._stores.sessions.take_ticket(digest(ticket))
        if identity is None or self.expired(identity):
            raise CredentialError(ErrorKind.AUTHENTICATION_FAILED, "ticket", lasting=True)
        await self.check_revoked(identity, None)
        return identity

    async def issue_ticket(self, token: str, ttl: float) -> str:
        """Exchange a token for a ticket that works once within `ttl` seconds.

        Raises:
            CommandError: the token is not valid.
        """
        identity = await self.identify(token)
        ticket = secrets.token_urlsafe(32)
        await self._stores.sessions.put_ticket(digest(ticket), identity, ttl)
        return ticket

    def expired(self, identity: Identity) -> bool:
        """Return whether the credential of an identity has expired."""
        expires = identity.expires_at
        return (
            expires is not None and self._clock.time() >= expires + self._settings.now.tokens.leeway
        )

    async def check_revoked(self, identity: Identity, session: str | None) -> None:
        """Check that an identity, and the resumable session with this id, were not revoked.

        Raises:
            CommandError: `TOKEN_REVOKED`.
        """
        if await self._stores.revocations.is_revoked(identity, session):
            raise CredentialError(ErrorKind.TOKEN_REVOKED, "revoked", lasting=True)


def refusal(refused: TokenRefused, *, lasting: bool) -> CommandError:
    """Return the command error for a refused token."""
    kind, claim = ErrorKind.AUTHENTICATION_FAILED, refused.claim or None
    return CredentialError(kind, refused.reason.value, lasting=lasting, claim=claim)


def digest(secret: str) -> str:
    """Return the SHA-256 (hex) of a secret: enough to recognise it, not to use it."""
    return sha256(secret.encode()).hexdigest()
