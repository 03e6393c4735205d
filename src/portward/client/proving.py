"""Proving who a client is: by the session of its last connection, or else by a token."""

from collections.abc import Awaitable, Callable

from portward.client import events
from portward.client.connection import Connection
from portward.client.errors import AuthenticationRefused, RequestRefused
from portward.client.hearing import Hearing
from portward.client.inbox import Inbox

TokenSource = Callable[[], Awaitable[str]]
"""Returns a token that is fresh enough."""


class Prover:
    """Knows the token, or where one comes from; finds the session where the client stands."""

    def __init__(self, token: str | TokenSource | None, hearing: Hearing, inbox: Inbox) -> None:
        self._token = token
        self._hearing = hearing
        self._inbox = inbox

    @property
    def renews(self) -> bool:
        """Whether there are newer tokens to be had."""
        return callable(self._token)

    async def prove(self, connection: Connection) -> None:
        """Show the session, else the token; where there is neither, nothing is shown.

        Raises:
            AuthenticationRefused: neither is accepted.
            RequestRefused: not now.
            ConnectionLost: there was no answer.
        """
        if self._hearing.session is not None and await self._resumed(connection):
            return
        token = await self._fresh()
        if token is None:
            self._inbox.put(events.Connected())
            return
        try:
            await connection.request("auth", {"token": token})
        except RequestRefused as refused:
            if refused.temporary:
                raise
            raise AuthenticationRefused(refused.code, refused.text) from None

    async def _resumed(self, connection: Connection) -> bool:
        try:
            await connection.request("auth", {"wsToken": self._hearing.session})
        except RequestRefused as refused:
            if refused.temporary:
                raise
            self._hearing.session = None
            if self._token is None:
                raise AuthenticationRefused(refused.code, refused.text) from None
            return False
        return True

    async def renew(self, connection: Connection) -> None:
        """Put a newer token in force.

        A failure is an event and no harm yet: at the expiry the gateway closes, and we come back.
        """
        try:
            await connection.request("refresh", {"token": await self._fresh()})
        except Exception as error:  # noqa: BLE001 - a token source raises what it likes
            self._inbox.put(events.Other(type="refresh_failed", data={"message": str(error)}))

    async def _fresh(self) -> str | None:
        return await self._token() if callable(self._token) else self._token
