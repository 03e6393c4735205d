"""Input of a session that polls: packets in the bodies of posts, one post at a time."""

import asyncio
from typing import Final, Protocol

import portward.transports.engineio.responses as responses
from portward.model.disconnects import Disconnect
from portward.node.sessions import TransportCallbacks
from portward.transports.deadlines import Deadlines
from portward.wire import engineio
from portward.wire.engineio import EngineIoPacket, EngineIoPacketKind
from portward.wire.errors import WireFault

_CONTROL: Final = frozenset(
    {EngineIoPacketKind.PING, EngineIoPacketKind.PONG, EngineIoPacketKind.NOOP}
)


class Request(Protocol):
    """A poll, or a post."""

    def respond(self, response: responses.Response) -> None:
        """Answer the request."""

    def unsent(self) -> int:
        """Bytes of the answer that were not taken."""


class Carrier(Protocol):
    """The carrier of the session that posts belong to."""

    open: bool

    @property
    def parting(self) -> bool:
        """Whether the session has ended and its client does not know the reason yet."""

    @property
    def yielding(self) -> bool:
        """Whether a WebSocket is about to carry the session."""

    @property
    def receiver(self) -> TransportCallbacks:
        """The receiver of the session."""

    def closed_by_client(self) -> None:
        """Handle a close packet of the client."""

    def cut(self) -> None:
        """End the session without a close reason; later requests are rejected."""

    def refuse_rest(self) -> None:
        """Reject later requests of a session that has ended."""


class PayloadReader:
    """The post that is arriving, if there is one, and the handling of its packets.

    While the session does not read, a post is answered only when it reads again: until then a client
    sends no other. `limit` is the most bytes a body may have, for now. Implements
    `transports.deadlines.Waiter` for the body that is arriving.

    A post that is rejected ends the session, because its packets are missing. Where a network can be
    the cause, the close code is one after which a client may come back.
    """

    __slots__ = (
        "_bodies", "_carrier", "_full", "_handled", "_over", "_post", "_released", "limit", "paused"
    )  # fmt: skip

    def __init__(
        self, carrier: Carrier, bodies: "Deadlines[PayloadReader]", limit: int, early: int
    ) -> None:
        self.limit = min(limit, early)
        self.paused = False
        self._full = limit
        self._bodies = bodies
        self._carrier = carrier
        self._post: Request | None = None
        self._handled = False
        self._over = False
        self._released = False

    @property
    def _receiver(self) -> TransportCallbacks:
        return self._carrier.receiver

    def widen(self) -> None:
        """Apply the endpoint's own limit from now on."""
        self.limit = self._full

    def resume(self) -> None:
        """Read again, and answer the post that was kept waiting."""
        self.paused = self._released = False
        self._release()

    def make_way(self) -> None:
        """Answer a post that is kept waiting: a client ends its requests before it upgrades.

        Only once until the session reads again, so that what was not read stays bounded.
        """
        if self._handled and not self._released:
            self._released = True
            self._release()

    def end(self) -> None:
        """End the session: answer the post whose packets were taken."""
        self._release()

    def _release(self) -> None:
        if self._handled:
            self.drop(responses.BAD_REQUEST)

    def take(self, request: Request) -> responses.Response | None:
        """Accept a post whose body will follow; returns a response when it is rejected."""
        if self._over:
            return responses.BAD_REQUEST
        if self._carrier.open:
            if self._post is not None:
                return self._fail(Disconnect.GOING_AWAY, "a post while another one is on its way")
        elif self._post is not None or not self._carrier.parting:
            return responses.BAD_REQUEST
        self._post = request
        self._bodies.add(self)
        return None

    def too_large(self) -> None:
        """End the session: a post announced more than is allowed."""
        self._receiver.fail(Disconnect.TOO_BIG, "post over the size limit")
        self._carrier.refuse_rest()

    def without_length(self) -> None:
        """End the session: a post did not announce its length."""
        if self._carrier.open:
            self._fail(Disconnect.GOING_AWAY, "post without a length")

    def delivered(self, body: bytes) -> None:
        """Handle the packets of the post, which is complete."""
        post, self._post = self._post, None
        self._bodies.remove(self)
        response = self._handle_all(body) if self._carrier.open else self._ignore(body)
        if self._waits():
            self._post, self._handled = post, True
        elif post is not None:
            post.respond(response)

    def _waits(self) -> bool:
        """Whether the answer has to wait until the session reads."""
        if not (self._carrier.open and self.paused):
            return False
        if self._carrier.yielding and not self._released:
            self._released = True
            return False
        return True

    def _handle_all(self, body: bytes) -> responses.Response:
        try:
            for packet in engineio.read_body(body):
                if self._over or not self._carrier.open:
                    break
                if not self._receiver.count_frame(packet.kind in _CONTROL):
                    break  # the session has ended; the next poll reports it
                self._handle(packet)
        except WireFault as fault:
            return self._fail(fault.ending, fault.cause)
        except Exception as error:  # noqa: BLE001 - an error of one connection must not reach others
            context = {"message": "a packet could not be handled", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
            return self._fail(Disconnect.INTERNAL, type(error).__name__)
        return responses.OK

    def _handle(self, packet: EngineIoPacket) -> None:
        kind = packet.kind
        if kind is EngineIoPacketKind.MESSAGE:
            self._receiver.message(packet.payload, packet.binary)
        elif kind is EngineIoPacketKind.CLOSE:
            self._over = True
            self._carrier.closed_by_client()
        elif kind not in {EngineIoPacketKind.PONG, EngineIoPacketKind.NOOP}:
            cause = f"a client sends no {kind.name.lower()} packet"
            raise WireFault(Disconnect.PROTOCOL_ERROR, cause)

    def _ignore(self, body: bytes) -> responses.Response:
        """Answer a post to a session that has ended, so that its client polls for the reason."""
        if not self._carrier.parting:
            return responses.BAD_REQUEST
        if body == EngineIoPacketKind.CLOSE.value:
            self._carrier.closed_by_client()
        return responses.OK

    def _fail(self, ending: Disconnect, cause: str) -> responses.Response:
        self._carrier.cut()
        self._receiver.fail(ending, cause)
        return responses.BAD_REQUEST

    def gone(self, request: Request) -> None:
        """Handle an aborted post. If it was not complete, its packets are missing and the session ends."""
        if request is not self._post:
            return
        handled, self._handled = self._handled, False
        self._post = None
        self._bodies.remove(self)
        if not handled and self._carrier.open:
            self._fail(Disconnect.GOING_AWAY, "post given up")

    def drop(self, response: responses.Response) -> None:
        """Answer the arriving post with `response`; one whose packets were taken gets OK."""
        post, self._post = self._post, None
        handled, self._handled = self._handled, False
        self._bodies.remove(self)
        if post is not None:
            post.respond(responses.OK if handled else response)

    def overdue(self) -> None:
        """End the session: the body is not complete in time."""
        if self._carrier.open:
            self._fail(Disconnect.GOING_AWAY, "post not complete in time")
        self.drop(responses.BAD_REQUEST)

    def abort(self) -> None:
        """Reject what is arriving."""
        self.drop(responses.BAD_REQUEST)
