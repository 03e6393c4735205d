"""Who a newcomer is, by what its handshake carries."""

from collections.abc import Callable

from msgspec.structs import replace

from portward.model.clock import Clock
from portward.model.faults import Fault, Unavailable
from portward.model.identity import ANONYMOUS, Identity
from portward.model.limits import LimitName
from portward.model.refusals import Refusal, Refused
from portward.model.request import RequestHead
from portward.node.authentication import Authentication, digest
from portward.node.endpoint import Newcomer
from portward.node.relayed import relayed
from portward.security.address import mask
from portward.security.credentials import Credential, CredentialKind, extract


class Proving:
    """Judges the credentials of handshakes. `spare` tells how many more may be inside unproven."""

    def __init__(
        self, authentication: Authentication, clock: Clock, spare: Callable[[], int]
    ) -> None:
        self._authentication = authentication
        self._clock = clock
        self._spare = spare
        self._asking = 0  # newcomers whose cookies the identity provider is being asked about

    async def prove(self, head: RequestHead, newcomer: Newcomer) -> Newcomer:
        """Look at the credential of a handshake, where the endpoint takes one there.

        Raises:
            Refused: with the row of the outcome table.
        """
        rules = newcomer.endpoint.rules
        if rules.deferred:
            return self._defer(head, newcomer)
        credential = extract(head, rules.credentials, rules.cookies)
        if credential is not None and rules.steady_ping:
            newcomer = replace(newcomer, proof=digest(credential.value))
        if rules.relays:
            newcomer = relayed(head, newcomer, credential)
        if not rules.authenticated:
            return replace(newcomer, identity=ANONYMOUS)
        if credential is not None:
            cookies = credential.value if credential.kind is CredentialKind.COOKIE else ""
            identity = await self.verify(credential, newcomer)
            return replace(newcomer, identity=identity, cookies=cookies)
        if not newcomer.endpoint.by_message:
            if newcomer.endpoint.by_cookie:
                self._authentication.without_cookie()
            raise Refused(Refusal.UNAUTHENTICATED, "no credential")
        self._check_unauthenticated()
        return newcomer

    def _defer(self, head: RequestHead, newcomer: Newcomer) -> Newcomer:
        """Keep the token, if there is one, for the dialect to present when it is asked for one."""
        self._check_unauthenticated()
        taken = newcomer.endpoint.rules.credentials & {CredentialKind.SUBPROTOCOL}
        credential = extract(head, {CredentialKind.HEADER, *taken})
        if credential is None:
            return newcomer
        return replace(newcomer, bearer=credential.value, proof=digest(credential.value))

    def _check_unauthenticated(self) -> None:
        if self._spare() <= self._asking:
            raise Refused(Refusal.UNAUTHENTICATED_CAP)

    async def verify(self, credential: Credential, newcomer: Newcomer) -> Identity:
        """The identity behind a credential.

        Failures count against the address; who has failed too often is not even verified.

        Raises:
            Refused: UNAUTHENTICATED, RATE or UNAVAILABLE.
        """
        limiter, now = newcomer.endpoint.limits[LimitName.AUTH], self._clock.monotonic()
        wait = limiter.peek(newcomer.keys[0], now)
        if wait:
            raise Refused(Refusal.RATE, "authentication attempts", retry_after=wait)
        authentication = self._authentication
        names = newcomer.endpoint.name, newcomer.id, mask(newcomer.address)
        try:
            if credential.kind is CredentialKind.TICKET:
                return await authentication.redeem(credential.value)
            if credential.kind is CredentialKind.COOKIE:
                self._check_unauthenticated()
                self._asking += 1
                try:
                    return await authentication.recognise(credential.value)
                finally:
                    self._asking -= 1
            return await authentication.identify(credential.value)
        except Unavailable as unavailable:
            authentication.unreachable(*names)
            raise Refused(Refusal.UNAVAILABLE, type(unavailable).__name__) from None
        except Fault as fault:
            limiter.wait(newcomer.keys, now)
            authentication.failed(*names, fault)
            wait = await authentication.span.wait(limiter, newcomer.keys, now)
            if wait:
                limited = "authentication attempts, at other nodes, too"
                raise Refused(Refusal.RATE, limited, retry_after=wait) from None
            raise Refused(Refusal.UNAUTHENTICATED, fault.detail or fault.kind.code) from None
