"""Connections that begin with a PROXY header, which is read before TLS or HTTP.

No byte after the header is read, so that the next protocol starts at the right place. A peer that may
not send a header, or sends a wrong one, is closed without an answer.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.request import PeerAddress
from portward.security.address import mask
from portward.transports.deadlines import Waiter
from portward.transports.listener_state import ListenerState
from portward.transports.unix_socket import peer_of
from portward.wire.proxy_protocol import (
    LONGEST_BLOCK,
    ProxyHeader,
    ProxyHeaderError,
    ProxyHeaderReader,
)

_ROOM: Final = LONGEST_BLOCK + 16
Handler = Callable[[PeerAddress, Waiter], asyncio.Protocol]
"""Makes the protocol of a connection; the deadline of its request head is kept under the waiter."""


class ProxyHeaderProtocol(asyncio.BufferedProtocol):
    """One connection until its header is read. Implements `transports.deadlines.Waiter`."""

    __slots__ = (
        "_buffer", "_handler", "_listener_state", "_proxy", "_reader", "_then", "_transport", "_trusts",
    )  # fmt: skip

    _transport: asyncio.Transport

    def __init__(
        self, listener_state: ListenerState, trusts: Callable[[str], bool], handler: Handler
    ) -> None:
        """`trusts` tells whether an address is that of a trusted proxy."""
        self._listener_state = listener_state
        self._trusts = trusts
        self._handler = handler
        self._reader = ProxyHeaderReader()
        self._buffer = bytearray(self._reader.wanted)
        self._proxy = ""
        self._then: asyncio.Protocol | None = None

    # As a protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Check whether there is capacity, and whether this peer may send a header."""
        listener_state = self._listener_state
        listener_state.sockets += 1
        listener_state.unadmitted.add(self)
        self._transport = cast("asyncio.Transport", transport)
        self._proxy = peer_of(transport)
        refusal = listener_state.room_for(transport.get_extra_info("socket").fileno())
        if refusal is not None:
            self._close(refusal, "")
        elif not self._trusts(self._proxy):
            self._close(HandshakeRejection.BAD_REQUEST, "the peer is no trusted proxy")
        else:
            listener_state.heads.add(self)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - asyncio's
        """Return a buffer of a size that surely belongs to the header."""
        if len(self._buffer) != self._reader.wanted:
            self._buffer = bytearray(min(self._reader.wanted or 1, _ROOM))
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Handle a part of the header."""
        if self._transport.is_closing():
            return
        try:
            header = self._reader.feed(bytes(self._buffer[:nbytes]))
        except ProxyHeaderError as error:
            self._close(HandshakeRejection.BAD_REQUEST, str(error))
            return
        if header is not None:
            self._pass_on(header)

    def eof_received(self) -> bool:
        """Close: the header is not complete."""
        self._close(HandshakeRejection.BAD_REQUEST, "the peer left within the header")
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """Remove the connection from the counts."""
        self._leave()
        self._listener_state.heads.remove(self)

    # As a waiter.

    def overdue(self) -> None:
        """Close, or pass on: the header, or the request head after it, is not complete in time."""
        if self._then is None:
            self._close(HandshakeRejection.HEAD_TIMEOUT, "the header is not whole")
        elif isinstance(self._then, Waiter):
            self._then.overdue()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    # Internals.

    def _pass_on(self, header: ProxyHeader) -> None:
        transport: Any = self._transport
        peer = PeerAddress(
            address=self._proxy if header.source is None else header.source,
            via=self._proxy,
            scheme=header.scheme,
        )
        then = self._then = self._handler(peer, self)
        # Reading is paused, because the next protocol is not a buffered one.
        transport.pause_reading()
        transport.set_protocol(then)
        self._leave()
        transport.resume_reading()
        then.connection_made(transport)

    def _leave(self) -> None:
        """Remove this protocol from the counts; a next protocol counts the connection itself."""
        if self in self._listener_state.unadmitted:
            self._listener_state.unadmitted.discard(self)
            self._listener_state.sockets -= 1

    def _close(self, refusal: HandshakeRejection, detail: str) -> None:
        if self._transport.is_closing():
            return
        said = f"PROXY protocol: {detail} ({mask(self._proxy)})" if detail else ""
        self._listener_state.gate.refused(None, HandshakeRejected(refusal, said))
        self._transport.abort()
