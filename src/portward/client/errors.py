"""What can go wrong for a client.

ClientError
+-- ConnectFailed           nobody answers there, or not as a WebSocket server
+-- HandshakeRefused        the gateway answered the handshake with an HTTP status
+-- RequestRefused          the gateway answered a request with an error
|   `-- AuthenticationRefused   ... the one that proves who one is
+-- ConnectionLost          the connection broke before an answer came
|   `-- NoAnswer            ... or stands, and there was none in time
`-- Ended                   the gateway closed, and not for a moment

No text holds a token.
"""

from typing import Final

from portward.model.faults import FaultKind

_RETRIED: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_MEANINGS: Final = {
    400: "the request is malformed",
    401: "no valid credential",
    403: "not let in from here, or with this credential",
    404: "there is no such endpoint",
    429: "too many connections or attempts",
    503: "it is full, leaving, or switched off",
}
_TEMPORARY: Final = frozenset(kind.code for kind in FaultKind if kind.temporary)


class ClientError(Exception):
    """The root of the tree. `temporary` says that the same may succeed later."""

    temporary = False
    retry_after: float | None = None
    """Seconds after which the gateway suggests to try again."""


class ConnectFailed(ClientError):  # noqa: N818 - says what happened; the family name is on the root
    """Nobody answers at the address, or somebody who speaks no WebSocket."""

    temporary = True


class HandshakeRefused(ClientError):  # noqa: N818 - see above
    """The handshake was answered with `status`, an HTTP status code."""

    def __init__(self, status: int, retry_after: float | None = None) -> None:
        meaning = f": {_MEANINGS[status]}" if status in _MEANINGS else ""
        super().__init__(f"the handshake was refused with status {status}{meaning}")
        self.status = status
        self.retry_after = retry_after
        self.temporary = status in _RETRIED


class RequestRefused(ClientError):  # noqa: N818 - see above
    """A request was answered with an error: its `code` for programs, its `text` for people."""

    def __init__(self, code: str, text: str, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.retry_after = retry_after
        self.temporary = retry_after is not None or is_temporary(code)


class AuthenticationRefused(RequestRefused):
    """Neither the session nor the token is accepted."""


class ConnectionLost(ClientError):  # noqa: N818 - see above
    """There is no connection, or it broke before the answer: what was asked may have been done."""

    temporary = True


class NoAnswer(ConnectionLost):
    """No answer came in time."""


class Ended(ClientError):  # noqa: N818 - see above
    """The gateway closed with a code that forbids to come back, or coming back failed for good.

    `code` is the close code, None when the last attempt did not get that far.
    """

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(reason or f"closed with code {code}")
        self.code = code
        self.reason = reason


def is_temporary(code: str) -> bool:
    """Whether what was refused with this code may succeed later."""
    return code in _TEMPORARY
