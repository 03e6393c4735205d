"""Checks of further requests of a session that uses several HTTP requests.

The session id alone is no proof. A request with it must have the same origin and the same address as the
first one, by the same rules, and must not have the credential of another subject.
"""

from typing import TYPE_CHECKING

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.request import RequestHead
from portward.node.rights import digest
from portward.node.sessions import HandshakeFacts, Session
from portward.security.address import limit_keys
from portward.security.credentials import GivenCredential, extract, query_pairs
from portward.settings.endpoint import CredentialSource

if TYPE_CHECKING:
    from portward.node.handshake.admission import AdmissionControl


class SessionBinding:
    """The facts of the first request of a session.

    `by_header` means that it had an `Authorization` header, which all others must then have too.
    Browsers send no `Origin` with reads of their own server but send one with writes: if the first
    request had none, the first one that arrives is stored.
    """

    __slots__ = ("by_header", "handshake", "origin", "proof", "session")

    def __init__(self, handshake: HandshakeFacts, session: Session) -> None:
        self.handshake = handshake
        self.session = session
        self.origin = handshake.origin
        self.proof = handshake.proof
        self.by_header = bool(handshake.proof) and not handshake.cookies

    def adopt_origin(self, origin: str) -> None:
        """Expect this origin from now on."""
        self.origin = origin

    def adopt_proof(self, proof: str) -> None:
        """Accept this credential from now on without another verification."""
        self.proof = proof


async def follow_up(
    admission_control: "AdmissionControl", head: RequestHead, binding: SessionBinding
) -> None:
    """Check a further request.

    Raises:
        HandshakeRejected: FORBIDDEN when it does not belong to the session; else as in admission.
    """
    rules = binding.handshake.endpoint.rules
    address = admission_control.check_request(head, binding.handshake.endpoint)
    if rules.bind_address and limit_keys(address)[0] != binding.handshake.keys[0]:
        raise _foreign("another address")
    _check_origin(head, binding)
    if rules.authenticated:
        try:
            await _check_credential(admission_control, head, binding)
        except HandshakeRejected as refused:
            if refused.refusal is HandshakeRejection.UNAUTHENTICATED:
                raise _foreign("a credential that is not valid") from None
            raise


def _check_origin(head: RequestHead, binding: SessionBinding) -> None:
    origin = next(iter(head.all("origin")), "")
    if binding.handshake.origin and origin != binding.origin:
        raise _foreign("another origin")
    if origin and origin != binding.origin:
        if binding.origin:
            raise _foreign("another origin")
        binding.adopt_origin(origin)


async def _check_credential(
    admission_control: "AdmissionControl", head: RequestHead, binding: SessionBinding
) -> None:
    rules = binding.handshake.endpoint.rules
    places = {CredentialSource.HEADER, *{CredentialSource.COOKIE}.intersection(rules.credentials)}
    credential = extract(head, places, rules.cookies)
    if credential is None:
        if binding.handshake.cookies:
            raise _foreign("no cookie")
        if binding.by_header and not _for_socket(head):
            raise _foreign("no credential")
        return
    proof = digest(credential.value)
    if proof == binding.proof:
        return
    await _check_subject(admission_control, credential, binding)
    binding.adopt_proof(proof)


def _for_socket(head: RequestHead) -> bool:
    """Return whether a request asks for a WebSocket: browsers add no custom header to it.

    The query decides: servers with HTTP/2 pass on no `Upgrade` header (RFC 8441 section 5).
    """
    return ("transport", "websocket") in query_pairs(head.query)


async def _check_subject(
    admission_control: "AdmissionControl", credential: GivenCredential, binding: SessionBinding
) -> None:
    """Accept a new credential only for the same subject, workspace and issuer."""
    if binding.session.claims is None:
        raise _foreign("another credential before authentication")
    identity = await admission_control.authenticator.verify(credential, binding.handshake)
    current = binding.session.claims  # it may have changed during the verification
    same = (identity.subject, identity.workspace, identity.issuer) == (
        current.subject,
        current.workspace,
        current.issuer,
    )
    if not same:
        raise _foreign("another subject")


def _foreign(detail: str) -> HandshakeRejected:
    return HandshakeRejected(HandshakeRejection.FORBIDDEN, detail)
