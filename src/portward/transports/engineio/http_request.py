"""One HTTP request of Engine.IO, from its head to its answer."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar, runtime_checkable

import portward.transports.engineio.responses as responses
from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.path_router import PathParameters
from portward.model.request import RequestHead
from portward.node.handshake import cors_headers, preflight
from portward.node.sessions import (
    ActiveEndpoint,
    Admission,
    PathHandler,
    ResponseSender,
    start_eager,
)
from portward.transports.engineio.polling import Polling
from portward.transports.engineio.queries import length_of, read_query
from portward.transports.engineio.server import EngineServer, SessionEntry
from portward.transports.http_acceptor import DRAINED
from portward.wire import engineio
from portward.wire.http_response import refusal_headers

T = TypeVar("T")
_FOREIGN = frozenset({HandshakeRejection.FORBIDDEN, HandshakeRejection.ORIGIN})
_UNKNOWN = -1
"""Length of a body that was not announced, or that was handed over."""


@runtime_checkable
class OwnConnection(Protocol):
    """Response sender with a connection of its own; behind an ASGI server there is none to drop."""

    def abort(self) -> None:
        """Drop it at once."""


class PollingRequest:
    """Implements `node.sessions.RequestHandler` and `transports.engineio.payload_reader.Request`."""

    __slots__ = (
        "_body",
        "_caller",
        "_cors",
        "_endpoint",
        "_handler",
        "_head",
        "_left",
        "_length",
        "_parameters",
        "_polling",
        "_query",
        "_server",
        "_spare",
        "_task",
    )

    _caller: ResponseSender

    def __init__(
        self,
        server: EngineServer,
        handler: PathHandler,
        endpoint: ActiveEndpoint,
        head: RequestHead,
        parameters: PathParameters = (),
    ) -> None:
        """`handler` is that of the endpoint without Engine.IO: it admits new sessions.

        `parameters` are those of the path of the request.
        """
        self._server = server
        self._handler = handler
        self._endpoint = endpoint
        self._head = head
        self._parameters = parameters
        self._query = read_query(head.query)
        self._cors = cors_headers(endpoint, head)
        self._task: asyncio.Task[Any] | None = None
        self._polling: Polling | None = None
        self._length = 0
        self._body = bytearray()
        self._left = False
        self._spare = DRAINED  # bytes that may come in addition to the body

    # As a request handler.

    def begin(self, caller: ResponseSender) -> None:
        """Choose what to do with the request."""
        self._caller = caller
        if self._head.method == "OPTIONS":
            self.respond(responses.PREFLIGHT)
            return
        flaw = self._flaw()
        if flaw is not None:
            self._turn_away(flaw)
        elif self._query.sid:
            self._come_back()
        else:
            self._judge(self._handshake(), self._admitted)

    def _flaw(self) -> responses.Response | None:
        """The error of the request as it stands, in the order of the protocol's own checks."""
        query, method = self._query, self._head.method
        if query.transport not in {"polling", "websocket"}:
            return responses.UNKNOWN_TRANSPORT
        if query.sid:
            if self._server.find(query.sid) is None:
                return responses.UNKNOWN_SESSION
        elif method != "GET":
            return responses.BAD_METHOD
        if query.protocol != engineio.PROTOCOL:
            return responses.UNSUPPORTED
        if query.transport != "polling" or query.jsonp or not query.sound:
            return responses.BAD_REQUEST
        return None if method in {"GET", "POST"} else responses.BAD_REQUEST

    def arrived(self, data: bytes) -> None:
        """Take a part of the body; never hold more than the announced length."""
        self._spare -= len(data)
        if self._spare < 0:
            self._cut()
            return
        room = min(self._length, self._endpoint.rules.max_message) - len(self._body)
        if room > 0:
            self._body += data[:room]
            self._deliver()

    def _cut(self) -> None:
        """Abort a request that sends more bytes than it announced."""
        if isinstance(self._caller, OwnConnection):
            self._caller.abort()  # which then calls `gone`
        elif not self._left:
            self.gone()
            self.respond(responses.BAD_REQUEST)

    def gone(self) -> None:
        """Stop: the client has left."""
        self._left = True
        if self._task is not None:
            self._task.cancel()
        if self._polling is not None:
            self._polling.gone(self)

    # As a request of the carrier.

    def respond(self, response: responses.Response) -> None:
        """Answer, with the CORS headers for a browser."""
        self._polling = None
        asked = response is responses.PREFLIGHT and self._cors
        allowed = preflight(self._endpoint, "GET, POST") if asked else ()
        response.to(self._caller, (*self._cors, *allowed))

    def unsent(self) -> int:
        """Bytes of the answer the client has not taken."""
        return self._caller.unsent()

    # A new session.

    def _admitted(self, admission: Admission | None, error: BaseException | None) -> None:
        if admission is None:
            self._refuse(error)
        elif self._left:
            admission.cancel()
        else:
            base64 = self._query.base64
            self.respond(
                responses.body(self._server.open(self._endpoint, admission, base64=base64))
            )

    # An existing session.

    def _come_back(self) -> None:
        found = self._server.find(self._query.sid)
        if self._head.method == "POST":
            length = length_of(self._head)
            self._length = _UNKNOWN if length is None else length
            self._spare += length or 0
        if found is not None:
            self._judge(self._known(found), self._recognised)

    def _recognised(self, found: SessionEntry | None, error: BaseException | None) -> None:
        if found is None:
            self._refuse(error)
            return
        carrier = found.link.carrier
        if self._left or not isinstance(carrier, Polling):
            self._turn_away(responses.BAD_REQUEST)
        elif self._head.method == "GET":
            self._polling = carrier
            self._perhaps(carrier.poll(self))
        elif self._length == _UNKNOWN:
            carrier.posts.without_length()
            self._turn_away(responses.NO_LENGTH)
        elif self._length > carrier.posts.limit:
            # End the session first: a client that sees the status first sends no further poll.
            carrier.posts.too_large()
            self.respond(responses.TOO_LARGE)
        else:
            self._polling = carrier
            self._perhaps(carrier.posts.take(self))
            self._deliver()

    def _perhaps(self, response: responses.Response | None) -> None:
        if response is not None:
            self.respond(response)

    def _deliver(self) -> None:
        """Hand the body over once it is complete and the request was accepted."""
        polling = self._polling
        if polling is not None and self._head.method == "POST" and len(self._body) == self._length:
            body, self._body = bytes(self._body), bytearray()
            self._length = _UNKNOWN
            polling.posts.delivered(body)

    # Decisions.

    async def _handshake(self) -> Admission:
        """Decide about the first request of a session by polling.

        Raises:
            HandshakeRejected: the request is rejected.
        """
        endpoint = self._endpoint
        judged = endpoint.rules.authenticated and not endpoint.protocol.own_authentication
        if judged and self._query.credential:
            raise HandshakeRejected(
                HandshakeRejection.UNAUTHENTICATED, "a credential in the address of a poll"
            )
        return await self._handler.admit(self._head, self._parameters, upgrade_checked=True)

    async def _known(self, found: SessionEntry) -> SessionEntry:
        """Check a further request of a session.

        Raises:
            HandshakeRejected: it does not belong to the session, or is not allowed.
        """
        await self._server.gate.verify_followup(self._head, found.admission)
        return found

    def _judge(
        self,
        judging: Coroutine[Any, Any, T],
        then: Callable[[T | None, BaseException | None], None],
    ) -> None:
        def judged(result: T | None, error: BaseException | None) -> None:
            self._task = None
            then(result, error)

        task = start_eager(judging, judged)
        if task is not None and not task.done():
            self._task = task

    def _turn_away(self, response: responses.Response) -> None:
        """Reject an invalid request."""
        code = (
            HandshakeRejection.FORBIDDEN
            if response is responses.FORBIDDEN
            else HandshakeRejection.BAD_REQUEST
        )
        self._handler.refused(self._head, HandshakeRejected(code, "Engine.IO"))
        self.respond(response)

    def _refuse(self, error: BaseException | None) -> None:
        if self._left:
            return
        if not isinstance(error, HandshakeRejected):
            context = {"message": "a request could not be handled", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
            error = HandshakeRejected(HandshakeRejection.INTERNAL, type(error).__name__)
        self._handler.refused(self._head, error)
        if self._query.sid and error.refusal in _FOREIGN:
            self.respond(responses.FORBIDDEN)
            return
        headers = refusal_headers(error, self._server.random)
        self.respond(responses.Response(error.refusal.status, b"", headers))
