"""Handover of a connection to the worker that has its session.

The kernel spreads connections over the workers, so requests of one polling session arrive at any of them.
A session id begins with the number of the worker that has the session; another worker passes the
connection to it: the descriptor, and the bytes that were already read.
"""

import asyncio
import socket
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Final

import msgspec

import portward.app.workers.control_protocol as control_protocol
from portward.app.workers.sockets import Acceptor, listening
from portward.app.workers.worker import WorkerPlace
from portward.model.clock import Timer
from portward.model.limits import MIB
from portward.model.request import RequestHead
from portward.transports.engineio import EnginePath, EngineServer
from portward.transports.http_acceptor import HandshakeProtocol
from portward.transports.listener_state import ListenerState

LIMIT: Final = 1 * MIB
"""The most bytes of one handover: a request head, and the bytes read together with it."""
TIME: Final = 5.0
"""Seconds for one handover; it needs no round trip."""
PIECE: Final = 64 * 1024


class HandoverMessage(msgspec.Struct, frozen=True):
    """The bytes that were already read from a connection."""

    head: RequestHead
    early: bytes


_parcel: Final = msgspec.msgpack.Decoder(HandoverMessage)


class Handover:
    """Implements `transports.listener_state.ConnectionHandoff`, and receives connections of other workers."""

    def __init__(
        self, place: WorkerPlace, sessions: EngineServer, listener_state: ListenerState, size: int
    ) -> None:
        """`size` is the number of all workers."""
        self._folder = place.task.folder
        self._own = str(place.task.number)
        self._others = {str(number) for number in range(size)} - {self._own}
        self._sessions = sessions
        self._listener_state = listener_state
        self._listener: socket.socket | None = None
        self._acceptor: Acceptor | None = None
        self._transfers: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Start to receive connections.

        Raises:
            OSError: the socket cannot be opened.
        """
        listener = self._listener = listening(
            control_protocol.handover_socket(self._folder, int(self._own))
        )
        self._acceptor = Acceptor(listener, self._accept, self._listener_state.clock)
        self._acceptor.start()
        self._sessions.adopt_tag(self._own)
        self._listener_state.pass_to(self)

    def close(self) -> None:
        """Stop to receive connections, and drop unfinished handovers."""
        self._listener_state.pass_to(None)
        listener, self._listener = self._listener, None
        if listener is not None and self._acceptor is not None:
            self._acceptor.stop()
            listener.close()
        for transfer in self._transfers:
            transfer.cancel()

    def _run(self, sock: socket.socket, transfer: Coroutine[Any, Any, None]) -> None:
        """Run a transfer in either direction; after `TIME` it is cancelled. Then `sock` is closed."""
        task = asyncio.ensure_future(transfer)

        def late() -> None:
            task.cancel()

        timer = self._listener_state.clock.call_later(TIME, late)
        self._transfers.add(task)
        task.add_done_callback(partial(self._ended, sock, timer))

    def _ended(self, sock: socket.socket, timer: Timer, task: "asyncio.Task[None]") -> None:
        timer.cancel()
        self._transfers.discard(task)
        sock.close()
        if not task.cancelled():
            task.exception()  # a handover that fails is dropped

    # -- sending

    def carry(self, head: RequestHead, early: bytes, descriptor: int) -> bool:
        """Pass a connection to the worker of its session, if that is another worker.

        Returns False when the session is not of another worker, or when that worker is gone: then this
        worker answers that the session is unknown.
        """
        handler = self._listener_state.router.find(head.path).target
        tag = handler.tag_of(head) if isinstance(handler, EnginePath) else ""
        if tag not in self._others:
            return False
        parcel = msgspec.msgpack.encode(HandoverMessage(head, early))
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.connect(control_protocol.handover_socket(self._folder, int(tag)))
            sent = socket.send_fds(sock, [parcel], [descriptor])
        except OSError:
            sock.close()
            return False
        self._run(sock, asyncio.get_running_loop().sock_sendall(sock, parcel[sent:]))
        return True

    # -- receiving

    def _accept(self, sock: socket.socket) -> None:
        self._run(sock, self._receive(sock))

    async def _receive(self, sock: socket.socket) -> None:
        """Receive one connection with its message, up to the end of the stream, and serve it."""
        data = bytearray()
        carried: list[socket.socket] = []
        try:
            piece = b"."
            while piece and len(data) <= LIMIT:
                await _readable(sock)
                with suppress(BlockingIOError):
                    piece, descriptors, _, _ = socket.recv_fds(sock, PIECE, 1)
                    carried += [socket.socket(fileno=each) for each in descriptors]
                    data += piece
            if carried and len(data) <= LIMIT:
                await self._serve(_parcel.decode(bytes(data)), carried.pop())
        finally:
            for each in carried:
                each.close()

    async def _serve(self, parcel: HandoverMessage, sock: socket.socket) -> None:
        make = partial(HandshakeProtocol, self._listener_state, (parcel.head, parcel.early))
        try:
            sock.setblocking(False)
            await asyncio.get_running_loop().connect_accepted_socket(make, sock)
        except BaseException:
            sock.close()
            raise


async def _readable(sock: socket.socket) -> None:
    """Wait until a socket has data, or its end."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sock.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(sock.fileno())
