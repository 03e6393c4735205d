"""Carrier of a session over HTTP: output waits for a poll, input comes in posts."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import portward.transports.engineio.responses as responses
from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.disconnects import Disconnect
from portward.model.limits import OUTBOX_AGE
from portward.node.sessions import SentCallbacks, TransportCallbacks
from portward.security.rate import gcra
from portward.transports.deadlines import Deadlines, Waiter
from portward.transports.engineio.payload_reader import PayloadReader, Request
from portward.transports.engineio.polling_queue import PollingQueue
from portward.wire import engineio
from portward.wire.message import WireMessage

REQUESTS: Final = 1 / 50
"""Seconds between two polls of a session, or attempts to upgrade it, at the sustained rate."""
REQUESTS_AT_ONCE: Final = 100
NOOP_TIME: Final = 0.1
"""Seconds a poll waits for messages during an upgrade, after one was answered without any."""


class Takeover(Waiter, Protocol):
    """A WebSocket that asks to carry the session."""

    def close(self, code: int, reason: str) -> None:
        """Close the WebSocket: the session has ended."""


class Carried(Protocol):
    """The session that is carried."""

    @property
    def receiver(self) -> TransportCallbacks:
        """The receiver of the session."""

    def lost(self, code: int | None) -> None:
        """Report that the connection is over."""


class Polling(SentCallbacks):
    """Implements `node.sessions.Transport` for as long as a session is carried by HTTP.

    At most one poll is pending. `limit` is the endpoint's message size in bytes, `room` what may wait
    for the client. `probe` is the WebSocket that asks to take over; once it was answered (`yielding`)
    the client is about to stop polling, so that the close has to be sent on the WebSocket.

    `parting` tells that the session has ended and what is queued still waits for a poll; `farewell` is
    the close code and reason of an ended session.
    """

    __slots__ = (
        "_answered",
        "_clock",
        "_closing",
        "_flushing",
        "_link",
        "_mail",
        "_nooped",
        "_poll",
        "_since",
        "_slow",
        "_tat",
        "_waiting",
        "farewell",
        "open",
        "parting",
        "posts",
        "probe",
        "yielding",
    )  # fmt: skip

    compression = False
    _link: Carried

    def __init__(
        self,
        clock: Clock,
        closing: "Deadlines[Polling]",
        bodies: Deadlines[PayloadReader],
        *,
        limit: int,
        room: int,
        early: int,
    ) -> None:
        self.open = True
        self.posts = PayloadReader(self, bodies, limit, early)
        self.probe: Takeover | None = None
        self.farewell: tuple[int, str] | None = None
        self.parting = self.yielding = False
        self._clock = clock
        self._closing = closing
        self._mail = PollingQueue(room)
        self._poll: Request | None = None
        self._answered: Request | None = None
        self._flushing = self._nooped = self._slow = False
        self._since = self._tat = 0.0
        self._waiting = ()

    def begin(self, link: Carried) -> None:
        """Carry this session."""
        self._link = link

    @property
    def receiver(self) -> TransportCallbacks:
        """The receiver of the session."""
        return self._link.receiver

    # Called by the session.

    def write(self, message: WireMessage, channel: Channel | None = None) -> None:
        """Queue a message; messages of one turn of the loop are sent in one answer."""
        if not self.open:
            return
        now = self._clock.monotonic()
        if self.stale(now) or not self._mail.push(message, channel, now, self._ahead()):
            self._report_slow()
        elif self._poll is not None and not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _report_slow(self) -> None:
        if not self._slow:
            self._slow = True
            self.receiver.slow()

    def _ahead(self) -> int:
        """Bytes of the last answer that are not taken."""
        return self._answered.unsent() if self._answered is not None else 0

    def drop(self, channel: Channel) -> None:
        """Remove the queued messages of this channel."""
        self._mail.drop(channel)
        self._slow = False

    def discard(self) -> None:
        """Remove all queued messages."""
        self._mail.clear()
        self._slow = False

    def ping(self) -> None:
        """Do nothing: the link writes ping packets."""

    def pong(self, payload: bytes) -> None:
        """Do nothing: there are no frames."""

    def pause(self) -> None:
        """Stop taking posts."""
        self.posts.paused = True

    def resume(self) -> None:
        """Take posts again."""
        self.posts.resume()

    def authenticated(self) -> None:
        """Apply the endpoint's own message limit from now on."""
        self.posts.widen()

    def close(self, code: int, reason: str) -> None:
        """Send what is queued and a close packet.

        They go to the WebSocket that takes over if its upgrade ends in time, else to the pending poll,
        else to the next poll if it comes in time.
        """
        if not self.open:
            return
        self.open = False
        self.farewell = (code, reason)
        self.posts.end()
        if not self.yielding:
            self._drop_probe()
            if code == Disconnect.NO_PONG.code:
                self.abort()  # no client is there to poll
                return
        self.parting = True
        if self._poll is not None and not self.yielding:
            self._answer_with_close()
        else:
            self._closing.add(self)

    def cut(self) -> None:
        """End the session without a close reason: a request was rejected, and later ones are rejected too."""
        if not self.open:
            return
        self.open = False
        self.farewell = (Disconnect.GOING_AWAY.code, Disconnect.GOING_AWAY.reason)
        self._mail.clear()
        self._answer([engineio.CLOSE])
        self.refuse_rest()

    def refuse_rest(self) -> None:
        """Reject later requests of a session that has ended; a WebSocket that takes over is closed."""
        self.parting = False
        if self.yielding:
            self._closing.add(self)
        else:
            self._leave(None)

    def abort(self) -> None:
        """Close at once."""
        self.open = False
        self._mail.clear()
        if self._poll is not None:
            self._answer_with_close()
        else:
            self._leave(None)

    def overdue(self) -> None:
        """Close: no poll came for the last packets in time."""
        self._leave(None)

    def unsent(self) -> int:
        """Bytes that wait for a poll, or for the peer to take an answer."""
        return self._ahead() + self._mail.size

    def stale(self, now: float) -> bool:
        """Whether an answer was not taken, or a message not polled, within its time."""
        late = now - self._since > OUTBOX_AGE and self._ahead() > 0
        return late or self._mail.stale(now)

    # Polls.

    def poll(self, request: Request) -> responses.Response | None:
        """Let a request wait for messages; returns a response when it must not wait.

        A second poll can be the first one, sent again by a browser or a proxy: the answer to the first
        may be lost, so the session ends.
        """
        self.receiver.due()
        if self.hurried():
            return self._fail(Disconnect.FLOODING, "too many polls")
        if self._poll is not None or self._ahead():
            return self._fail(Disconnect.GOING_AWAY, "a poll while another one is pending")
        if not (self.open or self.parting):
            return responses.BAD_REQUEST
        self._poll = request
        if not (self.open or self.yielding):
            self._answer_with_close()
            return None
        self._tell_taken_by_poll()
        if self._mail or (self.yielding and not self._nooped):
            self._flush()
        elif self.yielding:
            self._clock.call_later(NOOP_TIME, self._flush)
        return None

    def hurried(self) -> float:
        """Count a request that is no post; seconds it is too early, 0.0 when it is not."""
        self._tat, wait = gcra(self._tat, self._clock.monotonic(), REQUESTS, REQUESTS_AT_ONCE)
        return wait

    def _tell_taken_by_poll(self) -> None:
        """Take the last answer as received: the client polls again."""
        self._answered = None
        if not self._mail:
            self._report_sent()

    def _fail(self, ending: Disconnect, cause: str) -> responses.Response:
        self.cut()
        self.receiver.fail(ending, cause)
        return responses.BAD_REQUEST

    def gone(self, request: Request) -> None:
        """Handle an aborted request; an aborted poll ends the session."""
        self.posts.gone(request)
        if request is self._poll:
            self._poll = None
            self.open = False
            self._leave(None)

    def closed_by_client(self) -> None:
        """Handle a close packet: close once what the client sent before is handled."""
        self.receiver.peer_closed(self._part)

    def _part(self) -> None:
        if self.open or self.parting:
            self.open = False
            self._answer(self._queued() or [engineio.NOOP])
            self._leave(Disconnect.NORMAL.code)

    def _flush(self) -> None:
        """Answer the pending poll with what is queued; with a NOOP packet when it must not wait."""
        self._flushing = False
        if self._poll is None:
            return
        if self._mail:
            self._slow = False
            self._answer(self._queued())
        elif self.yielding:
            self._nooped = True
            self._answer([engineio.NOOP])

    def _queued(self) -> list[WireMessage]:
        return [message for message, _ in self._mail.empty()]

    def _answer_with_close(self) -> None:
        """Answer with what is queued, and the next poll with the close packet.

        Not in one answer: clients act on the close packet before they read what came with it.
        """
        if self._mail:
            self._answer(self._queued())
            self.parting = True
            self._closing.add(self)
        else:
            self._answer([engineio.CLOSE])
            self._leave(None)

    def _answer(self, messages: list[WireMessage]) -> None:
        poll, self._poll = self._poll, None
        if poll is None:
            return
        self._answered = poll
        self._since = self._clock.monotonic()
        poll.respond(responses.body(engineio.write_body(messages)))
        if not self._ahead():
            self._answered = None
            self._report_sent()

    # The upgrade to a WebSocket.

    def make_way(self) -> None:
        """Let no poll wait for long from now on: a WebSocket is about to carry the session."""
        self.yielding = True
        self._nooped = False
        self.posts.make_way()
        self._flush()

    def release(self, probe: Takeover) -> None:
        """Stay the carrier: this WebSocket will not take over."""
        if probe is not self.probe:
            return
        self.probe = None
        self.yielding = False
        if self.parting and self._poll is not None:
            self._answer_with_close()
        elif not (self.open or self.parting):
            self._leave(None)

    def hand_over(
        self,
    ) -> tuple[list[tuple[WireMessage, Channel | None]], tuple[Callable[[], object], ...]]:
        """Leave the session to another carrier; returns what was not sent, and the waiting callbacks."""
        self.probe = None
        self.open = self.parting = self.yielding = False
        self._closing.remove(self)
        self._answer([engineio.NOOP])
        self.posts.drop(responses.BAD_REQUEST)
        waiting, self._waiting = self._waiting, ()
        return self._mail.empty(), waiting

    # The end.

    def _drop_probe(self) -> None:
        probe, self.probe = self.probe, None
        self.yielding = False
        if probe is not None:
            probe.close(
                *(self.farewell or (Disconnect.GOING_AWAY.code, Disconnect.GOING_AWAY.reason))
            )

    def _leave(self, code: int | None) -> None:
        """Close, and report it in the next turn of the loop."""
        self.parting = False
        self._closing.remove(self)
        self._drop_probe()
        self._mail.clear()
        self._answer([engineio.CLOSE])
        self.posts.drop(responses.BAD_REQUEST)
        self._report_sent()
        asyncio.get_running_loop().call_soon(self._link.lost, code)
