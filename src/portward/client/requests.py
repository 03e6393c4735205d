"""One connection: requests that wait for their answers, and every message in order."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Any, Final

from portward.client.codec import Codec, Incoming
from portward.client.errors import ClientError, ConnectionLost, NoAnswer, RequestRefused
from portward.client.transport import ClientTransport, Payload, TransportClosed
from portward.model.clock import Clock, Timer

_PROTOCOL_ERROR: Final = 1002
Receive = Callable[[Incoming, bool], None]
"""Called with every message, in order, before the request that it answers continues. The flag is whether
it is an answer."""
Answers = list[Incoming] | ClientError


class _Pending:
    """A request under way, and the answers to it so far.

    Without `last` the first answer completes it. With `last` an answer of that type does, or an error
    about the whole request; each other answer starts the time limit again.
    """

    def __init__(self, clock: Clock, timeout: float, last: str | None) -> None:
        self.done: asyncio.Future[Answers] = asyncio.get_running_loop().create_future()
        self._clock = clock
        self._timeout = timeout
        self._last = last
        self._answers: list[Incoming] = []
        self._timer: Timer = clock.call_later(timeout, self._expire)
        # Also when the caller is cancelled, which cancels the future.
        self.done.add_done_callback(lambda _: self._timer.cancel())

    def answer(self, incoming: Incoming) -> bool:
        """Take an answer; returns whether it is the last one."""
        self._answers.append(incoming)
        self._timer.cancel()
        error = incoming.kind == "error"
        if self._last is None or incoming.kind == self._last:
            self.finish(refusal(incoming.data) if error else self._answers)
        elif error and "roomId" not in incoming.data:
            self.finish(refusal(incoming.data))
        else:
            self._timer = self._clock.call_later(self._timeout, self._expire)
        return self.done.done()

    def finish(self, outcome: Answers) -> None:
        """End the wait."""
        self._timer.cancel()
        if not self.done.done():
            self.done.set_result(outcome)

    def _expire(self) -> None:
        self.finish(NoAnswer("no answer in time"))


class RequestConnection:
    """Requests and their answers on one transport. `read` must run for answers to come.

    `timeout` bounds the wait for an answer, in seconds. `retry_after` is the time after which the
    gateway asked to reconnect.
    """

    def __init__(
        self,
        transport: ClientTransport,
        codec: Codec,
        clock: Clock,
        timeout: float,
        receive: Receive,
    ) -> None:
        self.closed: TransportClosed | None = None
        self.retry_after: float | None = None
        self._transport = transport
        self._codec = codec
        self._clock = clock
        self._timeout = timeout
        self._receive = receive
        self._pending: dict[str, _Pending] = {}
        self._numbers = count(1)
        self._posts: set[asyncio.Task[None]] = set()

    async def read(self, before: Callable[[], Awaitable[None]]) -> TransportClosed:
        """Read until the connection ends; returns how it ended. `before` runs before each message."""
        try:
            while True:
                await before()
                self._take(await self._transport.receive())
        except TransportClosed as closed:
            return self._end(closed)
        except ValueError:
            self._transport.abort()
            return self._end(
                TransportClosed(_PROTOCOL_ERROR, "a received message is not of this endpoint")
            )

    def _take(self, payload: Payload) -> None:
        incoming = self._codec.decode(payload)
        pending = self._pending.get(incoming.id) if incoming.id is not None else None
        self._receive(incoming, pending is not None)
        if pending is not None and pending.answer(incoming):
            del self._pending[incoming.id or ""]

    def _end(self, closed: TransportClosed) -> TransportClosed:
        if self.closed is None:
            self.closed = closed
        for pending in self._pending.values():
            pending.finish(ConnectionLost("the connection broke before the answer"))
        self._pending.clear()
        return self.closed

    async def begin(
        self,
        kind: str,
        data: Mapping[str, Any],
        last: str | None = None,
        limit: float | None = None,
    ) -> asyncio.Future[Answers]:
        """Write a request; what is returned has its answers once they are there.

        `limit` takes the place of the usual time limit, in seconds.

        Raises:
            ConnectionLost: it could not be written, or only in part.
        """
        if self.closed is not None:
            raise ConnectionLost("not connected")
        identifier = str(next(self._numbers))
        pending = self._pending[identifier] = _Pending(self._clock, limit or self._timeout, last)
        pending.done.add_done_callback(lambda _: self._pending.pop(identifier, None))
        try:
            await self.send(self._codec.encode(kind, data, identifier))
        except BaseException:
            pending.finish(ConnectionLost("the connection is gone"))
            raise
        return pending.done

    async def request(
        self, kind: str, data: Mapping[str, Any], limit: float | None = None
    ) -> Incoming:
        """Ask, and wait for the answer; `limit` takes the place of the usual time limit.

        Raises:
            RequestRefused: the answer is an error.
            ConnectionLost: there is none.
            NoAnswer: there is none in time.
        """
        return (await self._answers(kind, data, None, limit))[-1]

    async def request_several(
        self, kind: str, data: Mapping[str, Any], last: str
    ) -> list[Incoming]:
        """Ask for several things at once, and wait for an answer to each and the one of type `last`.

        The time limit counts from the latest answer. An error of one thing names its `roomId` and is
        returned like any answer; raises as `request` when the whole request is refused.
        """
        return await self._answers(kind, data, last, None)

    async def _answers(
        self, kind: str, data: Mapping[str, Any], last: str | None, limit: float | None
    ) -> list[Incoming]:
        outcome = await (await self.begin(kind, data, last, limit))
        if isinstance(outcome, ClientError):
            raise outcome
        return outcome

    async def send(self, payload: Payload) -> None:
        """Send a message without an answer.

        Raises:
            ConnectionLost: the connection has ended.
        """
        try:
            await self._transport.send(payload)
        except TransportClosed:
            raise ConnectionLost("the connection is gone") from None

    def post(self, kind: str, data: Mapping[str, Any]) -> None:
        """Send a message without waiting until it is written. Without a connection nothing happens."""
        task = asyncio.create_task(self._post(self._codec.encode(kind, data)))
        self._posts.add(task)
        task.add_done_callback(self._posts.discard)

    async def _post(self, text: str) -> None:
        try:
            await self.send(text)
        except ConnectionLost:
            return

    def drop(self, reason: str) -> None:
        """Abort the connection; `read` then returns the reason."""
        if self.closed is None:
            self.closed = TransportClosed(None, reason)
        self._transport.abort()

    async def close(self) -> None:
        """Close, unless the connection is over, and leave no task."""
        if self.closed is None:
            await self._transport.close()
        self._end(TransportClosed(1000, "closed by the client"))
        for task in list(self._posts):
            task.cancel()
        await asyncio.gather(*self._posts, return_exceptions=True)


def refusal(data: Mapping[str, Any]) -> RequestRefused:
    """Return the exception for an answer of type `error`."""
    wait = data.get("retryAfterMs", data.get("retryMs"))
    named = isinstance(wait, int | float) and not isinstance(wait, bool) and wait >= 0
    seconds = wait / 1000 if named else None
    code, text = str(data.get("code", "error")), str(data.get("message", "refused"))
    return RequestRefused(code, text, seconds)
