"""One connection to the upstream of the relay.

`websockets` implements the protocol. This module adds that nothing waits for an upstream that does not
close, and that one that sends without end can still be closed in order.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, ProtocolError
from websockets.frames import CloseCode
from websockets.protocol import Event, State

from portward.protocols.relay.ports import UpstreamClosed
from portward.security.redaction import redacted

MAX_MESSAGE: Final = 16 * 1024 * 1024
CLOSE_TIME: Final = 2.0
"""Seconds the upstream has to answer a close frame."""
LINGER: Final = 0.5
"""Seconds it has to close TCP after its own close frame."""
PING: Final = 20.0
"""Seconds without a byte of the upstream after which it is pinged."""
PONG: Final = 20.0
"""Seconds it then has to send any byte."""
_SOON: Final = 0.001
"""A timer may fire early by its resolution: it is never set again for no time at all."""


class UpstreamSocket(ClientConnection):
    """Connection to the upstream that closes within bounds, also while its receive buffer is full."""

    _linger: asyncio.TimerHandle | None = None
    _left = False
    _beat: asyncio.TimerHandle | None = None
    _heard = 0.0

    @property
    def lost(self) -> bool:
        """Whether the connection is closed."""
        return self.state is State.CLOSED

    def leave(self) -> None:
        """Drop further messages, so that the answer to a close frame is read behind those sent before."""
        self._left = True
        if not self.lost:
            self.transport.resume_reading()

    def forget(self) -> None:
        """Drop the request that opened the connection: it holds the key."""
        self.request = None

    def watch(self) -> None:
        """Ping the upstream when it is silent, and drop it when it stays silent."""
        self._heard = self.loop.time()
        self._beat = self.loop.call_later(PING, self._look)

    def _look(self) -> None:
        if self.state is not State.OPEN:
            return
        now = self.loop.time()
        if self.recv_messages.paused:  # while reading is paused, no byte can arrive
            self._heard = now
        silent = now - self._heard
        if silent >= PING + PONG:
            self.transport.abort()
            return
        if silent >= PING:
            self.protocol.send_ping(b"")
            self.send_data()
            due = PING + PONG
        else:
            due = PING
        self._beat = self.loop.call_later(max(self._heard + due - now, _SOON), self._look)

    def process_event(self, event: Event) -> None:
        """Keep a message, unless `leave` was called."""
        if not self._left:
            super().process_event(event)

    def data_received(self, data: bytes) -> None:
        """Read, and wait no longer than `LINGER` once a close frame was read. Any byte shows it is alive."""
        self._heard = self.loop.time()
        super().data_received(data)
        if self.state is State.CLOSING and not self._left and self._linger is None:
            self._linger = self.loop.call_later(LINGER, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers, and let waiting receivers fail."""
        for timer in (self._linger, self._beat):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)


class UpstreamConnection:
    """Implements `UpstreamLink`. `send` and `receive` may run at the same time."""

    def __init__(self, socket: UpstreamSocket, redact: Callable[[str], str] = redacted) -> None:
        """`redact` makes the reason of a close fit for the log."""
        self._socket = socket
        self._redact = redact
        self._closing: asyncio.Task[None] | None = None

    async def send(self, payload: bytes, *, binary: bool) -> None:
        """Send a message; wait while the upstream does not read. When cancelled, it is sent all the same.

        Raises:
            UpstreamClosed: the connection is closed, or lost.
        """
        if self._socket.state is not State.OPEN:
            raise self._over()
        try:
            await self._socket.send(payload, text=not binary)
        except ConnectionClosed:
            raise self._over() from None
        if self._socket.lost:
            raise self._over()

    async def receive(self) -> tuple[bytes, bool]:
        """Receive the next message and whether it is binary; text is valid UTF-8. Cancelling loses nothing.

        Raises:
            UpstreamClosed: it is closed, or lost. 1009: a message was longer than `MAX_MESSAGE`.
        """
        try:
            message = await self._socket.recv()
        except ConnectionClosed:
            raise self._over() from None
        return (message.encode(), False) if isinstance(message, str) else (message, True)

    async def close(self, code: int) -> None:
        """Close in order with `code`, or drop after `CLOSE_TIME`. What was not received is lost.

        A code that may not be sent becomes 1001. Cancelling the wait does not stop the closing.
        """
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close(code))
        await asyncio.wait((self._closing,))

    def drop(self) -> None:
        """Drop the connection at once."""
        self._socket.transport.abort()

    async def _close(self, code: int) -> None:
        try:
            self._socket.leave()
            async with asyncio.timeout(CLOSE_TIME):
                await self._send_close(code)
        except TimeoutError:
            pass
        finally:
            self.drop()

    async def _send_close(self, code: int) -> None:
        try:
            await self._socket.close(code)
        except ProtocolError:
            await self._socket.close(CloseCode.GOING_AWAY)

    def _over(self) -> UpstreamClosed:
        """How the connection ended: with the upstream's code and reason where it sent a close frame."""
        came, sent = self._socket.protocol.close_rcvd, self._socket.protocol.close_sent
        if came is not None:
            return UpstreamClosed(came.code, self._redact(came.reason))
        too_big = sent is not None and sent.code == CloseCode.MESSAGE_TOO_BIG
        return UpstreamClosed(CloseCode.MESSAGE_TOO_BIG.value if too_big else None)
