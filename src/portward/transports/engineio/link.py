"""Transport of one Engine.IO session: its carrier may change while the session stays."""

from collections.abc import Callable

from portward.model.channel import Channel
from portward.model.disconnects import Disconnect
from portward.node.sessions import Admission, Transport, TransportCallbacks
from portward.transports.engineio.polling import Polling
from portward.wire import engineio
from portward.wire.engineio import EngineIoPacketKind
from portward.wire.errors import WireFault
from portward.wire.message import WireMessage


class EngineLink:
    """Implements `node.sessions.Transport` from the start to the end of a session.

    The carrier is a WebSocket, or a `Polling` that can be replaced by one. `write` is the carrier's
    own, so that nothing lies between a fan-out and the socket; with `base64` it replaces binary
    frames by text first. `forget` is called when the session is over.
    """

    __slots__ = (
        "_base64",
        "_carrier",
        "_forget",
        "_large",
        "_lost",
        "_paused",
        "_receiver",
        "compression",
        "open",
        "write",
    )

    def __init__(
        self,
        carrier: Transport,
        forget: Callable[[], object] | None = None,
        *,
        base64: bool = False,
    ) -> None:
        self.open = True
        # Fixed for the session: frames compressed for one carrier could not be sent by the next one.
        self.compression = carrier.compression
        self._carrier = carrier
        self._forget = forget
        self._base64 = base64
        self.write: Callable[..., None] = self._write_text if base64 else carrier.write
        self._large = self._lost = self._paused = False
        self._receiver: TransportCallbacks

    @property
    def carrier(self) -> Transport:
        """The transport that carries the session now."""
        return self._carrier

    @property
    def receiver(self) -> TransportCallbacks:
        """The receiver of the session."""
        return self._receiver

    def begin(self, admission: Admission) -> None:
        """Open the session."""
        self._receiver = admission.open(self)

    def switch(
        self,
        carrier: Transport,
        queued: list[tuple[WireMessage, Channel | None]],
        farewell: tuple[int, str] | None = None,
        *,
        base64: bool = False,
    ) -> None:
        """Change the carrier; first write what the carrier before could not send.

        `farewell` is the close code and reason of a session that has ended meanwhile.
        """
        self._carrier = carrier
        self._base64 = self._base64 or base64
        self.write = self._write_text if self._base64 else carrier.write
        for message, channel in queued:
            self.write(message, channel)
        if self._large:
            carrier.authenticated()
        if farewell is not None:
            self._close_carrier(*farewell)
        elif self._paused:
            carrier.pause()

    def _write_text(self, message: WireMessage, channel: Channel | None = None) -> None:
        self._carrier.write(engineio.as_text(message), channel)

    def lost(self, code: int | None) -> None:
        """Report once that the carrier is gone."""
        if not self._lost:
            self._lost = True
            self.open = False
            forget, self._forget = self._forget, None
            if forget is not None:
                forget()
            self._receiver.lost(code)

    # Called by the session.

    def drop(self, channel: Channel) -> None:
        """Remove the queued messages of this channel."""
        self._carrier.drop(channel)

    def discard(self) -> None:
        """Remove all queued messages."""
        self._carrier.discard()

    def ping(self) -> None:
        """Send a ping packet."""
        self.write(engineio.PING)

    def pong(self, payload: bytes) -> None:
        """Answer a ping frame."""
        self._carrier.pong(payload)

    def pause(self) -> None:
        """Stop reading."""
        self._paused = True
        self._carrier.pause()

    def resume(self) -> None:
        """Read again."""
        self._paused = False
        self._carrier.resume()

    def close(self, code: int, reason: str) -> None:
        """Send a close packet after what is queued, then close the carrier."""
        if self.open:
            self.open = False
            self._close_carrier(code, reason)

    def _close_carrier(self, code: int, reason: str) -> None:
        if not isinstance(self._carrier, Polling):  # which sends the packet itself
            self._carrier.write(engineio.CLOSE)
        self._carrier.close(code, reason)

    def abort(self) -> None:
        """Drop the connection at once."""
        self.open = False
        self._carrier.abort()

    def unsent(self) -> int:
        """Bytes that were not taken yet."""
        return self._carrier.unsent()

    def when_sent(self, then: Callable[[], object]) -> None:
        """Call `then` once nothing is unsent, or the connection is closed."""
        self._carrier.when_sent(then)

    def stale(self, now: float) -> bool:
        """Whether the oldest queued message is over its age."""
        return self._carrier.stale(now)

    def authenticated(self) -> None:
        """Apply the endpoint's own message limit from now on."""
        self._large = True
        self._carrier.authenticated()


class PayloadListener:
    """Implements `node.sessions.TransportCallbacks` for a WebSocket that carries a session."""

    __slots__ = ("_carrier", "_link", "_message", "_receiver", "count_frame")

    def __init__(self, link: EngineLink, carrier: Transport) -> None:
        self._link = link
        self._carrier = carrier
        self._receiver = link.receiver
        self.count_frame = link.receiver.count_frame
        self._message: Callable[[bytes, bool], None] = link.receiver.message

    def message(self, payload: bytes, binary: bool) -> None:
        """Handle a packet. A binary frame is a message without a type character."""
        if binary:
            self._message(payload, True)
        elif payload[:1] == engineio.MESSAGE:
            self._message(payload[1:], False)
        else:
            self._control(payload)

    def _control(self, text: bytes) -> None:
        try:
            packet = engineio.read(text)
        except WireFault as fault:
            self.fail(fault.ending, fault.cause)
            return
        kind = packet.kind
        if kind is EngineIoPacketKind.MESSAGE:  # base64
            self._message(packet.payload, packet.binary)
        elif kind is EngineIoPacketKind.PONG:
            self.count_frame(True)
        elif kind is EngineIoPacketKind.CLOSE:
            self._message = _nothing
            self._receiver.peer_closed(self._part)
        elif kind is not EngineIoPacketKind.NOOP:
            self.fail(Disconnect.PROTOCOL_ERROR, f"a client sends no {kind.name.lower()} packet")

    def _part(self) -> None:
        """Close: what the client sent before its close packet is handled."""
        if self._link.open:
            self._link.open = False
            self._carrier.close(Disconnect.NORMAL.code, "")

    def ping_received(self, payload: bytes) -> None:
        """Pass on a ping frame, which needs a pong."""
        self._receiver.ping_received(payload)

    def partial(self, pending: bool) -> None:
        """Pass on whether bytes of an unfinished message are waiting."""
        self._receiver.partial(pending)

    def due(self) -> None:
        """Act on deadlines."""
        self._receiver.due()

    def fail(self, ending: Disconnect, cause: str) -> None:
        """Pass on that the peer broke the protocol."""
        self._receiver.fail(ending, cause)

    def slow(self) -> None:
        """Pass on that the queue to the peer is over a bound."""
        self._receiver.slow()

    def peer_closed(self, then: Callable[[], object]) -> None:
        """Pass on that the peer closed the socket."""
        self._receiver.peer_closed(then)

    def lost(self, code: int | None) -> None:
        """Report that the socket is gone."""
        self._link.lost(code)


def _nothing(payload: bytes, binary: bool) -> None:
    """Ignore what comes after a close packet."""
