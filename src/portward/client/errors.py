"""What can go wrong for a client.

ClientError
+-- ConnectFailed           there is no WebSocket server at the address, or it does not answer
+-- HandshakeRefused        the gateway answered the handshake with an HTTP status
+-- TokenFailed             get_token failed, took too long, or returned an older token
+-- UnauthorizedError       get_token raised it: no user is logged in
+-- RequestRefused          the gateway answered a request with an error
|   `-- AuthenticationRefused   ... the request that proves the identity
+-- ConnectionLost          the connection broke before the answer
|   `-- NoAnswer            ... or is open, and there was none in time
+-- StoppedError            the gateway closed with a code that forbids to reconnect
+-- ConversationEnded       a conversation of the relay is over
+-- ClosedError             the client was closed
+-- ReadOverflowError       an iteration fell too far behind
+-- GapError                messages are lost, and nothing in the application handles that
`-- Ended                   StoppedError, for the older RoomsClient

Each has `code` for programs, `temporary` and `retry_after` in seconds. No text holds a token.
"""

from typing import Final

from portward.model.errors import ErrorKind

_RETRIED: Final = frozenset({408, 425, 429})
_SERVER_ERROR: Final = 500
_MEANINGS: Final = {
    400: "the request is malformed",
    401: "no valid credential",
    403: "not let in from here, or with this credential",
    404: "there is no such endpoint",
    429: "too many connections or attempts",
    503: "it is full, leaving, or switched off",
}
_TEMPORARY: Final = frozenset(kind.code for kind in ErrorKind if kind.temporary)


class ClientError(Exception):
    """The root of the tree. With `temporary` the same may succeed later."""

    code: str = "client_error"
    temporary: bool = False
    retry_after: float | None = None
    """Seconds after which the gateway suggests to try again."""


class ConnectFailed(ClientError):  # noqa: N818 - says what happened; the family name is on the root
    """There is no WebSocket server at the address, or it cannot be reached."""

    code = "connect_failed"
    temporary = True


class HandshakeRefused(ClientError):  # noqa: N818 - see above
    """The handshake was answered with `status`, an HTTP status code."""

    code = "handshake_refused"

    def __init__(self, status: int, retry_after: float | None = None) -> None:
        meaning = f": {_MEANINGS[status]}" if status in _MEANINGS else ""
        super().__init__(f"the handshake was refused with status {status}{meaning}")
        self.status = status
        self.retry_after = retry_after
        # Proxies have statuses of their own from 500 on for a server that is away.
        self.temporary = status in _RETRIED or status >= _SERVER_ERROR


class TokenFailed(ClientError):  # noqa: N818 - see above
    """There is no usable token for the moment."""

    code = "token_failed"
    temporary = True


class UnauthorizedError(ClientError):
    """Raise it from `get_token` when no user is logged in any more: the client then stops."""

    code = "unauthorized"

    def __init__(self, text: str = "there is no login any more") -> None:
        super().__init__(text)


class RequestRefused(ClientError):  # noqa: N818 - see above
    """A request was answered with an error: its `code` for programs, its `text` for people."""

    def __init__(self, code: str, text: str, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.retry_after = retry_after
        self.temporary = retry_after is not None or is_temporary(code)


class AuthenticationRefused(RequestRefused):
    """Neither the session token nor the token is accepted."""


class ConnectionLost(ClientError):  # noqa: N818 - see above
    """There is no connection, or it broke before the answer: what was asked may have been done.

    `close_code` is None when the connection was not closed but broke.
    """

    code = "connection_lost"
    temporary = True

    def __init__(
        self, text: str, retry_after: float | None = None, close_code: int | None = None
    ) -> None:
        super().__init__(text)
        self.retry_after = retry_after
        self.close_code = close_code


class NoAnswer(ConnectionLost):
    """There was no answer in time."""

    code = "no_answer"


class StoppedError(ClientError):
    """The gateway closed with `close_code`, which forbids to reconnect.

    `code` is the reason of the close in snake case, such as `force_disconnect`.
    """

    def __init__(self, close_code: int | None, reason: str) -> None:
        super().__init__(reason or f"closed with code {close_code}")
        self.code = reason.replace(" ", "_").lower() or "closed_by_gateway"
        self.close_code = close_code
        self.reason = reason


class ConversationEnded(ClientError):  # noqa: N818 - see above
    """A conversation of the relay is over; another one begins with `connect`."""

    code = "conversation_ended"

    def __init__(self, cause: ClientError) -> None:
        super().__init__(f"the conversation is over: {cause}")
        self.cause = cause
        self.temporary = cause.temporary
        self.retry_after = cause.retry_after


class ClosedError(ClientError):
    """The client was closed."""

    code = "closed"

    def __init__(self, text: str = "the client is closed") -> None:
        super().__init__(text)


class ReadOverflowError(ClientError):
    """An iteration fell so far behind that messages were dropped. A new one starts with new messages."""

    code = "overflow"

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} items were waiting to be read")


class GapError(ClientError):
    """Messages are lost for good. Give `get_state`, or a callback for `gap`, to handle that."""

    code = "gap"

    def __init__(self, channel: str) -> None:
        super().__init__(f"messages of {channel!r} are lost; handle `gap`, or give get_state")
        self.channel = channel


class Ended(ClientError):  # noqa: N818 - see above
    """The gateway closed with a code that forbids to reconnect, or reconnecting failed for good.

    `code` is the close code, None when the last attempt did not get that far.
    """

    # The older client has a number here; this class leaves with it.
    code: int | None  # type: ignore[assignment]

    def __init__(self, code: int | None, reason: str) -> None:
        super().__init__(reason or f"closed with code {code}")
        self.code = code
        self.reason = reason


def is_temporary(code: str) -> bool:
    """Whether what was refused with this code may succeed later."""
    return code in _TEMPORARY
