"""Keeps one endpoint connected: makes a connection, watches it, waits, and makes the next one."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from portward.client.clock import finish
from portward.client.closes import invites_return
from portward.client.codec import Codec, Incoming
from portward.client.errors import (
    ClientError,
    ClosedError,
    ConnectionLost,
    NoAnswer,
    StoppedError,
)
from portward.client.liveness import LivenessMonitor, SleepDetector
from portward.client.options import ConnectionOptions, ConnectionState, StateChange
from portward.client.outgoing import OutgoingQueue
from portward.client.requests import RequestConnection
from portward.client.transport import TransportClosed
from portward.model.clock import Clock

_UPSTREAM_CLOSED: Final = "upstream closed"
_LASTED: Final = 5.0
"""Seconds of a ready connection after which the waits start from the shortest again."""


Outcome = RequestConnection | ClientError


class EndpointProtocol(Protocol):
    """What differs between the endpoints."""

    codec: Codec
    resumes: bool
    """Whether another connection follows by itself on one that was ready."""
    ping: tuple[str, Mapping[str, object]]

    async def prepare(self) -> Mapping[str, str]:
        """Headers of the next handshake; raises ClientError."""

    async def open(self, connection: RequestConnection) -> None:
        """Authenticate, and enter again what was entered before; raises ClientError."""

    def receive(self, connection: RequestConnection, incoming: Incoming, answer: bool) -> None:
        """Take a message; raises ValueError for one that is not of this endpoint."""

    def may_retry(self, error: ClientError) -> bool:
        """Whether another attempt, at once, may succeed after an error that does not pass."""

    def lost(self) -> None:
        """The connection is lost."""

    @property
    def blocked(self) -> bool:
        """Whether `before_read` is to run."""

    async def before_read(self) -> None:
        """Runs before each message is read; while it waits, nothing is read."""


class ConnectionWaiters:
    """All that wait are released at once, with a connection or an error."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: set[asyncio.Future[Outcome]] = set()

    async def wait(self, limit: float | None) -> RequestConnection:
        """Wait for `release`, at most `limit` seconds.

        Raises:
            ConnectionLost: it took longer.
            ClientError: what was released was an error.
        """
        waiter: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        timer = None
        if limit is not None:
            late = ConnectionLost("not connected")
            timer = self._clock.call_later(limit, lambda: _settle(waiter, late))
        try:
            outcome = await waiter
        finally:
            self._waiting.discard(waiter)
            if timer is not None:
                timer.cancel()
        if isinstance(outcome, ClientError):
            raise outcome
        return outcome

    def release(self, outcome: Outcome) -> None:
        """End all waits."""
        for waiter in self._waiting:
            _settle(waiter, outcome)


