"""Upgrade of a polling session to a WebSocket: the probe, and what follows it."""

from collections.abc import Callable
from typing import Final

from portward.model.disconnects import Disconnect
from portward.node.sessions import Admission, Transport, TransportCallbacks
from portward.transports.deadlines import Deadlines
from portward.transports.engineio.link import EngineLink, PayloadListener
from portward.transports.engineio.polling import Polling
from portward.transports.websocket import ClosedReceiver
from portward.wire import engineio

PROBE_TIME: Final = 10.0
"""Seconds a WebSocket has for each step of the probe."""
_FRAMES: Final = 20
"""Frames of any kind a probe may take."""


class LateUpgrade:
    """Admission of a WebSocket for a session that already has one: closed at once.

    Clients of the protocol expect the handshake to succeed, and then the close. The connection counts in
    no limit, so `SessionEntry.count_latecomer` bounds how many there may be.
    """

    compression = False

    def __init__(self, admission: Admission, subprotocol: str | None = None) -> None:
        self.subprotocol = subprotocol
        self.max_message = admission.max_message
        self.max_early = admission.max_early
        self.max_unsent = admission.max_unsent

    def open(self, link: Transport) -> TransportCallbacks:
        """Close the connection."""
        link.close(Disconnect.FLOODING.code, Disconnect.FLOODING.reason)
        return ClosedReceiver()

    def cancel(self) -> None:
        """Do nothing: nothing was counted."""


class Probe:
    """A `node.sessions.Admission`, `node.sessions.TransportCallbacks` and `transports.deadlines.Waiter`.

    After the last step it passes all events on to the `PayloadListener` of the session.
    """

    __slots__ = (
        "_answered",
        "_base64",
        "_deadlines",
        "_frames",
        "_link",
        "_payload_listener",
        "_polling",
        "_socket",
        "compression",
        "count_frame",
        "max_early",
        "max_message",
        "max_unsent",
        "message",
        "subprotocol",
    )

    def __init__(
        self,
        link: EngineLink,
        polling: Polling,
        admission: Admission,
        deadlines: "Deadlines[Probe]",
        *,
        base64: bool = False,
        subprotocol: str | None = None,
    ) -> None:
        self.max_message = admission.max_message
        self.max_early = admission.max_early
        self.max_unsent = admission.max_unsent
        self.compression = False
        self.subprotocol = subprotocol
        self._link = link
        self._polling = polling
        self._deadlines = deadlines
        self._answered = False
        self._base64 = base64
        self._frames = 0
        self._payload_listener: PayloadListener | None = None
        self._socket: Transport | None = None
        self.count_frame = self._count
        self.message = self._judge
        polling.probe = self
        deadlines.add(self)

    # As an admission.

    def open(self, link: Transport) -> TransportCallbacks:
        """Wait for the probe."""
        self._socket = link
        return self

    def cancel(self) -> None:
        """Release the session: the socket was lost before it was open."""
        self._release()

    # As a receiver.

    def _count(self, control: bool) -> bool:  # noqa: ARG002 - the port
        self._frames += 1
        if self._frames > _FRAMES:
            self._give_up()
        return self._frames <= _FRAMES

    def _judge(self, payload: bytes, binary: bool) -> None:
        socket = self._socket
        if socket is None or binary or self._polling.probe is not self:
            self._give_up()
        elif not self._answered and payload == engineio.PROBE:
            self._answered = True
            # The client ends its requests before the last step, which can take as long again.
            self._deadlines.remove(self)
            self._deadlines.add(self)
            socket.write(engineio.PROBED)
            self._polling.make_way()
        elif self._answered and payload == engineio.UPGRADE:
            self._upgrade(socket)
        else:
            self._give_up()

    def _upgrade(self, socket: Transport) -> None:
        polling, link = self._polling, self._link
        self._deadlines.remove(self)
        queued, waiting = polling.hand_over()
        self._payload_listener = payload_listener = PayloadListener(link, socket)
        self.count_frame, self.message = payload_listener.count_frame, payload_listener.message
        link.switch(socket, queued, polling.farewell, base64=self._base64)
        for then in waiting:
            link.when_sent(then)

    def _give_up(self) -> None:
        self.close(Disconnect.PROTOCOL_ERROR.code, Disconnect.PROTOCOL_ERROR.reason)

    def close(self, code: int, reason: str) -> None:
        """Close the socket, and leave the session to polling."""
        self._release()
        if self._socket is not None:
            self._socket.close(*(self._polling.farewell or (code, reason)))

    def _release(self) -> None:
        """Leave the session to polling, or to its present carrier."""
        self._deadlines.remove(self)
        self._polling.release(self)

    def ping_received(self, payload: bytes) -> None:
        """Answer a ping frame, or pass it on."""
        if self._payload_listener is not None:
            self._payload_listener.ping_received(payload)
        elif self._socket is not None:
            self._socket.pong(payload)

    def partial(self, pending: bool) -> None:
        """Pass on whether an unfinished message is waiting. A probe has its own deadline."""
        if self._payload_listener is not None:
            self._payload_listener.partial(pending)

    def due(self) -> None:
        """Do nothing: a probe serves no requests."""

    def fail(self, ending: Disconnect, cause: str) -> None:
        """Pass on that the peer broke the protocol, or end the probe."""
        if self._payload_listener is not None:
            self._payload_listener.fail(ending, cause)
        else:
            self._release()

    def slow(self) -> None:
        """Pass on that the queue to the peer is over a bound."""
        if self._payload_listener is not None:
            self._payload_listener.slow()

    def peer_closed(self, then: Callable[[], object]) -> None:
        """Pass on that the peer closed the socket."""
        if self._payload_listener is not None:
            self._payload_listener.peer_closed(then)
        else:
            then()

    def lost(self, code: int | None) -> None:
        """Handle that the socket is gone."""
        if self._payload_listener is not None:
            self._payload_listener.lost(code)
        else:
            self._release()

    # As a waiter.

    def overdue(self) -> None:
        """End the probe: it took too long."""
        self._give_up()

    def abort(self) -> None:
        """End the probe at once."""
        self._give_up()
