"""Credentials in Socket.IO CONNECTs: the first authenticates the connection, others may refresh it."""

from typing import Final

from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind, Unavailable
from portward.model.identity import ANONYMOUS
from portward.model.lifecycle import State
from portward.node.protocol_service import ProtocolContext
from portward.node.sessions import Session
from portward.protocols.socketio.commands import OpenSocket
from portward.protocols.socketio.connection import connection_of
from portward.security.redaction import fingerprint

_CODES: Final = {
    ErrorKind.TOKEN_REQUIRED: ("AUTH_REQUIRED", Disconnect.AUTH_FAILED),
    ErrorKind.AUTH_RATE_LIMITED: ("RATE_LIMITED", Disconnect.TOO_MANY_REQUESTS),
}


class ConnectAuthentication:
    """Verifies the credential of a CONNECT."""

    def __init__(self, context: ProtocolContext) -> None:
        self._authentication = context.authentication
        self._subscriptions = context.subscriptions
        self._binding = context.binding

    async def prove(self, session: Session, command: OpenSocket) -> None:
        """Verify the CONNECT of a namespace that the client is not in. A rejection closes the session.

        Raises:
            CommandError: the credential is rejected.
            Unavailable: it cannot be verified now.
        """
        connection = connection_of(session)
        try:
            await self._authenticate(session, command)
        except CommandError as fault:
            connection.code, ending = _CODES.get(
                fault.kind, ("INVALID_TOKEN", Disconnect.AUTH_FAILED)
            )
            session.end(ending, f"refused in a CONNECT: {fault.detail or fault}")
            raise
        except Unavailable:
            connection.code = "UNAVAILABLE"
            session.end(Disconnect.INTERNAL, "a CONNECT could not be judged")
            raise

    async def prove_again(self, session: Session, command: OpenSocket) -> None:
        """Verify the CONNECT of a namespace that the client is in: another token is a refresh.

        A rejected token changes nothing, unless it is of another user or workspace: that closes the session.

        Raises:
            CommandError: the token is rejected.
            Unavailable: it cannot be verified now.
        """
        token = _token(command)
        if not token or not session.endpoint.rules.authenticated or _in_force(session, token):
            return
        connection = connection_of(session)
        connection.reopening = command.nsp
        try:
            await self._authentication.replace_token(session, token)
        finally:
            connection.reopening = None
        await self._subscriptions.reauthorize_all(session)

    async def _authenticate(self, session: Session, command: OpenSocket) -> None:
        rules = session.endpoint.rules
        if session.handshake.over_cap:
            session.end(Disconnect.CONNECTION_LIMIT, "more connections than an address may have")
            return
        if not rules.authenticated:
            if session.state is State.NEW:
                self._binding.admit(session, ANONYMOUS)
            return
        token = _token(command) or session.handshake.bearer
        if token and _in_force(session, token):
            return  # the same token, for another namespace
        if token:
            await self._authentication.apply_token(session, token)
        elif session.state is State.NEW:
            raise CommandError(ErrorKind.TOKEN_REQUIRED)


def _token(command: OpenSocket) -> str:
    """Return the token of a CONNECT, empty when there is none."""
    given = command.auth.get("token")
    return given if isinstance(given, str) else ""


def _in_force(session: Session, token: str) -> bool:
    """Return whether the session already uses this token."""
    return session.claims is not None and fingerprint(token) == session.claims.digest
