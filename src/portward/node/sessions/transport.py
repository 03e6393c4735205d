"""The interfaces between transports and the node. Methods of connections never raise."""

from collections.abc import Callable
from typing import Protocol

from portward.model.channel import Channel
from portward.model.disconnects import Disconnect
from portward.wire.message import WireMessage


class Transport(Protocol):
    """The outgoing side of one connection."""

    open: bool
    """False once a close has begun: nothing more is written."""

    @property
    def compression(self) -> bool:
        """Whether compressed frames may be written: permessage-deflate was negotiated."""

    def write(self, message: WireMessage, channel: Channel | None = None) -> None:
        """Send now, or queue; a full queue is reported through `TransportCallbacks.slow`."""

    def drop(self, channel: Channel) -> None:
        """Drop the queued messages of this channel."""

    def discard(self) -> None:
        """Drop all queued messages."""

    def ping(self) -> None:
        """Send a ping frame, if the transport has ping frames."""

    def pong(self, payload: bytes) -> None:
        """Answer a ping; of several pending pongs only the latest is sent (RFC 6455 section 5.5.3)."""

    def pause(self) -> None:
        """Stop reading."""

    def resume(self) -> None:
        """Resume reading."""

    def close(self, code: int, reason: str) -> None:
        """Send a close frame, give the peer `CLOSE_TIME` seconds to answer, then abort."""

    def abort(self) -> None:
        """Close the connection at once, without a close frame."""

    def unsent(self) -> int:
        """Return the number of bytes that the kernel has not taken yet."""

    def when_sent(self, then: Callable[[], object]) -> None:
        """Call `then` once, as soon as nothing is unsent; at once when nothing is, or after the end."""

    def stale(self, now: float) -> bool:
        """Return whether the oldest queued message exceeds the age limit."""

    def authenticated(self) -> None:
        """Apply the message size limit of the endpoint from now on."""


class _WithCallbacks(Protocol):
    """The attributes of a transport that has `SentCallbacks`."""

    open: bool
    _waiting: tuple[Callable[[], object], ...]

    def unsent(self) -> int:
        """Return the number of bytes that were not taken yet."""


class SentCallbacks:
    """Mixin of transports: calls back once nothing is unsent. It has no slots of its own."""

    __slots__ = ()

    def when_sent(self: _WithCallbacks, then: Callable[[], object]) -> None:
        """Call `then` once nothing is unsent, or the connection is closed."""
        if self.open and self.unsent():
            self._waiting = (*self._waiting, then)
        else:
            then()

    def _report_sent(self: _WithCallbacks) -> None:
        waiting, self._waiting = self._waiting, ()
        for then in waiting:
            then()


class TransportCallbacks(Protocol):
    """Callbacks of a transport; implemented by the session."""

    def count_frame(self, control: bool) -> bool:
        """Count a frame of any kind. False: the session has ended, ignore the frame."""

    def message(self, payload: bytes, binary: bool) -> None:
        """Handle a complete message; text is checked to be UTF-8."""

    def ping_received(self, payload: bytes) -> None:
        """Answer a ping of the peer."""

    def partial(self, pending: bool) -> None:
        """Report whether bytes of an unfinished message are pending."""

    def due(self) -> None:
        """Act on passed deadlines before a request is served."""

    def fail(self, ending: Disconnect, cause: str) -> None:
        """End the session with `ending` after a protocol violation. `cause` is for the log."""

    def slow(self) -> None:
        """Report that the queue to the peer exceeds a limit."""

    def peer_closed(self, then: Callable[[], object]) -> None:
        """Handle the end of input: call `then` once everything received before is handled.

        At once when nothing is pending; at the latest after `CLOSE_TIME`, or when the session ends.
        """

    def lost(self, code: int | None) -> None:
        """Handle the loss of the transport; `code` is the received close code, None without a close frame.

        Messages received before are handled first, as in `peer_closed`.
        """


class Admission(Protocol):
    """An admitted handshake, until its connection exists."""

    max_message: int
    """The largest message of the endpoint, in bytes, once authenticated."""
    max_early: int
    """The largest message before authentication, in bytes."""
    max_unsent: int
    """Bytes that may be unsent before the client counts as too slow."""
    compression: bool
    """Whether permessage-deflate may be negotiated."""
    subprotocol: str | None

    def open(self, link: Transport) -> TransportCallbacks:
        """Register the connection and send `Welcome`. Called exactly once, instead of `cancel`."""

    def cancel(self) -> None:
        """Release what was counted, when the transport failed before `open`."""
