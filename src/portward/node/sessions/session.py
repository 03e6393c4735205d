"""The session: the state, the deadlines and the inbox of one connection.

A session decides only when something is done: `SessionHost.handle_message` executes its messages, and
`SessionHost.ended` cleans up after it.
"""

from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from portward.hub.encoder import Encoder
from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.disconnects import Disconnect
from portward.model.identity import Identity
from portward.model.lifecycle import TRANSITIONS, State, Transition
from portward.model.limits import CLOSE_TIME, EXPIRY_NOTICE, MESSAGE_TIME, LimitName
from portward.model.payload import Payload
from portward.model.replies import Expiring, Push
from portward.node.sessions.closing import PeerClose, parting
from portward.node.sessions.eager_task import start_eager
from portward.node.sessions.endpoint import INBOX, INBOX_BYTES, HandshakeFacts
from portward.node.sessions.protocol import ClientProtocol, ProtocolViolation
from portward.node.sessions.subscription import Subscription
from portward.node.sessions.timer_wheel import ASLEEP, NEVER, TimerWheel
from portward.security.address import mask
from portward.security.rate import gcra
from portward.wire.message import WireMessage

if TYPE_CHECKING:
    import asyncio

    from portward.node.sessions.transport import Transport


NOTICE_RETRY: Final = 1.0
"""Seconds after which an expiry notice is tried again for which the protocol was not ready."""
_LEFT: Final = frozenset({Disconnect.NORMAL, Disconnect.GOING_AWAY})
"""Disconnects by the peer: no reason can be sent any more."""


class SessionHost(Protocol):
    """The services that a session needs from the node."""

    clock: Clock
    wheel: TimerWheel

    @property
    def handle_message(self) -> Callable[["Session", Any, bool], Coroutine[Any, Any, None]]:
        """Handles one message. Raises nothing."""

    def ended(self, session: "Session", ending: Disconnect, cause: str) -> None:
        """Remove an ended session from every map."""

    @property
    def recheck(self) -> Callable[["Session"], None]:
        """Checks the credential of a session again."""

    @property
    def connection_lost(self) -> Callable[[HandshakeFacts], None]:
        """Handles the loss of the transport of a session, ended or not. Called once."""

    def unhandled(self, session: "Session", count: int) -> None:
        """Record `count` messages before the close of the peer that were not handled in time."""

    @property
    def remove_subscription(self) -> Callable[["Session", Channel, str], None]:
        """Ends a subscription of a session for a reason, and informs the client."""

    @property
    def on_encoded(self) -> Callable[[Encoder, Push, WireMessage, int], None]:
        """Counts an encoded push."""

    @property
    def later(self) -> Callable[[Callable[[], None]], object]:
        """Runs an action at the end of this turn of the event loop."""


