"""The further requests of a session that comes in several: that they are its own.

The id of a session proves nothing. Whoever shows it has to come from the same page and the same
address, by the same rules as at first, and must not be somebody else.
"""

from typing import TYPE_CHECKING

from portward.model.refusals import Refusal, Refused
from portward.model.request import RequestHead
from portward.node.authentication import digest
from portward.node.endpoint import Newcomer
from portward.node.session import Session
from portward.security.address import limit_keys
from portward.security.credentials import Credential, CredentialKind, extract

if TYPE_CHECKING:
    from portward.node.admission import Doorman


class Bond:
    """What the first request of a session has shown. `session` is set when there is one.

    Pages read their own server without telling an `Origin` and write to it with one, so where the
    first request had none the first that comes is taken.
    """

    __slots__ = ("newcomer", "origin", "proof", "session")

    session: Session

    def __init__(self, newcomer: Newcomer) -> None:
        self.newcomer = newcomer
        self.origin = newcomer.origin
        self.proof = newcomer.proof


async def follow_up(doorman: "Doorman", head: RequestHead, bond: Bond) -> None:
    """Judge a further request.

    Raises:
        Refused: FORBIDDEN when it is somebody else's; else with the row of the outcome table.
    """
    rules = bond.newcomer.endpoint.rules
    address = doorman.approach(head, bond.newcomer.endpoint)
    if rules.bind_address and limit_keys(address)[0] != bond.newcomer.keys[0]:
        raise _foreign("another address")
    _check_origin(head, bond)
    if rules.authenticated:
        try:
            await _check_credential(doorman, head, bond)
        except Refused as refused:
            if refused.refusal is Refusal.UNAUTHENTICATED:
                raise _foreign("a credential that is not valid") from None
            raise


def _check_origin(head: RequestHead, bond: Bond) -> None:
    origin = next(iter(head.all("origin")), "")
    if bond.newcomer.origin and origin != bond.origin:
        raise _foreign("another origin")
    if origin and origin != bond.origin:
        if bond.origin:
            raise _foreign("another origin")
        bond.origin = origin


async def _check_credential(doorman: "Doorman", head: RequestHead, bond: Bond) -> None:
    rules = bond.newcomer.endpoint.rules
    places = {CredentialKind.HEADER, *(rules.credentials & {CredentialKind.COOKIE})}
    credential = extract(head, places, rules.cookies)
    if credential is None:
        if bond.newcomer.cookies:
            raise _foreign("no cookie")
        return
    proof = digest(credential.value)
    if proof == bond.proof:
        return
    await _check_subject(doorman, credential, bond)
    bond.proof = proof


async def _check_subject(doorman: "Doorman", credential: Credential, bond: Bond) -> None:
    """A new credential is welcome, of the same subject."""
    subject = bond.session.user
    if subject is None:
        raise _foreign("another credential before authentication")
    identity = await doorman.proving.verify(credential, bond.newcomer)
    if identity.subject != subject:
        raise _foreign("another subject")


def _foreign(detail: str) -> Refused:
    return Refused(Refusal.FORBIDDEN, detail)
