"""The interfaces between the listener and what serves its paths. A router picks the handler of a path."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol, TypeAlias

import msgspec

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.path_router import PathParameters
from portward.model.request import RequestHead
from portward.node.sessions.endpoint import ActiveEndpoint
from portward.node.sessions.pending_connections import PendingConnections
from portward.node.sessions.transport import Admission

Headers: TypeAlias = tuple[tuple[str, str], ...]


class HttpReply(msgspec.Struct, frozen=True):
    """A small HTTP response; `headers` come beside `Connection` and `Content-Length`."""

    status: int
    body: bytes = b""
    headers: Headers = ()


class ResponseSender(Protocol):
    """Sender of the answer to one request."""

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send the answer, and close. Does nothing after an earlier answer, or when the client has left."""

    def unsent(self) -> int:
        """Bytes of the answer that the client has not taken."""


class RequestHandler(Protocol):
    """Serves one request that has a body, or whose answer comes later."""

    def begin(self, caller: ResponseSender) -> None:
        """Start; may answer at once."""

    def arrived(self, data: bytes) -> None:
        """Take a part of the body, or other bytes after the head."""

    def gone(self) -> None:
        """Stop: the client has left without an answer."""


Answer: TypeAlias = Callable[[RequestHead], RequestHandler | HttpReply | None]


class PathHandler(Protocol):
    """Serves the requests at one path, or at one pattern of paths."""

    @property
    def endpoint(self) -> ActiveEndpoint | None:
        """The endpoint at this path, if there is one."""

    @property
    def answer(self) -> Answer | None:
        """Serves a request that is no WebSocket handshake; it returns None for one that may be.

        None at a path where every request is a handshake.
        """

    def admit(
        self, head: RequestHead, parameters: PathParameters = (), *, upgrade_checked: bool = False
    ) -> Coroutine[Any, Any, Admission]:
        """Decide about a handshake; with `upgrade_checked` the server in front has checked its form.

        Raises:
            HandshakeRejected: with a row of `HandshakeRejection`.
        """

    def refused(self, head: RequestHead | None, refused: HandshakeRejected) -> None:
        """Log and count a rejection that a transport is about to send."""


class HandshakeGate(PathHandler, Protocol):
    """The admission interface for transports; it handles the paths that are in no table itself."""

    @property
    def pending(self) -> PendingConnections:
        """The pool where a transport counts sockets without a complete request."""

    @property
    def handlers(self) -> Mapping[str, PathHandler]:
        """What serves each path, or pattern of paths."""

    def has_capacity(self) -> HandshakeRejection | None:
        """Check the global limit when a socket is accepted; None means that it is admitted."""

    async def verify_followup(self, head: RequestHead, admission: Admission) -> None:
        """Check a further request of a session that uses several HTTP requests, once it is open.

        Raises:
            HandshakeRejected: FORBIDDEN when it does not belong to the session; else with a row of
                `HandshakeRejection`.
        """
