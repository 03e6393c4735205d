"""What a session that polls says: packets in the bodies of requests, one request at a time."""

import asyncio
from typing import Final, Protocol

from portward.model.endings import Ending
from portward.model.limits import UNAUTHENTICATED_MESSAGE
from portward.node.link import Receiver
from portward.transports.engineio import told
from portward.wire import engineio
from portward.wire.engineio import Kind, Packet
from portward.wire.errors import WireFault

_CONTROL: Final = frozenset({Kind.PING, Kind.PONG, Kind.NOOP})


class Request(Protocol):
    """A poll, or a post."""

    def respond(self, response: told.Response) -> None:
        """Answer it."""

    def unsent(self) -> int:
        """Bytes of the answer that were not taken."""


class Hearer(Protocol):
    """The carrier posts are brought to."""

    open: bool

    @property
    def receiver(self) -> Receiver:
        """Who is told."""

    def closed_by_client(self) -> None:
        """The client said goodbye."""


class Posts:
    """The post that is on its way, if there is one, and what is heard of it.

    While the session does not read, a post that was heard is not answered: before it is, a client
    sends no other. `limit` is the most bytes a body may have, for now.
    """

    __slots__ = ("_full", "_heard", "_polling", "_post", "limit", "paused")

    def __init__(self, polling: Hearer, limit: int) -> None:
        self.limit = min(limit, UNAUTHENTICATED_MESSAGE)
        self.paused = False
        self._full = limit
        self._polling = polling
        self._post: Request | None = None
        self._heard = False

    @property
    def _receiver(self) -> Receiver:
        return self._polling.receiver

    def widen(self) -> None:
        """The endpoint's own limit applies from now on."""
        self.limit = self._full

    def resume(self) -> None:
        """Thank for the post that was heard."""
        self.paused = False
        if self._heard:
            self.drop(told.OK)

    def take(self, request: Request) -> told.Response | None:
        """Let a request bring packets; a response when it must not."""
        if not self._polling.open:
            return told.BAD_REQUEST
        if self._post is not None:
            return self._fail(Ending.PROTOCOL_ERROR, "a post while another one is on its way")
        self._post = request
        self._receiver.partial(True)
        return None

    def too_large(self) -> None:
        """A post announced more than is allowed, and was told so."""
        self._receiver.fail(Ending.TOO_BIG, "post over the size limit")

    def delivered(self, body: bytes) -> None:
        """The post is complete: hear it."""
        post, self._post = self._post, None
        self._receiver.partial(False)
        response = self._hear_all(body)
        if self._polling.open and self.paused:
            self._post, self._heard = post, True
        elif post is not None:
            post.respond(response)

    def _hear_all(self, body: bytes) -> told.Response:
        try:
            for packet in engineio.read_body(body):
                if not self._polling.open:
                    break
                if not self._receiver.frame(packet.kind in _CONTROL):
                    return told.BAD_REQUEST
                self._hear(packet)
        except WireFault as fault:
            return self._fail(fault.ending, fault.cause)
        except Exception as error:  # noqa: BLE001 - one connection's trouble stays its own
            context = {"message": "a packet could not be handled", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
            return self._fail(Ending.INTERNAL, type(error).__name__)
        return told.OK

    def _hear(self, packet: Packet) -> None:
        kind = packet.kind
        if kind is Kind.MESSAGE:
            self._receiver.message(packet.payload, packet.binary)
        elif kind is Kind.CLOSE:
            self._polling.closed_by_client()
        elif kind not in {Kind.PONG, Kind.NOOP}:
            cause = f"a client sends no {kind.name.lower()} packet"
            raise WireFault(Ending.PROTOCOL_ERROR, cause)

    def _fail(self, ending: Ending, cause: str) -> told.Response:
        self._receiver.fail(ending, cause)
        return told.BAD_REQUEST

    def gone(self, request: Request) -> None:
        """A post was given up. What it was to bring is missing now: nothing can follow."""
        if request is not self._post:
            return
        heard, self._heard = self._heard, False
        self._post = None
        if not heard:
            self._receiver.partial(False)
            self._receiver.fail(Ending.GOING_AWAY, "post given up")

    def drop(self, response: told.Response) -> None:
        """Answer the post that is arriving, or that was kept waiting."""
        post, self._post = self._post, None
        heard, self._heard = self._heard, False
        if post is not None:
            if not heard:
                self._receiver.partial(False)
            post.respond(response)
