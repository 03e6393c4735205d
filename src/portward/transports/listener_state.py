"""What all connections of a listener share before and after the door."""

import random as _random
from collections.abc import Callable
from ssl import SSLContext
from typing import Final, Protocol

from portward.model.clock import Clock
from portward.model.handshake_errors import HandshakeRejection
from portward.model.limits import CLOSE_TIME, OUTBOX_AGE, HeadLimits
from portward.model.request import RequestHead
from portward.node.pending_connections import Pending
from portward.node.transport import HandshakeGate
from portward.security.address import limit_keys
from portward.transports.deadlines import Deadlines, Waiter

HEAD_TIME: Final = 5.0
"""Seconds from accept to the end of the request head; with TLS twice that."""
_USUAL: Final = HeadLimits()
LINGER_TIME: Final = 1.0
LINGERING: Final = 64
"""Refusals at accept that may wait for their peer at a time: they are over the cap already."""


Headers = tuple[tuple[str, str], ...]


class ResponseSender(Protocol):
    """Who made a request and waits for the answer."""

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send the answer, and close. Does nothing after an earlier answer, or when the client has left."""

    def unsent(self) -> int:
        """Bytes of the answer the caller has not taken."""


class RequestHandler(Protocol):
    """Serves one request that has a body, or takes its time."""

    def begin(self, caller: ResponseSender) -> None:
        """Start, perhaps answer at once."""

    def arrived(self, data: bytes) -> None:
        """Take some of the body, or what else comes after the head."""

    def gone(self) -> None:
        """The caller has left without an answer."""


class RequestRouter(Protocol):
    """Takes requests that are neither small answers nor WebSocket handshakes: Engine.IO polling."""

    def take(self, head: RequestHead) -> RequestHandler | None:
        """Someone to serve this request, None when it is not for here."""


class ConnectionHandoff(Protocol):
    """Takes connections to other processes that serve the same port."""

    def carry(self, head: RequestHead, early: bytes, descriptor: int) -> bool:
        """Hand a connection over with what was read of it, when it belongs elsewhere.

        True when it did, and the other side has it; then nothing may be said to the peer from here.
        """


class PendingHead(Waiter, Pending, Protocol):
    """A connection whose request head is awaited."""


class ListenerState:
    """The gate, the clock, the deadlines and the count of open sockets.

    `sockets` is exact: one up at accept, one down when the transport is gone, whoever held it last.
    `doors` are those of them that have not been let in. At most `max_sockets` are served at a time,
    at the door or behind it; 0 leaves that to the gate.
    `descriptor_limit` is the number from which a file descriptor counts as reserve: one that large
    proves that as many are open, because the kernel hands out the lowest free one.
    With a `ferry`, connections that came to the wrong process are handed over.
    """

    def __init__(
        self,
        gate: HandshakeGate,
        clock: Clock,
        *,
        tls: SSLContext | None = None,
        hotel: RequestRouter | None = None,
        head_time: float = HEAD_TIME,
        head_limits: HeadLimits = _USUAL,
        max_sockets: int = 0,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self.gate = gate
        self.pending = gate.pending
        self.clock = clock
        self.tls = tls
        self.hotel = hotel
        self.ferry: ConnectionHandoff | None = None
        self.random = random
        self.head_time = head_time if tls is None else 2 * head_time
        self.head_limits = head_limits
        self.max_sockets = max_sockets
        self.sockets = 0
        self.doors: set[Waiter] = set()
        self.descriptor_limit: int | None = None
        self.descriptor_seen: Callable[[int], None] | None = None
        self.heads: Deadlines[Waiter] = Deadlines(clock, self.head_time)
        self.answering: Deadlines[Waiter] = Deadlines(clock, OUTBOX_AGE)
        self.lingering: Deadlines[Waiter] = Deadlines(clock, LINGER_TIME)
        self.closing: Deadlines[Waiter] = Deadlines(clock, CLOSE_TIME)

    def room_for(self, descriptor: int) -> HandshakeRejection | None:
        """Judge a newcomer, counted already, by its descriptor and by how many are here."""
        if self.descriptor_limit is not None and descriptor >= self.descriptor_limit:
            if self.descriptor_seen is not None:
                self.descriptor_seen(descriptor)
            return HandshakeRejection.OVERLOAD
        if self.max_sockets and self.sockets - len(self.lingering) > self.max_sockets:
            return HandshakeRejection.GLOBAL_CAP
        return self.gate.has_capacity()

    def await_head(self, door: "PendingHead", peer: str, waiter: Waiter) -> None:
        """Start the deadline of a request head; a connection that sends nothing may be displaced.

        The deadline of a `waiter` that is not the connection itself runs already, from its PROXY header on.
        """
        self.heads.add(waiter)
        self.pending.make_room()
        self.pending.add(door, door, limit_keys(peer))

    def head_done(self, door: "PendingHead", waiter: Waiter) -> None:
        """The head is here, or will not come. Harmless when repeated."""
        self.heads.remove(waiter)
        self.pending.remove(door)

    def clear(self) -> None:
        """Drop everyone who is not, or no longer, a session, and forget all deadlines."""
        for waiter in {*self.doors, *self.closing.waiting()}:
            waiter.abort()
        for deadlines in (self.heads, self.answering, self.lingering, self.closing):
            deadlines.stop()
