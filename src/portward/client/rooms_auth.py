"""Authentication at the rooms endpoint: by the session token of the last connection, or a token."""

from portward.client.errors import AuthenticationRefused, RequestRefused
from portward.client.requests import RequestConnection
from portward.client.tokens import TokenProvider, TokenReason

_REVOKED = "token_revoked"


class RoomsAuthentication:
    """Keeps the session token; its `repr` does not show it."""

    def __init__(self, tokens: TokenProvider, session_token: str | None = None) -> None:
        self.session_token = session_token
        self._tokens = tokens
        self._token: str | None = None
        self._reason: TokenReason = "connect"

    async def prepare(self) -> None:
        """Get a token before the gateway begins to wait for it.

        Raises:
            TokenFailed: there is none at the moment.
            UnauthorizedError: no user is logged in.
        """
        self._token = None
        if self.session_token is None:
            self._token = await self._tokens.get(self._reason)

    async def authenticate(self, connection: RequestConnection) -> bool:
        """Send the session token, else a token. Returns False when there is neither, and nothing was sent.

        Raises:
            AuthenticationRefused: neither is accepted.
            RequestRefused: not at the moment.
            ConnectionLost: there was no answer.
        """
        if self.session_token is not None and await self._resumed(connection):
            return True
        token = self._token or await self._tokens.get(self._reason)
        if token is None:
            return False
        while not await self._shown(connection, token):
            self._reason = "rejected"
            token = await self._tokens.get(self._reason) or ""
        self._reason = "connect"
        return True

    async def _resumed(self, connection: RequestConnection) -> bool:
        try:
            await connection.request("auth", {"wsToken": self.session_token})
        except RequestRefused as refused:
            if refused.temporary:
                raise
            self.session_token = None
            if refused.code == _REVOKED or not self._tokens.present:
                raise AuthenticationRefused(refused.code, refused.text) from None
            return False
        return True

    async def _shown(self, connection: RequestConnection, token: str) -> bool:
        """Whether the token is accepted; False when another one may be."""
        try:
            await connection.request("auth", {"token": token})
        except RequestRefused as refused:
            if refused.temporary:
                raise
            final = refused.code == _REVOKED or self._reason == "rejected"
            if final or not self._tokens.renews:
                self._reason = "connect"
                raise AuthenticationRefused(refused.code, refused.text) from None
            return False
        return True
