"""picows as a frame parser: the one module that uses its internals (written against picows 2.3).

picows has a parser in C, a listener that receives frames, and a transport that writes. Only the
first two are used here. Its transport gets a stub that discards writes, so that every byte to a peer
is written by `FrameWriter`: picows cannot send its own close frame, nor bytes in the middle of one of
our frames, nor close the connection. What it tried to do is read from
`WSTransport.close_handshake` afterwards.
"""

import asyncio
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

from multidict import CIMultiDict
from picows import WSAutoPingStrategy, WSListener, WSTransport

if TYPE_CHECKING:
    # picows' stub file leaves its protocol out. This is the part of it that is used.
    class WSProtocol(asyncio.BufferedProtocol):
        """Parses what `buffer_updated` announces and calls the listener for each frame."""

        transport: WSTransport
        listener: "FrameListener"

        def __init__(self, **options: object) -> None:
            """Take the options that `reader_for` gives."""

        def get_buffer(self, sizehint: int) -> memoryview:
            """Return a buffer for the next read."""

else:
    from picows.picows import WSProtocol

READ: Final = 16 * 1024
"""Most bytes taken from a socket at once. picows doubles its buffer whenever a read fills it,
without a bound of its own; this is the bound.
"""
_SMALL: Final = 2048
_HEAD: Final = (
    b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
_NO_HEADERS: Final[CIMultiDict[str]] = CIMultiDict()


class FrameListener(WSListener):
    """Receiver of frames and of the reader's other events."""

    __slots__ = ("buffer_grown", "ignoring", "pending")

    ignoring: bool
    """True: received bytes are no longer parsed."""
    pending: int
    """Bytes after the last whole frame. `on_ws_frame` sets it to the frame's `tail_size`."""
    buffer_grown: bool
    """True: the read buffer has grown beyond what an idle connection should hold."""

    def on_read_done(self) -> None:
        """Called when all whole frames of a read were delivered."""

    def on_discarded(self, size: int) -> None:
        """Called for bytes that came while `ignoring` is set."""

    def on_protocol_error(self, code: int) -> None:
        """Called when the parser refuses the peer's bytes; `code` is the close code of the reason."""

    def on_eof(self) -> bool:
        """Called when the peer will send no more bytes. False: the transport may close now."""
        return False

    def on_connection_lost(self) -> None:
        """Called when the transport is gone."""


# Functions written in C that take any arguments and do nothing: picows calls some twenty of them for
# each connection, and keeps some as attributes.
_nothing: Final = "".format
_DEAD_END: Final = SimpleNamespace(
    get_write_buffer_size=partial(
        int, 1
    ),  # a waiting byte: nothing is written to the descriptor directly
    fileno=partial(int, -1),
    write=_nothing,
    close=_nothing,
    abort=_nothing,
    setsockopt=_nothing,
    getsockopt=_nothing,
    isEnabledFor=_nothing,
    log=_nothing,
    debug=_nothing,
    info=_nothing,
    warning=_nothing,
    error=_nothing,
    exception=_nothing,
)
"""Stub for the transport, the socket and the logger that picows expects. One serves all connections."""
# As its own socket: picows sets options there that the listener has set for all.
_DEAD_END.get_extra_info = {"socket": _DEAD_END}.get


class FrameReader(WSProtocol):
    """Feeds picows, and reports what picows does not: how much of an unfinished frame is waiting."""

    __slots__ = ()

    # uvloop keeps a reference to `data_received` of the previous protocol unless the next one
    # has its own; a static method adds no bound method per connection.
    data_received = staticmethod(_nothing)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return a buffer for the next read."""
        room = WSProtocol.get_buffer(self, sizehint)
        if len(room) <= _SMALL:
            return room
        self.listener.buffer_grown = True
        return room[:READ]

    def buffer_updated(self, nbytes: int) -> None:
        """Parse what was read."""
        frame_listener = self.listener
        if frame_listener.ignoring:
            # picows does not learn of these bytes, so the next read overwrites them.
            frame_listener.on_discarded(nbytes)
            return
        frame_listener.pending += nbytes
        WSProtocol.buffer_updated(self, nbytes)
        if self.transport.is_close_frame_sent:
            handshake = self.transport.close_handshake
            frame_listener.on_protocol_error(handshake.sent.code.value if handshake.sent else 0)
        else:
            frame_listener.on_read_done()

    def eof_received(self) -> bool:
        """Return whether the transport stays open for a while."""
        return self.listener.on_eof()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Pass the event on; picows itself has nothing to clean up."""
        self.listener.on_connection_lost()


def reader_for(frame_listener: FrameListener, limit: int) -> FrameReader:
    """Make a parser at the start of a frame. `limit` bounds a frame's payload, in bytes."""
    reader = FrameReader(
        host_port=None,
        ws_path=None,
        is_client_side=False,
        ws_listener_factory=lambda _: frame_listener,
        logger=_DEAD_END,
        disconnect_on_exception=True,
        websocket_handshake_timeout=None,
        enable_auto_ping=False,
        auto_ping_idle_timeout=None,
        auto_ping_reply_timeout=None,
        auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
        enable_auto_pong=False,
        max_frame_size=limit,
        extra_headers=None,
        read_buffer_init_size=0,  # its own smallest, 2 KiB
    )
    reader.connection_made(_DEAD_END)  # type: ignore[arg-type]
    # The real handshake is done; picows only parses frames after one of its own.
    reader.get_buffer(-1)[: len(_HEAD)] = _HEAD
    WSProtocol.buffer_updated(reader, len(_HEAD))
    reader.transport.request.headers = reader.transport.response.headers = _NO_HEADERS
    return reader


def feed(reader: FrameReader, data: bytes) -> None:
    """Give the reader bytes that were read before it existed."""
    while data and not reader.listener.ignoring:
        room = reader.get_buffer(-1)
        size = min(len(room), len(data))
        room[:size] = data[:size]
        reader.buffer_updated(size)
        data = data[size:]
