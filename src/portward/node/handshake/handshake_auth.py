"""Authentication of a handshake by its credential."""

from collections.abc import Awaitable, Callable
from typing import Final

from msgspec.structs import replace

from portward.model.errors import CommandError, ErrorKind, Unavailable
from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.identity import ANONYMOUS, Identity
from portward.model.request import RequestHead
from portward.node.rights import (
    CredentialVerifier,
    LimitedVerification,
    OverloadedError,
    digest,
)
from portward.node.sessions import (
    ActiveEndpoint,
    HandshakeFacts,
    NodeContext,
    PendingConnections,
)
from portward.security.address import mask
from portward.security.credential_memory import CredentialForm
from portward.security.credentials import GivenCredential, extract, foreign_scheme
from portward.settings.endpoint import CredentialSource
from portward.telemetry.events import Event

_FORMS: Final = {
    CredentialSource.TICKET: CredentialForm.TICKET,
    CredentialSource.COOKIE: CredentialForm.COOKIE,
}


class HandshakeAuthenticator:
    """Verifies the credentials of handshakes."""

    def __init__(
        self,
        context: NodeContext,
        credentials: CredentialVerifier,
        limited: LimitedVerification,
        pending: PendingConnections,
    ) -> None:
        self._telemetry = context.telemetry
        self._credentials = credentials
        self._limited = limited
        self._pending = pending
        self._verifiers: dict[CredentialForm, Callable[[str], Awaitable[Identity]]] = {
            CredentialForm.TICKET: credentials.redeem_ticket,
            CredentialForm.TOKEN: credentials.identify,
            CredentialForm.COOKIE: self._ask_provider,
        }
        self._cookies_in_progress = (
            0  # handshakes whose cookies the identity provider is verifying now
        )

    def find(self, head: RequestHead, endpoint: ActiveEndpoint) -> GivenCredential | None:
        """Return the credential of a handshake, where the endpoint accepts one there.

        Raises:
            HandshakeRejected: BAD_REQUEST or MULTIPLE_CREDENTIALS.
        """
        rules = endpoint.rules
        if endpoint.protocol.own_authentication:
            taken = {CredentialSource.SUBPROTOCOL}.intersection(rules.credentials)
            return extract(head, {CredentialSource.HEADER, *taken})
        return extract(head, rules.credentials, rules.cookies)

    async def authenticate(
        self, head: RequestHead, handshake: HandshakeFacts, credential: GivenCredential | None
    ) -> HandshakeFacts:
        """Verify the credential of a handshake and return the facts with the identity.

        Raises:
            HandshakeRejected: with a row of `HandshakeRejection`.
        """
        rules, protocol = handshake.endpoint.rules, handshake.endpoint.protocol
        # A credential in the header is no other scheme.
        header = credential is not None and credential.kind is CredentialSource.HEADER
        scheme = foreign_scheme(head) if "authorization" in head.headers and not header else ""
        if scheme:
            self._telemetry.record(
                Event.AUTH_SCHEME_IGNORED,
                endpoint=handshake.endpoint.name,
                address=mask(handshake.address),
                kind=scheme,
            )
        if protocol.own_authentication:
            return self._defer(handshake, credential)
        if credential is not None and rules.steady_ping:
            handshake = replace(handshake, proof=digest(credential.value))
        request = protocol.read_request(head, credential, rules)
        if request is not None:
            handshake = replace(handshake, request=request)
        if not rules.authenticated:
            return replace(handshake, identity=ANONYMOUS)
        if credential is not None:
            cookies = credential.value if credential.kind is CredentialSource.COOKIE else ""
            identity = await self.verify(credential, handshake)
            return replace(handshake, identity=identity, cookies=cookies)
        if not handshake.endpoint.by_message:
            if handshake.endpoint.by_cookie:
                self._credentials.without_cookie()
            ignored = f"; Authorization: {scheme} is none here" if scheme else ""
            raise HandshakeRejected(HandshakeRejection.UNAUTHENTICATED, f"no credential{ignored}")
        self._check_unauthenticated()
        return handshake

    def _defer(
        self, handshake: HandshakeFacts, credential: GivenCredential | None
    ) -> HandshakeFacts:
        """Keep the token, if there is one, for the authentication step of the protocol."""
        self._check_unauthenticated()
        if credential is None:
            return handshake
        return replace(handshake, bearer=credential.value, proof=digest(credential.value))

    def _check_unauthenticated(self) -> None:
        if self._pending.free_places() <= self._cookies_in_progress:
            raise HandshakeRejected(HandshakeRejection.UNAUTHENTICATED_CAP)

    async def verify(self, credential: GivenCredential, handshake: HandshakeFacts) -> Identity:
        """Verify a credential and return its identity.

        Raises:
            HandshakeRejected: UNAUTHENTICATED, RATE, OVERLOAD or UNAVAILABLE.
        """
        form = _FORMS.get(credential.kind, CredentialForm.TOKEN)
        try:
            return await self._limited.verify(
                form, credential.value, handshake, self._verifiers[form]
            )
        except Unavailable as unavailable:
            raise HandshakeRejected(
                HandshakeRejection.UNAVAILABLE, type(unavailable).__name__
            ) from None
        except CommandError as fault:
            raise _refusal(fault) from None

    async def _ask_provider(self, value: str) -> Identity:
        self._check_unauthenticated()
        self._cookies_in_progress += 1
        try:
            return await self._credentials.authenticate_cookie(value)
        finally:
            self._cookies_in_progress -= 1


def _refusal(fault: CommandError) -> HandshakeRejected:
    """Return the rejection of a handshake for a refused credential."""
    if fault.kind is not ErrorKind.AUTH_RATE_LIMITED:
        return HandshakeRejected(
            HandshakeRejection.UNAUTHENTICATED, fault.detail or fault.kind.code
        )
    wait = (fault.retry_after or 0) / 1000
    if isinstance(fault, OverloadedError):
        return HandshakeRejected(
            HandshakeRejection.OVERLOAD, "credentials judged, over all", retry_after=wait
        )
    return HandshakeRejected(HandshakeRejection.RATE, "refused credentials", retry_after=wait)
