"""A WebSocket that asks to carry a session, and what becomes of it."""

from collections.abc import Callable
from typing import Final

from portward.model.disconnects import Disconnect
from portward.node.transport import Admission, Transport, TransportCallbacks
from portward.transports.deadlines import Deadlines
from portward.transports.engineio.link import EngineLink, PayloadListener
from portward.transports.engineio.polling import Polling
from portward.wire import engineio

PROBE_TIME: Final = 10.0
"""Seconds a WebSocket has to prove that it works."""
_FRAMES: Final = 20
"""Frames of any kind a probe may take."""


class LateUpgrade:
    """Implements `node.transport.Admission`: the session has its WebSocket. This one is closed at once.

    Clients of the protocol expect the handshake to succeed, and then the end. It counts nowhere, so
    `Entrance.count_latecomer` says how many there may be.
    """

    compression = False

    def __init__(self, admission: Admission, subprotocol: str | None = None) -> None:
        self.subprotocol = subprotocol
        self.max_message = admission.max_message
        self.max_early = admission.max_early
        self.max_unsent = admission.max_unsent

    def open(self, link: Transport) -> TransportCallbacks:
        """Close it."""
        link.close(Disconnect.FLOODING.code, Disconnect.FLOODING.reason)
        return Closed()

    def cancel(self) -> None:
        """Nothing was counted."""


class Closed:
    """Implements `node.transport.TransportCallbacks` for a connection nobody listens to."""

    def count_frame(self, control: bool) -> bool:  # noqa: ARG002 - the port
        """Hear nothing."""
        return False

    def nothing(self, *_: object) -> None:
        """Do nothing."""

    def peer_closed(self, then: Callable[[], object]) -> None:
        """There is nothing to handle first."""
        then()

    message = ping_received = partial = due = fail = slow = lost = nothing


class Probe:
    """A `node.transport.Admission`, `node.transport.TransportCallbacks` and `transports.deadlines.Waiter`.

    After the last step it passes everything on to the ear of the session.
    """

    __slots__ = (
        "_answered",
        "_base64",
        "_deadlines",
        "_ear",
        "_frames",
        "_link",
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
        self._ear: PayloadListener | None = None
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
        """The socket died before it was one."""
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
        queued, awaited = polling.hand_over()
        self._ear = ear = PayloadListener(link, socket)
        self.count_frame, self.message = ear.count_frame, ear.message
        link.switch(socket, queued, polling.farewell, base64=self._base64)
        if awaited is not None:
            link.when_taken(awaited)

    def _give_up(self) -> None:
        self.close(Disconnect.PROTOCOL_ERROR.code, Disconnect.PROTOCOL_ERROR.reason)

    def close(self, code: int, reason: str) -> None:
        """Close the socket, and leave the session to polling."""
        self._release()
        if self._socket is not None:
            self._socket.close(*(self._polling.farewell or (code, reason)))

    def _release(self) -> None:
        """Leave the session to polling, or to whoever carries it now."""
        self._deadlines.remove(self)
        self._polling.release(self)

    def ping_received(self, payload: bytes) -> None:
        """The peer wants a pong frame."""
        if self._ear is not None:
            self._ear.ping_received(payload)
        elif self._socket is not None:
            self._socket.pong(payload)

    def partial(self, pending: bool) -> None:
        """Bytes of an unfinished message are waiting, or none are. A probe has its own deadline."""
        if self._ear is not None:
            self._ear.partial(pending)

    def due(self) -> None:
        """Do nothing: no requests come this way."""

    def fail(self, ending: Disconnect, cause: str) -> None:
        """The peer broke the protocol."""
        if self._ear is not None:
            self._ear.fail(ending, cause)
        else:
            self._release()

    def slow(self) -> None:
        """The queue to the peer is over a bound."""
        if self._ear is not None:
            self._ear.slow()

    def peer_closed(self, then: Callable[[], object]) -> None:
        """The peer closed the socket."""
        if self._ear is not None:
            self._ear.peer_closed(then)
        else:
            then()

    def lost(self, code: int | None) -> None:
        """The socket is gone."""
        if self._ear is not None:
            self._ear.lost(code)
        else:
            self._release()

    # As a waiter.

    def overdue(self) -> None:
        """The probe took too long."""
        self._give_up()

    def abort(self) -> None:
        """Leave at once."""
        self._give_up()
