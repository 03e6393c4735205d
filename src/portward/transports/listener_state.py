"""State that all connections of a listener share, before and after admission."""

import random as _random
from collections.abc import Callable
from ssl import SSLContext
from typing import Final, Protocol

from portward.model.clock import Clock
from portward.model.handshake_errors import HandshakeRejection
from portward.model.limits import CLOSE_TIME, OUTBOX_AGE, HeadLimits
from portward.model.request import RequestHead
from portward.node.sessions import Pending
from portward.security.address import limit_keys
from portward.transports.deadlines import Deadlines, Waiter
from portward.transports.request_router import RequestRouter

_USUAL: Final = HeadLimits()
LINGER_TIME: Final = 1.0
LINGERING: Final = 64
"""Connections rejected at accept that may linger at a time: they are already over the cap."""


class ConnectionHandoff(Protocol):
    """Passes connections to other processes that serve the same port."""

    def carry(self, head: RequestHead, early: bytes, descriptor: int) -> bool:
        """Pass a connection on with the bytes read so far, when it belongs to another process.

        True when it was passed on; then this process must send nothing to the peer.
        """


class PendingHead(Waiter, Pending, Protocol):
    """A connection whose request head is awaited."""


class ListenerState:
    """The gate, the router, the clock, the deadlines and the count of open sockets.

    `sockets` is exact: plus one at accept, minus one when the transport is gone, whatever protocol it has.
    `unadmitted` are the connections among them that were not admitted yet. At most `max_sockets` are served
    at a time, admitted or not; 0 leaves the limit to the gate.
    With a `handoff`, connections that came to the wrong process are passed on.
    """

    def __init__(
        self,
        router: RequestRouter,
        clock: Clock,
        *,
        tls: SSLContext | None = None,
        head_limits: HeadLimits = _USUAL,
        max_sockets: int = 0,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self.router = router
        self.gate = router.gate
        self.pending = router.gate.pending
        self.clock = clock
        self.tls = tls
        self.handoff: ConnectionHandoff | None = None
        self.random = random
        self.head_time = head_limits.time if tls is None else 2 * head_limits.time
        self.head_limits = head_limits
        self.max_sockets = max_sockets
        self.sockets = 0
        self.unadmitted: set[Waiter] = set()
        self._descriptor_limit: int | None = None
        self._descriptor_seen: Callable[[int], None] | None = None
        self.heads: Deadlines[Waiter] = Deadlines(clock, self.head_time)
        self.answering: Deadlines[Waiter] = Deadlines(clock, OUTBOX_AGE)
        self.lingering: Deadlines[Waiter] = Deadlines(clock, LINGER_TIME)
        self.closing: Deadlines[Waiter] = Deadlines(clock, CLOSE_TIME)

    def reserve_descriptors(self, limit: int, seen: Callable[[int], None]) -> None:
        """Reject connections with a file descriptor from `limit` on, and call `seen` with it.

        A number that large proves that as many are open, because the kernel assigns the lowest free one.
        """
        self._descriptor_limit, self._descriptor_seen = limit, seen

    def pass_to(self, handoff: ConnectionHandoff | None) -> None:
        """Use this handoff from now on, or none."""
        self.handoff = handoff

    def room_for(self, descriptor: int) -> HandshakeRejection | None:
        """Check a new connection, already counted, by its descriptor and by the number of open sockets."""
        if self._descriptor_limit is not None and descriptor >= self._descriptor_limit:
            if self._descriptor_seen is not None:
                self._descriptor_seen(descriptor)
            return HandshakeRejection.OVERLOAD
        over = self.sockets - self.max_sockets if self.max_sockets else 0
        if over > 0 and over > len(self.lingering):
            return HandshakeRejection.GLOBAL_CAP
        return self.router.has_capacity()

    def await_head(self, door: "PendingHead", peer: str, waiter: Waiter) -> None:
        """Start the deadline of a request head; a connection that sends nothing may be displaced.

        The deadline of a `waiter` that is not the connection itself runs already, from its PROXY header on.
        """
        self.heads.add(waiter)
        self.pending.make_room()
        self.pending.add(door, door, limit_keys(peer))

    def head_done(self, door: "PendingHead", waiter: Waiter) -> None:
        """Stop the deadline: the head is complete, or will not come. May be called again."""
        self.heads.remove(waiter)
        self.pending.remove(door)

    def clear(self) -> None:
        """Drop all connections that are not admitted or are closing, and stop all deadlines."""
        for waiter in {*self.unadmitted, *self.closing.waiting()}:
            waiter.abort()
        for deadlines in (self.heads, self.answering, self.lingering, self.closing):
            deadlines.stop()
