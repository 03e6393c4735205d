"""Transport of one WebSocket connection behind an ASGI server, with a queue instead of a socket."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from portward.model.channel import Channel
from portward.model.clock import Clock, Timer
from portward.model.disconnects import Disconnect
from portward.model.limits import CLOSE_TIME, OUTBOX_AGE, OUTBOX_BYTES, UNAUTHENTICATED_MESSAGE
from portward.node.sessions import SentCallbacks, TransportCallbacks
from portward.wire.message import NO_STATUS, WireMessage
from portward.wire.send_queue import SendQueue

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

_ABNORMAL: Final = 1006
"""Code that servers report when there was no close frame."""


class AsgiLink(SentCallbacks):
    """Implements `node.sessions.Transport` and calls a `node.sessions.TransportCallbacks`.

    `write` only queues and `run` sends, so a slow peer shows in how long the server's `send` waits.
    There are no frames here: the server pings, each message counts as one frame, and its size is
    checked when the server delivers it whole.
    """

    compression = False

    def __init__(
        self,
        clock: Clock,
        limit: int,
        room: int = OUTBOX_BYTES,
        *,
        early: int = UNAUTHENTICATED_MESSAGE,
    ) -> None:
        self.open = True
        self._clock = clock
        self._limit = limit
        self._early = min(limit, early)
        self._outbox = SendQueue(room)
        self._sending = 0
        self._since = 0.0
        self._wake = asyncio.Event()
        self._readable = asyncio.Event()
        self._readable.set()
        self._farewell: Event | None = None
        self._code: int | None = None
        self._over = asyncio.Event()
        self._slow = False
        self._waiting = ()
        self._timer: Timer | None = None
        self._receiver: TransportCallbacks

    def begin(self, receiver: TransportCallbacks) -> None:
        """Call `receiver` from now on."""
        self._receiver = receiver

    # Called by the session.

    def write(self, message: WireMessage, channel: Channel | None = None) -> None:
        """Queue a message; a full queue is reported once."""
        if not self.open:
            return
        now = self._clock.monotonic()
        if not self.stale(now) and self._outbox.push(message, channel, now, self._sending):
            self._wake.set()
        elif not self._slow:
            self._slow = True
            self._receiver.slow()

    def drop(self, channel: Channel) -> None:
        """Remove the queued messages of this channel."""
        self._outbox.drop(channel)
        self._slow = False

    def discard(self) -> None:
        """Remove all queued messages."""
        self._outbox.clear()
        self._slow = False

    def ping(self) -> None:
        """Report the connection as alive: the server pings by itself, and closes one that does not answer."""
        if self.open:
            asyncio.get_running_loop().call_soon(self._receiver.count_frame, True)

    def pong(self, payload: bytes) -> None:
        """Do nothing: the server answers pings."""

    def pause(self) -> None:
        """Take no further message from the server."""
        self._readable.clear()

    def resume(self) -> None:
        """Take messages again."""
        self._readable.set()

    def close(self, code: int, reason: str) -> None:
        """Close after what is queued."""
        if self.open:
            self.open = False
            self._report_sent()
            self._farewell = {"type": "websocket.close", "code": code, "reason": reason}
            self._timer = self._clock.call_later(CLOSE_TIME, self.abort)
            self._readable.set()
            self._wake.set()

    def abort(self) -> None:
        """Return the connection to the server, which drops it."""
        self.open = False
        self._report_sent()
        self._outbox.clear()
        self._over.set()

    def unsent(self) -> int:
        """Bytes the server has not taken, with the frame headers they would have had."""
        return self._outbox.size + self._sending

    def stale(self, now: float) -> bool:
        """Whether the message being sent, or the oldest queued one, has waited too long."""
        return (self._sending > 0 and now - self._since > OUTBOX_AGE) or self._outbox.stale(now)

    def authenticated(self) -> None:
        """Apply the endpoint's own message limit from now on."""
        self._early = self._limit

    # Reading and writing.

    async def run(self, receive: Receive, send: Send) -> None:
        """Read and write until the connection is over; then call `lost` of the receiver."""
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(self._listen(receive)), loop.create_task(self._drain(send))]
        try:
            await self._over.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._timer is not None:
                self._timer.cancel()
            self.open = False
            self._receiver.lost(self._code)

    async def _listen(self, receive: Receive) -> None:
        try:
            while True:
                await self._readable.wait()
                event = await receive()
                if event["type"] == "websocket.disconnect":
                    code = event.get("code", NO_STATUS)
                    self._code = None if code == _ABNORMAL else code
                    return
                if self.open:
                    self._take(event)
        finally:
            self.abort()

    def _take(self, event: Event) -> None:
        text = event.get("text")
        payload = text.encode() if text is not None else event["bytes"]
        if not self._receiver.count_frame(False):
            return
        if len(payload) > self._early:
            self._fail(Disconnect.TOO_BIG, "message over the size limit")
            return
        try:
            self._receiver.message(payload, text is None)
        except Exception as error:  # noqa: BLE001 - an error of one connection must not reach others
            context = {"message": "a message could not be handled", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
            self._fail(Disconnect.INTERNAL, type(error).__name__)

    def _fail(self, ending: Disconnect, cause: str) -> None:
        self._receiver.fail(ending, cause)
        if self.open:
            self.discard()
            self.close(ending.code, ending.reason)

    async def _drain(self, send: Send) -> None:
        try:
            while self._farewell is None:
                await self._wake.wait()
                self._wake.clear()
                while self._outbox:
                    await self._forward(self._outbox.pop(), send)
                self._slow = False
                self._report_sent()
            await send(self._farewell)
        except Exception:  # noqa: BLE001 - a server may raise anything when its client is gone
            self.abort()

    async def _forward(self, message: WireMessage, send: Send) -> None:
        self._sending = len(message.frame)
        self._since = self._clock.monotonic()
        for payload, binary in message.parts():
            if binary:
                await send({"type": "websocket.send", "bytes": payload})
            else:
                await send({"type": "websocket.send", "text": payload.decode()})
        self._sending = 0
