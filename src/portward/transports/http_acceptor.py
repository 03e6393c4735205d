"""HTTP side of the public listener: one request head with a deadline, then one of three results.

A rejection or a small answer, after which the connection closes; a request handler that serves the
request by itself; or an upgrade to WebSocket, after which nothing of this module is left.
"""

import asyncio
from enum import Enum, auto
from ssl import SSLContext
from typing import Any, Final, cast

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.limits import CLOSE_TIME
from portward.model.request import PeerAddress, RequestHead
from portward.node.sessions import (
    Admission,
    Headers,
    HttpReply,
    PathHandler,
    RequestHandler,
    start_eager,
)
from portward.transports.deadlines import Waiter
from portward.transports.listener_state import (
    LINGERING,
    ConnectionHandoff,
    ListenerState,
)
from portward.transports.unix_socket import peer_of
from portward.transports.upgrade import refusal_answer, upgrade
from portward.wire import http_response
from portward.wire.http_request import HttpRequestReader

EARLY: Final = 4096
"""Bytes after the head that are held while admission is running; then reading pauses."""
DRAINED: Final = 64 * 1024
"""Bytes read and discarded after an answer: a close over unread bytes could reset it away."""

PIECE: Final = 64 * 1024
"""Bytes of an answer that are written at once."""


class Phase(Enum):
    """State of a connection before the upgrade."""

    SECURING = auto()
    READING = auto()
    ADMITTING = auto()
    SERVING = auto()
    ANSWERING = auto()
    LEAVING = auto()
    GONE = auto()


