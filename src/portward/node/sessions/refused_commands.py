"""Counts of refused commands of one session: too many in a row close it."""

from typing import Final

from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind
from portward.model.limits import FAULTS_IN_A_ROW, REFUSALS_IN_A_ROW
from portward.node.sessions.session import Session

_REFUSED_CREDENTIALS: Final = frozenset(
    {ErrorKind.AUTHENTICATION_FAILED, ErrorKind.TOKEN_REVOKED, ErrorKind.TOKEN_REQUIRED}
)


def count_refusal(session: Session, fault: CommandError, now: float) -> None:
    """Count a refusal by a limit, at most once within the delay that was sent to the client.

    Commands sent before the client could know the delay are refused and answered, but not counted.
    """
    if now < session.advised:
        return
    session.advised = now + (fault.retry_after or 0) / 1000
    session.refusals += 1
    if session.refusals >= REFUSALS_IN_A_ROW:
        session.end(Disconnect.TOO_MANY_REQUESTS, "refused by a limit too often")


def count_fault(session: Session, fault: CommandError) -> None:
    """Count a command error of the client, and a rejected credential where the endpoint limits those."""
    session.faults += 1
    if fault.kind in _REFUSED_CREDENTIALS:
        session.attempts += 1
        if 0 < session.endpoint.rules.auth_attempts <= session.attempts:
            session.end(Disconnect.AUTH_FAILED, "refused credentials too often")
    if session.faults >= FAULTS_IN_A_ROW:
        session.end(Disconnect.TOO_MANY_FAULTS, "too many faults in a row")
