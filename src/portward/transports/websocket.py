"""Transport of one WebSocket connection: receives whole messages, writes frames, closes in order."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from picows import WSFrame, WSMsgType, WSTransport

from portward.model.disconnects import Disconnect
from portward.node.sessions import Admission, TransportCallbacks
from portward.transports.frame_writer import FrameWriter
from portward.transports.listener_state import ListenerState
from portward.transports.picows_reader import reader_for
from portward.wire import message as frames
from portward.wire.errors import WireFault
from portward.wire.message_assembler import MessageAssembler

HEADER: Final = 14
"""Longest header of a masked frame, in bytes."""
IGNORED: Final = 4 * 1024 * 1024
"""Bytes read from a peer that is being closed, before reading stops. A peer that still sends can
then read the close frame; a socket closed over unread bytes answers with a reset.
"""

_PING, _CLOSE = WSMsgType.PING, WSMsgType.CLOSE
_OPCODES: Final = {WSMsgType.CONTINUATION: 0, WSMsgType.TEXT: 1, WSMsgType.BINARY: 2}
_ENDINGS: Final = {
    1002: Disconnect.PROTOCOL_ERROR,
    1007: Disconnect.INVALID_UTF8,
    1009: Disconnect.TOO_BIG,
    1011: Disconnect.INTERNAL,
}

_Frame = tuple[WSMsgType, int, int, bytes]
"""Kind, FIN, reserved bits as one number, payload."""


class ClosedReceiver:
    """Implements `node.sessions.TransportCallbacks` for a connection whose frames are ignored."""

    def count_frame(self, control: bool) -> bool:  # noqa: ARG002 - the port
        """Accept no frame."""
        return False

    def nothing(self, *_: object) -> None:
        """Do nothing."""

    def peer_closed(self, then: Callable[[], object]) -> None:
        """Call `then` at once: there is nothing to handle first."""
        then()

    message = ping_received = partial = due = fail = slow = lost = nothing


_CLOSED: Final = ClosedReceiver()
"""The receiver before `begin`, and after the connection is lost."""


class WebSocketTransport(FrameWriter):
    """Implements `node.sessions.Transport` and calls a `node.sessions.TransportCallbacks`.

    `limit` is the endpoint's message size in bytes; until `authenticated` the smaller one applies.
    """

    __slots__ = (
        "_assembler",
        "_code",
        "_eof",
        "_held",
        "_ignored",
        "_limit",
        "_listener_state",
        "_lost",
        "_over",
        "_partial_reported",
        "_paused",
        "_receiver",
        "_replaying",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        listener_state: ListenerState,
        admission: Admission,
        *,
        descriptor: int,
        compression: bool,
    ) -> None:
        super().__init__(transport, listener_state.clock, descriptor, admission.max_unsent)
        self.ignoring = self.buffer_grown = False
        self.pending = 0
        self._assembler = MessageAssembler(
            min(admission.max_message, admission.max_early), compression=compression
        )
        self._code: int | None = None
        self._held: deque[_Frame] | None = None
        self._ignored = 0
        self._limit = admission.max_message
        self._listener_state = listener_state
        self._eof = self._lost = self._over = False
        self._paused = self._replaying = self._partial_reported = False
        self._receiver: TransportCallbacks = _CLOSED

    @property
    def compression(self) -> bool:
        """Whether permessage-deflate was negotiated, so that compressed frames may be written."""
        return self._assembler.compression

    def begin(self, receiver: TransportCallbacks) -> None:
        """Call `receiver` from now on."""
        self._receiver = receiver

    def authenticated(self) -> None:
        """Apply the endpoint's own message limit from now on."""
        self._assembler.limit = self._limit

    def ping(self) -> None:
        """Send a ping. An idle connection also frees a read buffer that had grown."""
        if self.buffer_grown and not self.pending and not self._paused and self.open:
            self.buffer_grown = False
            self._transport.set_protocol(reader_for(self, self._limit))
        super().ping()

    def pause(self) -> None:
        """Stop reading; frames that were read already are held."""
        if self.open:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Deliver what is held, then read again. May be called during a delivery."""
        if not self._paused:
            return
        self._paused = False
        if not self._replaying:
            self._replay()

    def close(self, code: int, reason: str) -> None:
        """Send a close frame after what is queued, wait for the peer's, then close TCP."""
        if not self.open:
            return
        held, self._held = self._held, None
        self._depart(frames.close(code, reason))
        self._paused = False
        self._transport.resume_reading()
        for kind, _, _, payload in held or ():
            if kind is _CLOSE:
                self._deliver(kind, 1, 0, payload)

    def abort(self) -> None:
        """Drop the connection at once."""
        self._shut()
        self.ignoring = True
        self._held = self._outbox = None
        if not self._lost:
            self._transport.abort()

    def overdue(self) -> None:
        """Drop the connection: the peer did not finish the close handshake in time."""
        self.abort()

    # Callbacks of the frame reader.

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:  # noqa: ARG002 - picows
        """Count a frame, then deliver it, or hold it while the session does not read."""
        self.pending = frame.tail_size
        if self.ignoring:
            return
        kind = frame.msg_type
        if (
            not (self.open and self._receiver.count_frame(kind not in _OPCODES))
            and kind is not _CLOSE
        ):
            return
        rsv = frame.rsv1 << 2 | frame.rsv2 << 1 | frame.rsv3
        if not self._paused:
            self._deliver(kind, frame.fin, rsv, frame.get_payload_as_bytes())
            return
        if self._held is None:
            self._held = deque()
        self._held.append((kind, frame.fin, rsv, frame.get_payload_as_bytes()))

    def on_read_done(self) -> None:
        """Report an unfinished message (for its deadline), and check the size received so far."""
        if self.open and not self.ignoring and (self.pending or self._assembler.unfinished):
            if not self._partial_reported:
                self._partial_reported = True
                self._receiver.partial(True)
            if self.pending > self._assembler.limit + HEADER:
                self._fail(Disconnect.TOO_BIG, "frame over the size limit")

    def on_discarded(self, size: int) -> None:
        """Read and discard for a while, so that the peer can still read what was sent."""
        self._ignored += size
        if self._ignored > IGNORED:
            self._transport.pause_reading()

    def on_protocol_error(self, code: int) -> None:
        """Disconnect: the frame parser refuses the peer's bytes."""
        self._fail(_ENDINGS.get(code, Disconnect.PROTOCOL_ERROR), f"frame parser said {code}")

    def on_eof(self) -> bool:
        """Handle that the peer closed its side of TCP: answer what it sent before, then close ours.

        With TLS (no descriptor) a half-closed connection is not possible: the transport closes at once.
        """
        self._eof = True
        if self.open and self._descriptor >= 0:
            self._wait_for_session()
            if self.open:
                return True
        self._shut()
        self._listener_state.closing.add(self)
        return False

    def on_connection_lost(self) -> None:
        """Clean up: the transport is gone, and another socket may get the descriptor from now on."""
        self._shut()
        self._lost = True
        self._descriptor = -1
        self._outbox = None
        self._deliver_held()
        self.ignoring = True
        self._listener_state.closing.remove(self)
        self._listener_state.sockets -= 1
        receiver, self._receiver = self._receiver, _CLOSED
        receiver.lost(self._code)

    # Internals.

    def _deliver_held(self) -> None:
        """Deliver what was read before the transport was lost, though the session does not read."""
        held, self._held = self._held, None
        while held and not self.ignoring:
            self._deliver(*held.popleft())

    def _replay(self) -> None:
        held = self._held
        self._replaying = True
        while held and not self._paused and self.open and not self.ignoring:
            self._deliver(*held.popleft())
        self._replaying = False
        if not self._paused and self.open:
            self._held = None
            self._transport.resume_reading()

    def _deliver(self, kind: WSMsgType, fin: int, rsv: int, payload: bytes) -> None:
        try:
            opcode = _OPCODES.get(kind)
            if opcode is None:
                self._control(kind, rsv, payload)
                return
            message = self._assembler.feed(opcode, fin, rsv, payload)
            if self._partial_reported:
                self._settle()
            if message is not None:
                self._receiver.message(message, self._assembler.binary)
        except WireFault as fault:
            self._fail(fault.ending, fault.cause)
        except Exception as error:  # noqa: BLE001 - an error of one connection must not reach others
            context = {"message": "a frame could not be handled", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
            self._fail(Disconnect.INTERNAL, type(error).__name__)

    def _control(self, kind: WSMsgType, rsv: int, payload: bytes) -> None:
        self._settle()
        if rsv:
            raise WireFault(Disconnect.PROTOCOL_ERROR, "reserved bit set")
        if kind is _CLOSE:
            self._closed_by_peer(frames.close_code(payload))
        elif kind is _PING and self.open:
            self._receiver.ping_received(payload)

    def _settle(self) -> None:
        """End the deadline of a message: a frame is complete, and no message is unfinished."""
        if self._partial_reported and not self._assembler.unfinished:
            self._partial_reported = False
            self._receiver.partial(False)

    def _closed_by_peer(self, code: int) -> None:
        self._code = code
        if self.open:
            self.discard()
            self._wait_for_session()
        else:
            self._finish()

    def _wait_for_session(self) -> None:
        """Ignore further frames; close after the session has handled the earlier ones."""
        if not self._over:
            self.ignoring = self._over = True
            self._receiver.peer_closed(self._part)

    def _part(self) -> None:
        """Answer the peer's close; where only TCP was closed, close it as well."""
        if not self.open:
            return
        if self._code is not None:
            self._depart(frames.close(self._code))
        else:
            self._shut()
            self._listener_state.closing.add(self)
            self._transport.close()

    def _fail(self, ending: Disconnect, cause: str) -> None:
        """Ignore further frames (RFC 6455 section 7.1.7), and disconnect."""
        if self.ignoring:
            return
        self.ignoring = True
        self._held = None
        if not self.open:
            self._finish()
            return
        self._receiver.fail(ending, cause)
        if self.open:
            self.discard()
            self.close(ending.code, ending.reason)

    def _depart(self, farewell: bytes) -> None:
        self._shut()
        self._farewell = farewell
        self._listener_state.closing.add(self)
        self._flush()

    def _parted(self) -> None:
        # Later, not here: asyncio fails when a transport is closed from within `resume_writing`.
        asyncio.get_running_loop().call_soon(self._finish)

    def _finish(self) -> None:
        """Close TCP, once our close frame is sent and nothing more is to be read.

        After the peer's close frame TCP is closed at once. A peer that broke the protocol may still be
        sending: only our side is closed, and what it sends is read and discarded until it closes.
        """
        if self._farewell is not None or self._transport.is_closing():
            return
        cut = self.ignoring and not self._transport.can_write_eof()
        if self._code is not None or self._eof or cut:
            self._transport.close()
        elif self.ignoring:
            self._close_our_side()

    def _close_our_side(self) -> None:
        try:
            self._transport.write_eof()
        except OSError:
            self._transport.abort()

    def _overflow(self) -> None:
        self._receiver.slow()
