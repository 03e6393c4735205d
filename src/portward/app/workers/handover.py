"""Handover of a connection to the worker that has its session.

The kernel spreads connections over the workers, so requests of one polling session arrive at any of them.
A session id begins with the number of the worker that has the session; another worker passes the
connection to it: the descriptor, and the bytes that were already read.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

import msgspec

from portward.app.workers import control_protocol
from portward.app.workers.sockets import listening
from portward.app.workers.worker import WorkerPlace
from portward.model.clock import Clock, Timer
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
        self._transfers: set[_Transfer] = set()
        self._arrivals: set[asyncio.Future[Any]] = set()

    def start(self) -> None:
        """Start to receive connections.

        Raises:
            OSError: the socket cannot be opened.
        """
        listener = self._listener = listening(
            control_protocol.handover_socket(self._folder, int(self._own))
        )
        asyncio.get_running_loop().add_reader(listener.fileno(), self._accept, listener)
        self._sessions.tag = self._own
        self._listener_state.handoff = self

    def close(self) -> None:
        """Stop to receive connections, and drop unfinished handovers."""
        self._listener_state.handoff = None
        listener, self._listener = self._listener, None
        if listener is not None:
            asyncio.get_running_loop().remove_reader(listener.fileno())
            listener.close()
        for transfer in tuple(self._transfers):
            transfer.close()
        for task in self._arrivals:
            task.cancel()

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
        _Sending(sock, parcel[sent:], self._listener_state.clock, self._transfers)
        return True

    # -- receiving

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except OSError:  # it is already closed, or no descriptor is left
            return
        sock.setblocking(False)
        _Receiving(sock, self._arrived, self._listener_state.clock, self._transfers)

    def _arrived(self, parcel: HandoverMessage, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        make = partial(HandshakeProtocol, self._listener_state, (parcel.head, parcel.early))
        task = asyncio.ensure_future(loop.connect_accepted_socket(make, sock))
        self._arrivals.add(task)
        task.add_done_callback(partial(self._settled, sock))

    def _settled(self, sock: socket.socket, task: "asyncio.Future[Any]") -> None:
        """Close a connection that could not be served."""
        self._arrivals.discard(task)
        if task.cancelled() or task.exception() is not None:
            sock.close()


class _Transfer:
    """One running handover in either direction; it ends at the latest after `TIME`."""

    def __init__(self, sock: socket.socket, clock: Clock, under_way: "set[_Transfer]") -> None:
        self._sock = sock
        self._under_way = under_way
        self._timer: Timer = clock.call_later(TIME, self.close)
        under_way.add(self)

    def close(self) -> None:
        """Stop the handover, finished or not."""
        loop = asyncio.get_running_loop()
        if self in self._under_way:
            self._under_way.remove(self)
            self._timer.cancel()
            loop.remove_reader(self._sock.fileno())
            loop.remove_writer(self._sock.fileno())
            self._sock.close()


class _Sending(_Transfer):
    """Sends the bytes that did not fit into the first message."""

    def __init__(
        self, sock: socket.socket, rest: bytes, clock: Clock, under_way: "set[_Transfer]"
    ) -> None:
        super().__init__(sock, clock, under_way)
        self._rest = rest
        if rest:
            asyncio.get_running_loop().add_writer(sock.fileno(), self._go_on)
        else:
            self.close()

    def _go_on(self) -> None:
        try:
            self._rest = self._rest[self._sock.send(self._rest) :]
        except BlockingIOError:
            return
        except OSError:
            self._rest = b""
        if not self._rest:
            self.close()


class _Receiving(_Transfer):
    """Receives one connection; `arrived` is called with its message and its socket."""

    def __init__(
        self,
        sock: socket.socket,
        arrived: Callable[[HandoverMessage, socket.socket], None],
        clock: Clock,
        under_way: "set[_Transfer]",
    ) -> None:
        super().__init__(sock, clock, under_way)
        self._arrived = arrived
        self._data = bytearray()
        self._carried: socket.socket | None = None
        asyncio.get_running_loop().add_reader(sock.fileno(), self._read)

    def _read(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._sock, PIECE, 1)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        for descriptor in descriptors:
            self._carried = socket.socket(fileno=descriptor)
        self._data += data
        if len(self._data) > LIMIT:
            self.close()
        elif not data:
            self._done()

    def _done(self) -> None:
        with suppress(msgspec.DecodeError):
            parcel = _parcel.decode(bytes(self._data))
            carried, self._carried = self._carried, None
            if carried is not None:
                carried.setblocking(False)
                self._arrived(parcel, carried)
        self.close()

    def close(self) -> None:
        """Stop the handover and close a connection that was not passed on."""
        super().close()
        if self._carried is not None:
            self._carried.close()
            self._carried = None