class Session:
    """The state of one connection; implements `TransportCallbacks` and `timer_wheel.Timed`."""

    __slots__ = (
        "__weakref__", "advised", "attempts", "claims", "close_code", "closing", "control_tat", "endpoint",
        "expires", "faults", "frame_tat", "handshake", "host", "id", "identity", "inbox", "last_seen",
        "notice", "opened", "opened_at", "partial_since", "paused", "peer_code", "ping_sent", "pinged",
        "protocol", "received_message", "recheck", "refusals", "resume_id", "slot", "state",
        "subscriptions", "task", "transport", "until", "version",
    )  # fmt: skip

    def __init__(
        self,
        host: SessionHost,
        handshake: HandshakeFacts,
        transport: "Transport",
        open_protocol: "Callable[[Session], ClientProtocol]",
    ) -> None:
        now = host.clock.monotonic()
        self.host = host
        self.transport = transport
        self.handshake = handshake
        self.endpoint = handshake.endpoint
        self.id = handshake.id
        self.state = State.NEW
        self.identity: Identity | None = None
        self.claims: Identity | None = None
        self.resume_id: str | None = None
        self.version = 0
        self.subscriptions: dict[Channel, Subscription] = {}
        self.opened = now
        self.opened_at = host.clock.time()
        self.last_seen = now
        self.ping_sent = 0.0
        self.pinged = now
        self.partial_since = 0.0
        self.expires = NEVER
        self.notice = NEVER
        self.recheck = NEVER
        self.until = NEVER
        self.frame_tat = 0.0
        self.control_tat = 0.0
        self.faults = 0
        self.refusals = 0
        self.advised = 0.0
        self.attempts = 0
        self.inbox: deque[tuple[Any, bool]] | None = None
        self.task: asyncio.Task[None] | bool | None = None
        self.paused = False
        self.closing: PeerClose | None = None
        self.peer_code: int | None = None
        self.close_code = 0
        self.slot = ASLEEP
        self.received_message = False
        self.protocol = open_protocol(self)

    def __repr__(self) -> str:
        return f"Session({self.id[:8]}, {self.endpoint.name}, {self.state.name})"

    @property
    def address(self) -> str:
        """The address of the client, masked for logs."""
        return mask(self.handshake.address)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of limits per address."""
        return self.handshake.keys

    @property
    def alive(self) -> bool:
        """Whether the session has not ended."""
        return self.state is not State.ENDED

    @property
    def user(self) -> str | None:
        """The authenticated subject."""
        return self.identity.subject if self.identity is not None else None

    @property
    def encoder(self) -> Encoder:
        """The encoder for pushes to many subscribers, by the negotiated compression."""
        return self.endpoint.deflated if self.transport.compression else self.endpoint.plain

    @property
    def limit_keys(self) -> tuple[str, ...]:
        """The keys of limits per user; before authentication those of the address."""
        return (f"user {self.identity.subject}",) if self.identity is not None else self.keys

    def move(self, move: Transition) -> None:
        """Make a transition.

        Raises:
            KeyError: the table has no such transition.
        """
        self.state = TRANSITIONS[(self.state, move)]

    def begin(self) -> None:
        """Schedule the first deadline."""
        self.host.wheel.schedule_at(self, self._next())

    def push(self, push: Push) -> None:
        """Send a push to this connection only."""
        payload = self.protocol.push(push, int(self.host.clock.time() * 1000))
        if payload is not None:
            message = self.endpoint.framing.text(payload)
            self.transport.write(message)
            self.host.on_encoded(self.endpoint.plain, push, message, 1)

    def send_raw(self, payload: Payload) -> None:
        """Send an encoded payload."""
        self.transport.write(self.endpoint.framing.text(payload))

    # -- callbacks of the transport

    def count_frame(self, control: bool) -> bool:
        """Count a frame against the limits per connection; over them the session is closed with 1008."""
        if self.state is State.ENDED:
            return False
        now = self.last_seen = self.host.clock.monotonic()
        limiter = self.endpoint.limits[LimitName.FRAMES]
        self.frame_tat, wait = gcra(self.frame_tat, now, limiter.interval, limiter.rate.burst)
        if control and not wait:
            limiter = self.endpoint.limits[LimitName.CONTROL_FRAMES]
            burst = limiter.rate.burst
            self.control_tat, wait = gcra(self.control_tat, now, limiter.interval, burst)
        if wait and limiter.record_refusal():
            self.end(Disconnect.FLOODING, f"over the limit {limiter.name}")
            return False
        return True

    def message(self, payload: bytes, binary: bool) -> None:
        """Serve a message, or queue it while another one is being served."""
        if self.state is State.ENDED:
            return
        self.received_message = True
        if binary and not self.protocol.binary:
            self.end(Disconnect.WRONG_DATA, "binary message")
            return
        message = self._received(payload, binary) if self.protocol.stateful else payload
        if message is None:
            return
        if self.task is None and not self.inbox:
            self.run(self.host.handle_message(self, message, binary))
        else:
            self._enqueue(message, binary)

    def _received(self, payload: bytes, binary: bool) -> Any:
        """Return the message that the protocol completes with this one, None for none."""
        try:
            message = self.protocol.receive(payload, binary, self.host.clock.monotonic())
        except ProtocolViolation as violation:
            self.end(Disconnect.PROTOCOL_ERROR, str(violation))
            return None
        if self.protocol.incomplete_since:
            self.host.wheel.schedule_at(self, self.protocol.incomplete_since + MESSAGE_TIME)
        return message

    def _enqueue(self, message: Any, binary: bool) -> None:
        if self.inbox is None:
            self.inbox = deque()
        self.inbox.append((message, binary))
        full = len(self.inbox) >= INBOX or sum(len(each) for each, _ in self.inbox) >= INBOX_BYTES
        if full and not self.paused:
            self.paused = True
            self.transport.pause()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` now; messages wait in the inbox until it is done."""
        self.task = True
        task = start_eager(work, self._served)
        if task is not None:
            self.task = task

    def _served(self, _: None, __: BaseException | None) -> None:
        self.task = None
        if self.inbox and self.state is not State.ENDED:
            self.host.later(self._next_message)
        elif self.closing is not None:
            self.host.later(self._all_handled)

    def _next_message(self) -> None:
        if not self.inbox or self.task is not None or self.state is State.ENDED:
            return
        message, binary = self.inbox.popleft()
        if self.paused and len(self.inbox) <= INBOX // 2:
            self.paused = False
            self._allow_time()
            self.transport.resume()
        self.run(self.host.handle_message(self, message, binary))

    def _allow_time(self) -> None:
        """Restart the time limits of incomplete messages: nothing could arrive while reading was paused."""
        now = self.host.clock.monotonic()
        if self.partial_since:
            self.partial_since = now
        if self.protocol.incomplete_since:
            self.protocol.incomplete_since = now
        if self._unfinished():
            self.host.wheel.schedule_at(self, now + MESSAGE_TIME)

    def ping_received(self, payload: bytes) -> None:
        """Answer a ping."""
        if self.state is not State.ENDED:
            self.transport.pong(payload)

    def partial(self, pending: bool) -> None:
        """Start or stop the time limit of an unfinished message."""
        if not pending:
            self.partial_since = 0.0
        elif not self.partial_since:
            self.partial_since = self.host.clock.monotonic()
            self.host.wheel.schedule_at(self, self.partial_since + MESSAGE_TIME)

    def fail(self, ending: Disconnect, cause: str) -> None:
        """End the session after a protocol violation of the peer."""
        self.end(ending, cause)

    def slow(self) -> None:
        """End the session because of unsent data over a limit; later, because a fan-out calls this."""
        self.host.later(lambda: self.end(Disconnect.SLOW, "unsent data over a bound"))

    def peer_closed(self, then: Callable[[], object]) -> None:
        """Call `then` after the messages received before the close of the peer; see `TransportCallbacks`."""
        busy = self.task is not None or bool(self.inbox)
        if self.state is State.ENDED or not busy:
            then()
        elif self.closing is None:
            self.closing = PeerClose(self.host.clock.monotonic() + CLOSE_TIME, then)
            self.host.wheel.schedule_at(self, self.closing.deadline)
            self.protocol.peer_closed()
        elif self.closing.then is None:
            then()
        else:
            self.closing.then = then

    def _all_handled(self) -> None:
        if self.closing is not None and self.task is None and not self.inbox:
            self.closing.over()

    def _close_overdue(self, closing: PeerClose) -> None:
        """Drop the messages that are not handled in time after the close of the peer."""
        count = len(self.inbox or ()) + (self.task is not None)
        self.inbox = None
        if closing.over() and count:
            self.host.unhandled(self, count)

    def lost(self, code: int | None) -> None:
        """Handle the loss of the transport."""
        self.peer_code = code
        self.peer_closed(partial(self._gone, code))

    def _gone(self, code: int | None) -> None:
        if code is None:
            self.end(Disconnect.GOING_AWAY, "connection lost")
        else:
            self.end(Disconnect.NORMAL, f"closed by the client with {code}")
        self.host.connection_lost(self.handshake)

    # -- deadlines

    def authenticated(self, expires: float | None, leeway: float) -> None:
        """Set the deadlines of a credential; `expires` is in Unix seconds."""
        if expires is None:
            self.notice = self.expires = NEVER
            return
        left = expires - self.host.clock.time()
        now = self.host.clock.monotonic()
        self.notice = now + left - EXPIRY_NOTICE
        self.expires = now + left + leeway
        self.host.wheel.schedule_at(self, max(now, self.notice))

    def recheck_at(self, moment: float) -> None:
        """Schedule another check of the credential at `moment`, in monotonic seconds."""
        self.recheck = moment
        self.host.wheel.schedule_at(self, moment)

    def end_at(self, moment: float) -> None:
        """Schedule the end of the session at `moment`, in monotonic seconds, regardless of traffic."""
        self.until = moment
        self.host.wheel.schedule_at(self, moment)

    def fire(self, now: float, *, late: bool) -> float:
        """Act on passed deadlines."""
        if self.closing is not None and now >= self.closing.deadline:
            self._close_overdue(self.closing)
        self._check_deadlines(now, late=late)
        return self._next() if self.state is not State.ENDED else NEVER

    def due(self) -> None:
        """Act on passed deadlines now, before the timer wheel does."""
        self._check_deadlines(self.host.clock.monotonic(), late=False)

    def _check_deadlines(self, now: float, *, late: bool) -> None:
        rules = self.endpoint.rules
        if self.state is State.ENDED:
            return
        if self.state is State.NEW and now >= self.opened + rules.auth_timeout:
            self.end(Disconnect.AUTH_TIMEOUT, "no credential in time")
        elif now >= self.expires:
            self.end(Disconnect.EXPIRED, "token expired")
        elif now >= self.until:
            self.end(Disconnect.QUOTA, "longer than a session may last")
        elif self._incomplete_too_long(now):
            self.end(Disconnect.FLOODING, "message not complete in time")
        elif self.transport.stale(now):
            self.end(Disconnect.SLOW, "unsent data too old")
        else:
            if now >= self.recheck:
                self.recheck = NEVER
                self.host.recheck(self)
            self._warn(now)
            self._heartbeat(now, late=late)

    def _incomplete_too_long(self, now: float) -> bool:
        """Whether a message is incomplete for too long; the time limit applies only while reading."""
        began = self._unfinished()
        return bool(began) and not self.paused and now >= began + MESSAGE_TIME

    def _unfinished(self) -> float:
        """Return when the oldest incomplete message began, 0.0 when there is none."""
        both = (self.protocol.incomplete_since, self.partial_since)
        return min((began for began in both if began), default=0.0)

    def _warn(self, now: float) -> None:
        if self.state is State.AUTHENTICATED and now >= self.notice and self.claims is not None:
            if not self.protocol.ready:
                self.notice = now + NOTICE_RETRY
                return
            self.move(Transition.NOTICE)
            self.push(Expiring(expires_at=self.claims.expires_at or 0.0))

    def _heartbeat(self, now: float, *, late: bool) -> None:
        rules = self.endpoint.rules
        if self.ping_sent and self.last_seen >= self.ping_sent:
            self.ping_sent = 0.0
        if late or self.paused:  # while reading is paused, a pong cannot arrive
            self.last_seen, self.ping_sent = now, 0.0
        if self.ping_sent and now >= self.ping_sent + rules.pong_timeout:
            self.end(Disconnect.NO_PONG, "no answer to a ping")
        elif rules.idle_timeout and now >= self.last_seen + rules.idle_timeout:
            self.end(Disconnect.IDLE, "no frame for long")
        elif not self.ping_sent and rules.ping_interval and now >= self._ping_due():
            # With steady pings, the pong timeout starts when the ping was due, not when it was sent late: the
            # peer relies on the sum of interval and timeout.
            on_time = rules.steady_ping and not late
            self.ping_sent = self.pinged = self._ping_due() if on_time else now
            self.transport.ping()

    def _ping_due(self) -> float:
        """Return when to ping: after silence, or steadily where clients expect regular pings."""
        rules = self.endpoint.rules
        return (self.pinged if rules.steady_ping else self.last_seen) + rules.ping_interval

    def _next(self) -> float:
        rules = self.endpoint.rules
        due = min(self.expires, self.recheck, self.until)
        if self.closing is not None and self.closing.then is not None:
            due = min(due, self.closing.deadline)
        if self.state is State.NEW:
            due = min(due, self.opened + rules.auth_timeout)
        elif self.state is State.AUTHENTICATED:
            due = min(due, self.notice)
        began = self._unfinished()
        if began and not self.paused:
            due = min(due, began + MESSAGE_TIME)
        if self.ping_sent:
            due = min(due, self.ping_sent + rules.pong_timeout)
            # A pong may arrive before that, and the next steady ping may be due earlier.
            if rules.steady_ping and self._ping_due() > self.host.clock.monotonic():
                due = min(due, self._ping_due())
        elif rules.ping_interval:
            due = min(due, self._ping_due())
        if rules.idle_timeout:
            due = min(due, self.last_seen + rules.idle_timeout)
        return due

    # -- the end

    def end(self, ending: Disconnect, cause: str, *, close: tuple[int, str] | None = None) -> None:
        """End the session once: remove it from every map, send the reason, then close the link.

        `close` is a code and a reason that replace those of the protocol.
        """
        if self.state is State.ENDED:
            return
        self.move(Transition.END)
        self.inbox = None
        table = self.protocol.closes.get(ending, (ending.code, ending.reason))
        code, reason = close or table
        self.close_code = self.peer_code or code
        self.host.ended(self, ending, cause)
        if ending is Disconnect.SLOW:  # no space for the reason, and the client does not read
            self.transport.discard()
        if ending not in _LEFT:
            self.push(parting(ending, self.advised - self.host.clock.monotonic()))
        self.transport.close(code, reason)
        if self.closing is not None:
            self.closing.over()
