"""The seam between a transport and the node: what each may ask of the other. Methods never raise."""

from collections.abc import Callable
from typing import Protocol

from portward.dialects.socketio import SocketIoPacket
from portward.model.channel import Channel
from portward.model.commands import Command
from portward.model.disconnects import Disconnect
from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.payload import Words
from portward.model.replies import Push
from portward.model.request import RequestHead
from portward.node.pending_connections import PendingConnections
from portward.wire.message import WireMessage


class Transport(Protocol):
    """One connection's way out."""

    open: bool
    """False once a close was begun: nothing further is written."""

    @property
    def compression(self) -> bool:
        """Whether compressed frames may be written: permessage-deflate was negotiated."""

    def write(self, message: WireMessage, channel: Channel | None = None) -> None:
        """Send now, or queue; a full queue is reported through `TransportCallbacks.slow`."""

    def drop(self, channel: Channel) -> None:
        """Forget what is queued for this channel."""

    def discard(self) -> None:
        """Forget all that is queued."""

    def ping(self) -> None:
        """Send a ping frame, where the transport has them."""

    def pong(self, payload: bytes) -> None:
        """Answer a ping; of several waiting answers only the latest is sent (RFC 6455 5.5.3)."""

    def pause(self) -> None:
        """Stop reading."""

    def resume(self) -> None:
        """Read again."""

    def close(self, code: int, reason: str) -> None:
        """Send a close frame, give the peer `CLOSE_TIME` seconds to answer, then abort."""

    def abort(self) -> None:
        """Drop the connection at once."""

    def unsent(self) -> int:
        """Bytes the kernel has not taken yet."""

    def when_taken(self, then: Callable[[], object]) -> None:
        """Call `then` once, as soon as nothing is unsent; at once when nothing is, or it is over."""

    def stale(self, now: float) -> bool:
        """Whether the oldest queued message is over its age."""

    def authenticated(self) -> None:
        """The endpoint's own message limit applies from now on."""


def both(first: Callable[[], object] | None, second: Callable[[], object]) -> Callable[[], object]:
    """One callable that calls two, of which there may be only one."""
    if first is None:
        return second

    def call() -> None:
        first()
        second()

    return call


class UpstreamPipe(Protocol):
    """A session's way to an upstream: implemented by the tunnel."""

    def own(self, payload: bytes) -> Command | None:
        """The command in a message that is for the gateway and not for the upstream.

        Raises:
            Fault: the message is refused.
        """

    async def forward(self, payload: bytes, *, binary: bool) -> None:
        """Pass a message of the client on; waits while the upstream does not read.

        Raises:
            Fault: the event is refused, and was not sent.
        """

    def close(self, ending: Disconnect) -> None:
        """The session has ended so: close the upstream."""


class ProtocolState(Protocol):
    """What stands between a session and a dialect whose messages are not each a command."""

    began: float
    """When the packet began that is not complete, in monotonic seconds; 0.0 when none is."""

    def take(self, payload: bytes, binary: bool, now: float) -> SocketIoPacket | None:
        """The packet that this message completes, None when there is nothing to serve yet.

        Raises:
            PacketError: the client does not speak the protocol.
        """

    def command(self, packet: SocketIoPacket) -> Command:
        """The command behind a packet whose turn has come.

        Raises:
            Fault: its payload is not taken.
            PacketError: it does not belong here.
        """

    def peer_closed(self) -> None:
        """The client sends nothing more: what waits for an acknowledgement waits in vain."""

    def within(self, nsp: str) -> bool:
        """Whether the client is in a namespace."""

    def words(self, push: Push) -> Words | None:
        """A push as this connection is told it; None when there is no word for it."""

    def dismiss(self, nsp: str) -> None:
        """Send the client out of a namespace."""


class TransportCallbacks(Protocol):
    """What a transport tells: implemented by the session."""

    def count_frame(self, control: bool) -> bool:
        """Count a frame of any kind. False: the session has ended, ignore the frame."""

    def message(self, payload: bytes, binary: bool) -> None:
        """Take a whole message; text was checked to be UTF-8."""

    def ping_received(self, payload: bytes) -> None:
        """The peer wants a pong."""

    def partial(self, pending: bool) -> None:
        """Bytes of an unfinished message are waiting (True), or none are (False)."""

    def due(self) -> None:
        """A request is about to be served: act on whatever deadline has passed."""

    def fail(self, ending: Disconnect, cause: str) -> None:
        """The peer broke the protocol; the session ends so. `cause` is for the log."""

    def slow(self) -> None:
        """The queue to the peer is over a bound."""

    def peer_closed(self, then: Callable[[], object]) -> None:
        """The peer sends nothing more: call `then` once what it sent before is handled.

        At once when nothing waits; at the latest after `CLOSE_TIME`, or when the session ends.
        """

    def lost(self, code: int | None) -> None:
        """The transport is gone; `code` is the close code that came, None without a close frame.

        What came before is handled first, as in `peer_closed`.
        """


class HttpReply(Protocol):
    """A small HTTP answer of the public listener."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Headers beside `Connection` and `Content-Length`."""

    @property
    def body(self) -> bytes:
        """What is sent after the head."""


class Admission(Protocol):
    """A handshake that was let in, until its link exists."""

    max_message: int
    """Largest message of the endpoint, in bytes, once authenticated."""
    max_early: int
    """Largest message before authentication."""
    max_unsent: int
    """Bytes that may wait for a reader before it is too slow."""
    compression: bool
    """Whether permessage-deflate may be negotiated."""
    subprotocol: str | None

    def open(self, link: Transport) -> TransportCallbacks:
        """Register the connection and greet it. Called exactly once, instead of `cancel`."""

    def cancel(self) -> None:
        """The transport died before it could be opened: give back what was counted."""


class HandshakeGate(Protocol):
    """What a transport asks about a newcomer."""

    @property
    def pending(self) -> PendingConnections:
        """Where a transport counts sockets whose request is not here yet."""

    def has_capacity(self) -> HandshakeRejection | None:
        """Judge the global cap as soon as a socket is accepted; None is a yes."""

    def answer(self, head: RequestHead) -> HttpReply | None:
        """Answer one of the small HTTP paths; None when the path is none of them."""

    async def admit(self, head: RequestHead, *, upgrade_checked: bool = False) -> Admission:
        """Judge a handshake; with `upgrade_checked` the server in front has judged its form already.

        Raises:
            Refused: with the row of the outcome table.
        """

    async def verify_followup(self, head: RequestHead, admission: Admission) -> None:
        """Judge a further request of a session that comes in several, once it is open.

        Raises:
            Refused: FORBIDDEN when it is somebody else's; else with the row of the outcome table.
        """

    def refused(self, head: RequestHead | None, refused: HandshakeRejected) -> None:
        """Log and count a refusal a transport is about to send."""