class HandshakeProtocol(asyncio.Protocol):
    """Protocol of one new connection: one request, and never a second one.

    `carried` is the head and the bytes after it, for a connection that another process began to read.
    `peer` is the client where a PROXY header has named it; `waiter` then holds the deadline of the head.
    """

    __slots__ = (
        "_carried",
        "_early",
        "_head",
        "_listener_state",
        "_path_handler",
        "_peer",
        "_phase",
        "_reader",
        "_request_handler",
        "_rest",
        "_size",
        "_task",
        "_transport",
        "_untaken",
        "_waiter",
    )

    silent = True
    verifying = False
    _transport: asyncio.Transport
    _reader: HttpRequestReader

    def __init__(
        self,
        listener_state: ListenerState,
        carried: tuple[RequestHead, bytes] | None = None,
        *,
        peer: PeerAddress | None = None,
        waiter: Waiter | None = None,
    ) -> None:
        self._listener_state = listener_state
        self._carried = carried
        self._peer = peer
        self._waiter: Waiter = waiter or self
        self._phase = Phase.READING
        self._head: RequestHead | None = None
        self._early = bytearray()
        self._rest = b""
        self._size = 0
        self._untaken = 0
        self._path_handler: PathHandler = listener_state.gate
        self._request_handler: RequestHandler | None = None
        self._task: asyncio.Task[Any] | None = None

    # Callbacks of the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Check whether there is capacity, then wait for the head."""
        listener_state = self._listener_state
        listener_state.sockets += 1
        listener_state.unadmitted.add(self)
        self._transport = cast("asyncio.Transport", transport)
        refusal = listener_state.room_for(transport.get_extra_info("socket").fileno())
        if refusal is not None:
            self._reject_at_accept(HandshakeRejected(refusal))
            return
        if self._carried is not None:
            self._serve(*self._carried)
            return
        peer = self._peer or PeerAddress(address=peer_of(transport))
        listener_state.await_head(self, peer.address, self._waiter)
        secure = listener_state.tls is not None
        self._reader = HttpRequestReader(peer, secure=secure, limits=listener_state.head_limits)
        if listener_state.tls is not None:
            self._phase = Phase.SECURING
            self._task = start_eager(self._secure(listener_state.tls), self._secured)

    def data_received(self, data: bytes) -> None:
        """Handle received bytes according to the phase."""
        if self._phase is Phase.READING:
            self._read(data)
        elif self._phase is Phase.SECURING:
            # The TLS handshake is done; these bytes come in the same turn, before `_secure` resumes.
            self._early += data
        elif self._phase is Phase.ADMITTING:
            # Not parsed before the 101: after a rejected upgrade it must not become a second request.
            self._early += data
            if len(self._early) > EARLY:
                self._transport.pause_reading()
        elif self._request_handler is not None:
            self._request_handler.arrived(data)
        else:
            self._size += len(data)
            if self._size > DRAINED:
                self._transport.abort()

    def pause_writing(self) -> None:
        """Do nothing: an answer is being sent, and `_go_on` waits until it is taken."""

    def resume_writing(self) -> None:
        """Continue the answer, and close when it is taken."""
        # Later, not here: asyncio fails when a transport is closed from within this callback.
        asyncio.get_running_loop().call_soon(self._resumed)

    def _resumed(self) -> None:
        if self._phase is Phase.ANSWERING:
            self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """Stop what is running. TLS may call this, fail its handshake, or both."""
        phase, self._phase = self._phase, Phase.GONE
        if phase is Phase.GONE:
            return
        if phase is Phase.ANSWERING:  # asyncio no longer knows how much of it was left
            self._untaken = len(self._rest) or 1
        self._listener_state.sockets -= 1
        self._listener_state.unadmitted.discard(self)
        self._listener_state.head_done(self, self._waiter)
        self._listener_state.answering.remove(self)
        self._listener_state.lingering.remove(self)
        if phase is Phase.ADMITTING and self._task is not None:
            self._task.cancel()
        request_handler, self._request_handler = self._request_handler, None
        if request_handler is not None:
            request_handler.gone()

    def overdue(self) -> None:
        """Reject a head that is not complete; drop a peer that does not take its answer or close."""
        if self._phase is Phase.READING:
            self._refuse(HandshakeRejected(HandshakeRejection.HEAD_TIMEOUT))
        else:
            self._transport.abort()

    def displace(self, retry: float) -> None:
        """Give way to a new connection: this one is silent, and its address holds many sockets."""
        refused = HandshakeRejected(
            HandshakeRejection.UNAUTHENTICATED_CAP, "no request yet", retry_after=retry
        )
        if self._phase is Phase.READING:
            self._refuse(refused)
        else:
            self._listener_state.gate.refused(None, refused)
            self._transport.abort()

    def abort(self) -> None:
        """Drop the connection at once."""
        self._transport.abort()

    # Steps of a connection.

    async def _secure(self, tls: SSLContext) -> None:
        """Do the TLS handshake, within the time of the head."""
        raw = self._transport
        # With a limit of zero on the raw transport, TLS notices at once that the kernel takes no more.
        raw.set_write_buffer_limits(high=0)
        secured = await asyncio.get_running_loop().start_tls(
            raw,
            self,
            tls,
            server_side=True,
            ssl_handshake_timeout=self._listener_state.head_time,
            ssl_shutdown_timeout=CLOSE_TIME,
        )
        # When the peer leaves during the handshake, `start_tls` can return without an error.
        if secured is None or secured.is_closing():
            raise ConnectionResetError
        self._transport = secured
        self._phase = Phase.READING
        early, self._early = bytes(self._early), bytearray()
        if early:
            self._read(early)

    def _secured(self, _: None, error: BaseException | None) -> None:
        self._task = None
        if error is None:
            return
        if not isinstance(error, OSError):
            self._report(error)
        detail = f"TLS handshake: {type(error).__name__}"
        self._listener_state.gate.refused(
            None, HandshakeRejected(HandshakeRejection.BAD_REQUEST, detail)
        )
        if not self._transport.is_closing():
            self._transport.abort()
        self.connection_lost(None)

    def _read(self, data: bytes) -> None:
        try:
            found = self._reader.feed(data)
            if found is not None:
                self._listener_state.head_done(self, self._waiter)
                self._serve(*found)
        except HandshakeRejected as refused:
            self._refuse(refused)

    def _leaves_by(self, handoff: ConnectionHandoff, head: RequestHead) -> bool:
        descriptor = self._transport.get_extra_info("socket").fileno()
        if not handoff.carry(head, bytes(self._early), descriptor):
            return False
        # This closes only our descriptor; the connection continues on the one of the other process.
        self._phase = Phase.LEAVING
        self._transport.abort()
        return True

    def _serve(self, head: RequestHead, early: bytes) -> None:
        """Let the handler of the path answer the request, or decide about the handshake."""
        self._head = head
        self._early += early
        listener_state = self._listener_state
        handoff = listener_state.handoff
        if handoff is not None and self._carried is None and self._leaves_by(handoff, head):
            return
        handler, parameters = listener_state.router.find(head.path)
        self._path_handler = handler
        if handler.answer is not None:
            answer = handler.answer(head)
            if answer is not None:
                self._answer(answer, head)
                return
        self._phase = Phase.ADMITTING
        task = start_eager(handler.admit(head, parameters), self._judged)
        if self._phase is Phase.ADMITTING:
            self._task = task

    def _answer(self, answer: RequestHandler | HttpReply, head: RequestHead) -> None:
        if isinstance(answer, HttpReply):
            parts = answer.status, answer.headers, answer.body
            self._respond(http_response.answer(*parts, head_only=head.method == "HEAD"))
        else:
            self._host(answer)

    def _host(self, request_handler: RequestHandler) -> None:
        self._phase = Phase.SERVING
        self._request_handler = request_handler
        early, self._early = bytes(self._early), bytearray()
        request_handler.begin(self)
        if early and self._request_handler is not None:
            request_handler.arrived(early)

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send the answer of a request handler, which is then done."""
        if self._phase is Phase.SERVING and self._head is not None:
            self._request_handler = None
            head_only = self._head.method == "HEAD"
            self._respond(http_response.answer(status, headers, body, head_only=head_only))

    def unsent(self) -> int:
        """Bytes of the answer that the peer has not taken, or never will because it left."""
        if self._phase is not Phase.ANSWERING:
            return self._untaken
        return len(self._rest) + self._transport.get_write_buffer_size()

    def _judged(self, admission: Admission | None, error: BaseException | None) -> None:
        self._task = None
        if self._phase is not Phase.ADMITTING:
            if admission is not None:
                admission.cancel()
        elif admission is not None:
            self._upgrade(admission)
        elif isinstance(error, HandshakeRejected):
            self._refuse(error)
        else:
            self._report(error)
            self._refuse(HandshakeRejected(HandshakeRejection.INTERNAL, type(error).__name__))

    def _upgrade(self, admission: Admission) -> None:
        assert self._head is not None  # noqa: S101 - for the type checker: there is one by now
        early = bytes(self._early)
        try:
            upgrade(self._transport, self._listener_state, admission, self._head, early)
        except Exception as error:  # noqa: BLE001 - an error of one connection must not reach others
            self._report(error)
            self._transport.abort()
        else:
            self._phase = Phase.GONE
            self._listener_state.unadmitted.discard(self)

    def _report(self, error: BaseException | None) -> None:
        context = {"message": "a handshake could not be handled", "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)

    def _reject_at_accept(self, refused: HandshakeRejected) -> None:
        """Reject at accept, as cheaply as possible: only a bounded number of such sockets may linger."""
        listener_state = self._listener_state
        listener_state.gate.refused(None, refused)
        if listener_state.tls is None and len(listener_state.lingering) < LINGERING:
            self._respond(http_response.refusal(refused, listener_state.random))
            return
        self._phase = Phase.LEAVING
        if listener_state.tls is None:
            self._transport.write(http_response.refusal(refused, listener_state.random))
        self._transport.close()

    def _refuse(self, refused: HandshakeRejected) -> None:
        self._path_handler.refused(self._head, refused)
        self._respond(refusal_answer(refused, self._head, self._listener_state.random))

    def _respond(self, response: bytes) -> None:
        """Send an answer, and close when it is taken. Nothing received from now on is answered."""
        listener_state, transport = self._listener_state, self._transport
        self._phase = Phase.ANSWERING
        listener_state.head_done(self, self._waiter)
        # `resume_writing` must come when all is taken. TLS transports pause at the limit, others beyond it.
        transport.set_write_buffer_limits(high=0 if listener_state.tls is None else 1, low=0)
        transport.resume_reading()
        self._rest = response
        self._go_on()
        if self._phase is Phase.ANSWERING:
            listener_state.answering.add(self)

    def _go_on(self) -> None:
        """Write as much as the peer takes, in pieces: inside one write, TLS does not report progress."""
        transport = self._transport
        while self._rest and not transport.get_write_buffer_size():
            piece, self._rest = self._rest[:PIECE], self._rest[PIECE:]
            transport.write(piece)
        if transport.is_closing() or not (self._rest or transport.get_write_buffer_size()):
            self._linger_close()

    def _linger_close(self) -> None:
        """Close our side; then read and discard for a moment."""
        listener_state, transport = self._listener_state, self._transport
        self._phase = Phase.LEAVING
        listener_state.answering.remove(self)
        if not transport.can_write_eof():
            transport.close()
            return
        listener_state.lingering.add(self)
        try:
            transport.write_eof()
        except OSError:
            transport.abort()
