"""Output of one WebSocket connection: whole frames, in order, within bounds.

On plain TCP a frame is written directly to the descriptor, but only while nothing waits in the
transport. What the kernel does not take goes to the transport, whose buffer limits are zero: it reports
at once that it is blocked, and later that it is empty. In between everything waits in the queue.
"""

import asyncio
import os
from os import write as os_write
from typing import Final

from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.limits import KIB, OUTBOX_AGE, OUTBOX_BYTES
from portward.node.sessions import SentCallbacks
from portward.transports.picows_reader import FrameListener
from portward.wire import message as frames
from portward.wire.message import WireMessage
from portward.wire.send_queue import SendQueue

PROGRESS: Final = 32 * KIB
"""Bytes of a large frame that a peer has to take within `OUTBOX_AGE`."""


class FrameWriter(SentCallbacks, FrameListener):
    """Writes frames. `descriptor` is the socket's, or -1 where the transport must write (TLS).

    `room` is how many bytes may wait.
    """

    __slots__ = (
        "_blocked",
        "_clock",
        "_descriptor",
        "_direct",
        "_farewell",
        "_left",
        "_outbox",
        "_ping",
        "_pong",
        "_room",
        "_since",
        "_slow",
        "_transport",
        "_waiting",
        "open",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        clock: Clock,
        descriptor: int,
        room: int = OUTBOX_BYTES,
    ) -> None:
        # Report every byte that waits. TLS transports pause at the limit, the others beyond it.
        transport.set_write_buffer_limits(high=0 if descriptor >= 0 else 1, low=0)
        self.open = True
        self._transport = transport
        self._clock = clock
        self._descriptor = descriptor
        self._direct = descriptor >= 0
        self._blocked = False
        self._since = 0.0
        self._left = 0
        self._room = room
        self._waiting = ()
        self._outbox: SendQueue | None = None
        self._slow = False
        self._ping = False
        self._pong: bytes | None = None
        self._farewell: bytes | None = None

    def write(self, message: WireMessage, channel: Channel | None = None) -> None:
        """Send now, or queue; see `node.sessions.Transport`. This is the hottest line of the fan-out."""
        if self._direct:
            frame = message.frame
            try:
                taken = os_write(self._descriptor, frame)
            except OSError:
                taken = 0
            if taken != len(frame):
                self._hand_over(frame, taken)
        elif self.open:
            self._queue(message, channel)

    def ping(self) -> None:
        """Send a ping, after what was written before."""
        self._ping = self.open
        self._flush()

    def pong(self, payload: bytes) -> None:
        """Answer a ping. At most one answer waits, the latest (RFC 6455 section 5.5.3)."""
        if self.open:
            self._pong = frames.pong(payload)
            self._flush()

    def drop(self, channel: Channel) -> None:
        """Remove the queued messages of this channel."""
        if self._outbox is not None:
            self._outbox.drop(channel)
            self._slow = False

    def discard(self) -> None:
        """Remove all queued messages."""
        self._outbox = None
        self._slow = False

    def unsent(self) -> int:
        """Bytes not yet taken by the kernel. With TLS, one more write may wait below it."""
        queued = self._outbox.size if self._outbox is not None else 0
        return self._transport.get_write_buffer_size() + queued

    def stale(self, now: float) -> bool:
        """Whether something has waited too long, in the transport or in the queue."""
        if not self._blocked:
            return False
        waiting = self._outbox is not None and self._outbox.stale(now)
        return waiting or self._stuck(now)

    def _stuck(self, now: float) -> bool:
        """Whether the peer has taken hardly anything of one large frame within the time."""
        if now - self._since <= OUTBOX_AGE:
            return False
        left = self._transport.get_write_buffer_size()
        if self._left - left < PROGRESS:
            return True
        self._left, self._since = left, now
        return False

    def pause_writing(self) -> None:
        """Queue from now on: bytes wait in the transport."""
        self._blocked = True
        self._direct = False
        self._since = self._clock.monotonic()
        self._left = self._transport.get_write_buffer_size()

    def resume_writing(self) -> None:
        """Write what is queued: nothing waits in the transport."""
        self._blocked = False
        self._flush()
        self._direct = self.open and not self._blocked and self._descriptor >= 0
        if self._waiting and not self._blocked:
            self._report_sent()

    def cork(self) -> None:
        """Hold all output until `uncork`."""
        self._blocked = True
        self._direct = False
        self._since = self._clock.monotonic()

    def uncork(self, first: bytes) -> None:
        """Write `first` and the held output at once, and from now on write directly."""
        if self._transport.is_closing():
            return
        held, self._outbox = self._outbox, None
        self._blocked = False
        self._send(b"".join([first, *(held.frames() if held is not None else ())]))
        self._flush()
        self._direct = self.open and not self._blocked and self._descriptor >= 0

    def _overflow(self) -> None:
        """Report that the queue is over a bound."""

    def _parted(self) -> None:
        """Continue: the close frame has been written."""

    def _shut(self) -> None:
        """Write no further messages."""
        self.open = self._direct = False
        self._report_sent()

    def _send(self, frame: bytes) -> None:
        """Write a frame; nothing may be waiting in the transport."""
        taken = 0
        if self._descriptor >= 0:
            try:
                taken = os_write(self._descriptor, frame)
            except OSError:
                taken = 0
        if taken != len(frame):
            self._hand_over(frame, taken)

    def _hand_over(self, frame: bytes, taken: int) -> None:
        """Give the rest of a frame to the transport; a write error shows there as well."""
        self._transport.write(memoryview(frame)[taken:])
        if self._transport.is_closing():
            self._shut()

    def _queue(self, message: WireMessage, channel: Channel | None) -> None:
        if not self._blocked:
            self._send(message.frame)
            return
        if self._outbox is None:
            self._outbox = SendQueue(self._room)
        now = self._clock.monotonic()
        ahead = self._transport.get_write_buffer_size()
        stuck = now - self._since > OUTBOX_AGE and self._stuck(now)
        if (stuck or not self._outbox.push(message, channel, now, ahead)) and not self._slow:
            self._slow = True
            self._overflow()

    def _flush(self) -> None:
        """Write what waits, control frames first, until the transport blocks."""
        if self._pong is not None and not self._blocked:
            pong, self._pong = self._pong, None
            self._send(pong)
        if self._ping and not self._blocked:
            self._ping = False
            self._send(frames.PING)
        while self._outbox and not self._blocked:
            self._write_some(self._outbox)
        self._slow = self._slow and self._blocked
        if self._farewell is not None and not self._blocked:
            farewell, self._farewell = self._farewell, None
            self._send(farewell)
            self._parted()

    def _write_some(self, outbox: SendQueue) -> None:
        taken = 0
        if self._descriptor >= 0:
            try:
                taken = os.writev(self._descriptor, outbox.frames())
            except OSError:
                taken = 0
        rest = outbox.sent(taken)
        if not rest and outbox:
            rest = outbox.pop().frame
        if rest:
            self._hand_over(rest, 0)
