"""The further requests of a session that comes in several: that they are its own.

The id of a session proves nothing. Whoever shows it has to come from the same page and the same
address, by the same rules as at first, and must not be somebody else.
"""

from typing import TYPE_CHECKING

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.request import RequestHead
from portward.node.authentication import digest
from portward.node.endpoint import HandshakeFacts
from portward.node.session import Session
from portward.security.address import limit_keys
from portward.security.credentials import CredentialKind, GivenCredential, extract, query_pairs

if TYPE_CHECKING:
    from portward.node.admission import AdmissionControl


class SessionBinding:
    """What the first request of a session has shown. `session` is set when there is one.

    `by_header` tells that it had an `Authorization` header, which all others have to have, too.
    Pages read their own server without telling an `Origin` and write to it with one, so where the
    first request had none the first that comes is taken.
    """

    __slots__ = ("by_header", "newcomer", "origin", "proof", "session")

    session: Session

    def __init__(self, newcomer: HandshakeFacts) -> None:
        self.newcomer = newcomer
        self.origin = newcomer.origin
        self.proof = newcomer.proof
        self.by_header = bool(newcomer.proof) and not newcomer.cookies


async def follow_up(doorman: "AdmissionControl", head: RequestHead, bond: SessionBinding) -> None:
    """Judge a further request.

    Raises:
        Refused: FORBIDDEN when it is somebody else's; else with the row of the outcome table.
    """
    rules = bond.newcomer.endpoint.rules
    address = doorman.check_request(head, bond.newcomer.endpoint)
    if rules.bind_address and limit_keys(address)[0] != bond.newcomer.keys[0]:
        raise _foreign("another address")
    _check_origin(head, bond)
    if rules.authenticated:
        try:
            await _check_credential(doorman, head, bond)
        except HandshakeRejected as refused:
            if refused.refusal is HandshakeRejection.UNAUTHENTICATED:
                raise _foreign("a credential that is not valid") from None
            raise


def _check_origin(head: RequestHead, bond: SessionBinding) -> None:
    origin = next(iter(head.all("origin")), "")
    if bond.newcomer.origin and origin != bond.origin:
        raise _foreign("another origin")
    if origin and origin != bond.origin:
        if bond.origin:
            raise _foreign("another origin")
        bond.origin = origin


async def _check_credential(
    doorman: "AdmissionControl", head: RequestHead, bond: SessionBinding
) -> None:
    rules = bond.newcomer.endpoint.rules
    places = {CredentialKind.HEADER, *(rules.credentials & {CredentialKind.COOKIE})}
    credential = extract(head, places, rules.cookies)
    if credential is None:
        if bond.newcomer.cookies:
            raise _foreign("no cookie")
        if bond.by_header and not _for_socket(head):
            raise _foreign("no credential")
        return
    proof = digest(credential.value)
    if proof == bond.proof:
        return
    await _check_subject(doorman, credential, bond)
    bond.proof = proof


def _for_socket(head: RequestHead) -> bool:
    """Whether a request asks for a WebSocket, to which browsers add no header of a page's own.

    Told by the query: servers that speak HTTP/2 show no `Upgrade` header (RFC 8441 section 5).
    """
    return ("transport", "websocket") in query_pairs(head.query)


async def _check_subject(
    doorman: "AdmissionControl", credential: GivenCredential, bond: SessionBinding
) -> None:
    """A new credential is welcome, of the same subject in the same workspace by the same issuer."""
    if bond.session.claims is None:
        raise _foreign("another credential before authentication")
    identity = await doorman.proving.verify(credential, bond.newcomer)
    current = bond.session.claims  # of now: a refresh may have come while the credential was judged
    same = (identity.subject, identity.workspace, identity.issuer) == (
        current.subject,
        current.workspace,
        current.issuer,
    )
    if not same:
        raise _foreign("another subject")


def _foreign(detail: str) -> HandshakeRejected:
    return HandshakeRejected(HandshakeRejection.FORBIDDEN, detail)
