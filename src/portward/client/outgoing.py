"""Outgoing messages: they survive a lost connection until they are written, and are never written twice."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal, NamedTuple

from portward.client.codec import Incoming
from portward.client.errors import ClientError, ConnectionLost, RequestRefused
from portward.client.requests import Answers, RequestConnection
from portward.model.position import Position

_MOST_UNANSWERED: Final = 256


class Stored(NamedTuple):
    """The message is stored, under this id, at this position."""

    id: str
    position: Position
    status: Literal["stored"] = "stored"

    @property
    def offset(self) -> int:
        """The offset of the position."""
        return self.position.offset

    @property
    def epoch(self) -> str:
        """The epoch of the position."""
        return self.position.epoch


class Refused(NamedTuple):
    """The message was not stored. `retry_after` is in seconds."""

    code: str
    text: str
    temporary: bool = False
    retry_after: float | None = None
    status: Literal["refused"] = "refused"


class Unknown(NamedTuple):
    """The message was written, and the connection broke before the answer: it may be stored or not."""

    status: Literal["unknown"] = "unknown"


SendResult = Stored | Refused | Unknown


class QueueLimits(NamedTuple):
    """The limits of what waits to be written."""

    messages: int = 256
    size: int = 1024 * 1024


@dataclass(eq=False)
class _QueuedSend:
    kind: str
    data: Mapping[str, Any]
    size: int
    may_go: Callable[[], bool]
    stored: Callable[[Incoming], Stored]
    result: "asyncio.Future[SendResult]" = field(repr=False)

    def settle(self, result: SendResult) -> None:
        if not self.result.done():
            self.result.set_result(result)


class OutgoingQueue:
    """Messages that wait to be written, in order, and those that wait for an answer.

    Each is settled: as stored, as refused, or as unknown when it was written and never answered.
    """

    def __init__(self, limits: QueueLimits) -> None:
        self._limits = limits
        self._waiting: deque[_QueuedSend] = deque()
        self._size = 0
        self._unanswered: set[_QueuedSend] = set()
        self._changed = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    async def send(
        self,
        kind: str,
        data: Mapping[str, Any],
        size: int,
        *,
        may_go: Callable[[], bool],
        stored: Callable[[Incoming], Stored],
    ) -> SendResult:
        """Write a message, now or when there is a connection; wait for its outcome.

        It is skipped while `may_go` is False. One whose caller is cancelled before it is written is
        not written.
        """
        if self._closed:
            return Refused("closed", "the client is closed")
        if len(self._waiting) >= self._limits.messages or self._size + size > self._limits.size:
            return Refused("queue_full", "too many messages are waiting to be sent", temporary=True)
        result: asyncio.Future[SendResult] = asyncio.get_running_loop().create_future()
        entry = _QueuedSend(kind, data, size, may_go, stored, result)
        self._waiting.append(entry)
        self._size += size
        self.notify()
        try:
            return await result
        finally:
            if entry in self._waiting:
                self._remove(entry)

    def notify(self) -> None:
        """Look again for messages that may be sent."""
        self._changed.set()

    async def run(self, connection: RequestConnection) -> None:
        """Write what waits to a connection that is ready, until it is over."""
        while connection.closed is None:
            self._changed.clear()
            entry = self._next()
            if entry is None:
                await self._changed.wait()
                continue
            self._remove(entry)
            self._unanswered.add(entry)
            try:
                answers = await connection.begin(entry.kind, entry.data)
            except (ConnectionLost, asyncio.CancelledError) as error:
                self._settle(entry, Unknown())
                if isinstance(error, asyncio.CancelledError):
                    raise
                return
            answers.add_done_callback(partial(self._answered, entry))

    def close(self) -> None:
        """Settle everything; nothing more is taken."""
        self._closed = True
        self.refuse_all("closed", "the client is closed")

    def refuse_all(self, code: str, text: str) -> None:
        """Settle everything that was not written as refused."""
        while self._waiting:
            self._waiting.popleft().settle(Refused(code, text))
        self._size = 0

    def _next(self) -> _QueuedSend | None:
        if len(self._unanswered) >= _MOST_UNANSWERED:
            return None
        return next((entry for entry in self._waiting if entry.may_go()), None)

    def _remove(self, entry: _QueuedSend) -> None:
        self._waiting.remove(entry)
        self._size -= entry.size

    def _answered(self, entry: _QueuedSend, done: "asyncio.Future[Answers]") -> None:
        answers = done.result()
        if isinstance(answers, RequestRefused):
            refused = Refused(answers.code, answers.text, answers.temporary, answers.retry_after)
            self._settle(entry, refused)
        elif isinstance(answers, ClientError):
            self._settle(entry, Unknown())
        else:
            self._settle(entry, self._read(entry, answers[-1]))

    @staticmethod
    def _read(entry: _QueuedSend, answer: Incoming) -> SendResult:
        try:
            return entry.stored(answer)
        except ValueError:
            return Unknown()

    def _settle(self, entry: _QueuedSend, result: SendResult) -> None:
        self._unanswered.discard(entry)
        entry.settle(result)
        self._changed.set()