class ReconnectingConnection:
    """One connection at a time to `url`, until a reconnect is forbidden.

    `changed` is called at every change of the state.
    """

    def __init__(
        self,
        url: str,
        protocol: EndpointProtocol,
        options: ConnectionOptions,
        changed: Callable[[StateChange], None],
    ) -> None:
        self.state: ConnectionState = "idle"
        self.error: ClientError | None = None
        self.outgoing = OutgoingQueue(options.queue)
        self._url = url
        self._protocol = protocol
        self._options = options
        self._clock = options.clock
        self._changed = changed
        self._connection: RequestConnection | None = None
        self._liveness = LivenessMonitor(self._clock)
        self._sleep = SleepDetector(self._clock, self._woke)
        self._task: asyncio.Task[None] | None = None
        self._waiters = ConnectionWaiters(self._clock)
        self._pause: asyncio.Future[None] | None = None
        self._not_before = 0.0
        self._attempt = 0
        self._ready_at: float | None = None
        self._was_ready = False
        self._used = False
        self._failure: ClientError | None = None
        self._resting: ClientError | None = None

    # -- what callers do

    def start(self) -> None:
        """Connect, unless that is under way.

        Raises:
            ClosedError: the client is closed.
        """
        if self.state == "closed":
            raise ClosedError
        if self.state in ("idle", "stopped"):
            self.state = "connecting"
            self._failure = None
            self._sleep.start()
            self._task = asyncio.create_task(self._run())

    async def ready(self, limit: float | None = None) -> RequestConnection:
        """Wait for a connection that is authenticated and entered, at most `limit` seconds.

        Raises:
            ConnectionLost: there was none in time.
            ClientError: there will be none.
        """
        self.start()
        return self.connection or await self._waiters.wait(limit)

    @property
    def connection(self) -> RequestConnection | None:
        """The connection that is ready now."""
        connection = self._connection
        return connection if connection is not None and connection.closed is None else None

    def fail(self, error: ClientError) -> None:
        """Stop for good, for a reason that was found elsewhere."""
        self._failure = error
        if self._connection is not None:
            self._connection.drop(str(error))

    async def close(self) -> None:
        """Close with 1000 and settle everything."""
        if self.state == "closed":
            return
        self._sleep.stop()
        self.outgoing.close()
        task, self._task = self._task, None
        self._become("closed")
        self._waiters.release(ClosedError())
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # -- one connection after the other

    async def _run(self) -> None:
        try:
            resting, self._resting = self._resting, None
            if resting is not None:
                await self._wait(resting)
            while True:
                error = await self._connect_once()
                error = self._failure or error
                if self._used and not self._protocol.resumes and _may_follow(error):
                    self._rest(error)
                    return
                if error.temporary:
                    if not self._comes_back():
                        self._stop(error)
                        return
                    await self._wait(error)
                elif not self._protocol.may_retry(error):
                    self._stop(error)
                    return
        except Exception as error:  # noqa: BLE001 - see below
            # Not of the gateway: a fault here or in a callback. The application gets an error.
            failure = ClientError(f"the client failed: {type(error).__name__}")
            failure.__cause__ = error
            self._stop(failure)

    def _comes_back(self) -> bool:
        options = self._options
        return options.reconnect and (options.retry_first or self._was_ready)

    async def _connect_once(self) -> ClientError:
        """Make a connection and use it to its end; returns why it ended."""
        self._become("connecting")
        self._used = False
        try:
            headers = await self._protocol.prepare()
            transport = await self._options.dial(self._url, headers)
        except ClientError as error:
            return error
        connection = RequestConnection(
            transport,
            self._protocol.codec,
            self._clock,
            self._options.timeout,
            lambda incoming, answer: self._received(connection, incoming, answer),
        )
        reader = asyncio.create_task(connection.read(lambda: self._before_read(connection)))
        self._watch(connection)
        try:
            return await self._use(connection, reader)
        finally:
            self._connection = None
            self._liveness.stop()
            self._protocol.lost()
            await connection.close()
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _use(
        self, connection: RequestConnection, reader: "asyncio.Task[TransportClosed]"
    ) -> ClientError:
        try:
            await self._protocol.open(connection)
        except NoAnswer as error:
            connection.drop(str(error))
            return error
        except ConnectionLost:
            return _error_of(await reader, connection)
        except ClientError as error:
            return error
        if connection.closed is not None:
            return _error_of(await reader, connection)
        self._is_ready(connection)
        writer = asyncio.create_task(self.outgoing.run(connection))
        try:
            closed = await reader
        finally:
            if self._ready_at is not None and self._clock.monotonic() - self._ready_at >= _LASTED:
                self._attempt = 0
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        return _error_of(closed, connection)

    def _watch(self, connection: RequestConnection) -> None:
        self._liveness.start(lambda: connection.post(*self._protocol.ping), connection.drop)

    async def _before_read(self, connection: RequestConnection) -> None:
        if self._protocol.blocked:
            # While nothing is read, silence is no sign that the link is dead.
            self._liveness.stop()
            await self._protocol.before_read()
            self._watch(connection)

    def _received(self, connection: RequestConnection, incoming: Incoming, answer: bool) -> None:
        self._liveness.received()
        self._protocol.receive(connection, incoming, answer)

    def _is_ready(self, connection: RequestConnection) -> None:
        self._connection = connection
        self._ready_at = self._clock.monotonic()
        self._was_ready = self._used = True
        self._become("ready")
        self._waiters.release(connection)

    # -- between two connections

    async def _wait(self, error: ClientError) -> None:
        seconds = self._options.backoff.wait(self._attempt, error.retry_after)
        self._attempt += 1
        self._not_before = self._clock.time() + (error.retry_after or 0.0)
        self._become("waiting", error, seconds)
        if self._options.sleep is not None:
            await self._options.sleep(seconds)
            return
        pause = self._pause = asyncio.get_running_loop().create_future()
        timer = self._clock.call_later(seconds, lambda: finish(pause))
        try:
            await pause
        finally:
            self._pause = None
            timer.cancel()

    def _woke(self) -> None:
        """The machine has slept: connect at once, unless the time that the gateway named is not over."""
        self._liveness.woke()
        if self._pause is not None and self._clock.time() >= self._not_before:
            finish(self._pause)

    def _rest(self, error: ClientError) -> None:
        """Wait for the application to connect again; the first wait is then as after any error."""
        self._sleep.stop()
        self._task = None
        self._resting = error if error.temporary else None
        self._become("idle", error)
        self._waiters.release(error)

    def _stop(self, error: ClientError) -> None:
        self._sleep.stop()
        self._attempt = 0
        self._task = None
        self.outgoing.refuse_all(error.code, str(error))
        self._become("stopped", error)
        self._waiters.release(error)

    def _become(
        self,
        state: ConnectionState,
        error: ClientError | None = None,
        retry_in: float | None = None,
    ) -> None:
        self.state = state
        if error is not None or state == "ready":
            self.error = error
        self._changed(StateChange(state, error, retry_in))


def _may_follow(error: ClientError) -> bool:
    """Whether another conversation may follow: the upstream's close forbids nothing."""
    return error.temporary or (isinstance(error, StoppedError) and error.reason == _UPSTREAM_CLOSED)


def _error_of(closed: TransportClosed, connection: RequestConnection) -> ClientError:
    """Return the error for the end of a connection."""
    if invites_return(closed.code, closed.reason):
        text = closed.reason or "the connection broke"
        return ConnectionLost(text, connection.retry_after, closed.code)
    return StoppedError(closed.code, closed.reason)


def _settle(waiter: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not waiter.done():
        waiter.set_result(outcome)
