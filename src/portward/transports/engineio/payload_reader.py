"""What a session that polls receives: packets in the bodies of requests, one request at a time."""

import asyncio
from typing import Final, Protocol

from portward.model.disconnects import Disconnect
from portward.node.transport import TransportCallbacks
from portward.transports.deadlines import Deadlines
from portward.transports.engineio import responses
from portward.wire import engineio
from portward.wire.engineio import EngineIoPacket, EngineIoPacketKind
from portward.wire.errors import WireFault

_CONTROL: Final = frozenset(
    {EngineIoPacketKind.PING, EngineIoPacketKind.PONG, EngineIoPacketKind.NOOP}
)


class Request(Protocol):
    """A poll, or a post."""

    def respond(self, response: responses.Response) -> None:
        """Answer it."""

    def unsent(self) -> int:
        """Bytes of the answer that were not taken."""


class Carrier(Protocol):
    """The carrier of the session that posts belong to."""

    open: bool

    @property
    def parting(self) -> bool:
        """Whether the session has ended and its client is still to learn why."""

    @property
    def yielding(self) -> bool:
        """Whether a WebSocket is about to carry the session."""

    @property
    def receiver(self) -> TransportCallbacks:
        """The receiver of the session."""

    def closed_by_client(self) -> None:
        """The client sent a close packet."""

    def cut(self) -> None:
        """End the session without words; later requests are refused."""

    def refuse_rest(self) -> None:
        """Refuse later requests of a session that has ended."""


class PayloadReader:
    """The post that is on its way, if there is one, and what becomes of its packets.

    While the session does not read, a post is answered only when it reads again: until then a client
    sends no other. `limit` is the most bytes a body may have, for now. Implements
    `transports.deadlines.Waiter` for the body that is arriving.

    A post that is refused ends the session, because its packets are missing. Where a network can be
    the cause, no reason is given that would keep the client away.
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
        """The endpoint's own limit applies from now on."""
        self.limit = self._full

    def resume(self) -> None:
        """Answer the post that was kept waiting."""
        self.paused = self._released = False
        self._release()

    def make_way(self) -> None:
        """Answer a post that is kept waiting: a client ends its requests before it changes over.

        Once until the session reads again, so that what was not read stays bounded.
        """
        if self._handled and not self._released:
            self._released = True
            self._release()

    def end(self) -> None:
        """The session has ended: answer the post whose packets were taken."""
        self._release()

    def _release(self) -> None:
        if self._handled:
            self.drop(responses.BAD_REQUEST)

    def take(self, request: Request) -> responses.Response | None:
        """Let a request bring packets; a response when it must not."""
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
        """A post announced more than is allowed, and is refused."""
        self._receiver.fail(Disconnect.TOO_BIG, "post over the size limit")
        self._carrier.refuse_rest()

    def without_length(self) -> None:
        """A post did not announce its length, and is refused."""
        if self._carrier.open:
            self._fail(Disconnect.GOING_AWAY, "post without a length")

    def delivered(self, body: bytes) -> None:
        """The post is complete: handle its packets."""
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
                    break  # the session has ended, which the next poll says
                self._handle(packet)
        except WireFault as fault:
            return self._fail(fault.ending, fault.cause)
        except Exception as error:  # noqa: BLE001 - one connection's trouble stays its own
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
        """Answer a post to a session that has ended, so that its client asks for the reason."""
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
        """A post was given up. If it was not complete its packets are missing: nothing can follow."""
        if request is not self._post:
            return
        handled, self._handled = self._handled, False
        self._post = None
        self._bodies.remove(self)
        if not handled and self._carrier.open:
            self._fail(Disconnect.GOING_AWAY, "post given up")

    def drop(self, response: responses.Response) -> None:
        """Answer the post that is arriving so; one whose packets were taken, with thanks."""
        post, self._post = self._post, None
        handled, self._handled = self._handled, False
        self._bodies.remove(self)
        if post is not None:
            post.respond(responses.OK if handled else response)

    def overdue(self) -> None:
        """The body is not complete in time."""
        if self._carrier.open:
            self._fail(Disconnect.GOING_AWAY, "post not complete in time")
        self.drop(responses.BAD_REQUEST)

    def abort(self) -> None:
        """Refuse what is arriving."""
        self.drop(responses.BAD_REQUEST)
