"""One connection that many commands share: written in order, answered in the same order.

The caller awaits a plain future and need not be a Task. A cancelled command keeps its place in the queue,
so its answer is read and dropped, and never taken for another's. A command without an answer in time
closes the connection, and all commands that wait on it fail.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from redis.asyncio.connection import Connection
from redis.exceptions import ConnectionError as Broken
from redis.exceptions import ResponseError

from portward.engines.port import EngineUnavailable
from portward.engines.redis.connect import TROUBLE, close_connection
from portward.engines.redis.options import Timing
from portward.model.limits import MIB

WAITING: Final = 10_000
"""Most commands that may wait on one connection."""
WAITING_BYTES: Final = 64 * MIB
"""Most bytes of values in them."""
_BATCH: Final = 500

Command = Sequence[Any]


class Backpressure(EngineUnavailable):
    """Too many commands wait; the store itself may be working."""


class _Waiting(NamedTuple):
    """A command that waits for an answer: its future, its deadline, and how many bytes were sent."""

    future: asyncio.Future[Any]
    until: float
    size: int


class MultiplexedConnection:
    """Connection with a command queue. `dial` connects, for the first command and after each loss."""

    def __init__(self, dial: Callable[[], Awaitable[Connection]], timing: Timing) -> None:
        self._dial = dial
        self._timing = timing
        self._queue: deque[tuple[Command, _Waiting]] = deque()
        self._sent: deque[_Waiting] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._reason = "disconnected"
        """Why it ended, in one word: error texts of servers may contain what was sent."""

    def request(self, *commands: Command) -> asyncio.Future[Any]:
        """Send commands without others in between; the future has the answer to the last one.

        It ends with `ResponseError` for an error answer, with `EngineUnavailable` without an answer.

        Raises:
            Backpressure: too many commands wait.
        """
        full = len(self._queue) + len(self._sent) >= WAITING
        if full or self._bytes >= WAITING_BYTES:
            raise Backpressure("too many commands wait for redis")
        loop = asyncio.get_running_loop()
        until = loop.time() + self._timing.command
        for command in commands:
            future: asyncio.Future[Any] = loop.create_future()
            future.add_done_callback(_consume_exception)
            size = sum(len(part) for part in command if isinstance(part, bytes))
            self._bytes += size
            self._queue.append((command, _Waiting(future, until, size)))
        if self._task is None:
            self._task = loop.create_task(self._run())
            self._task.add_done_callback(self._over)
        self._wake.set()
        return future

    def drop(self) -> None:
        """Close the connection; the next command connects again."""
        if self._task is not None:
            self._task.cancel()

    async def close(self) -> None:
        """Close the connection, and wait until it is closed."""
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    async def _run(self) -> None:
        try:
            async with asyncio.timeout(self._timing.connect):
                connection = await self._dial()
            try:
                await self._serve(connection)
            finally:
                await close_connection(connection)
        except TROUBLE as error:
            self._reason = type(error).__name__

    def _over(self, _: asyncio.Task[None]) -> None:
        """Fail the waiting commands; the next one connects again. Called for a Task cancelled early, too."""
        self._task = None
        lost = [*self._sent, *(waiting for _, waiting in self._queue)]
        self._queue, self._sent, self._bytes = deque(), deque(), 0
        for waiting in lost:
            if not waiting.future.done():
                waiting.future.set_exception(
                    EngineUnavailable(f"redis does not answer: {self._reason}")
                )

    async def _serve(self, connection: Connection) -> None:
        parts = [
            asyncio.ensure_future(part)
            for part in (self._write(connection), self._read(connection), self._watch())
        ]
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for part in done:
                part.result()
        finally:
            for part in parts:
                part.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*parts, return_exceptions=True)

    async def _write(self, connection: Connection) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), _BATCH))]
                self._sent.extend(waiting for _, waiting in batch)
                packed = connection.pack_commands([command for command, _ in batch])
                await connection.send_packed_command(packed, check_health=False)

    async def _read(self, connection: Connection) -> None:
        while True:
            answer: Any
            try:
                answer = await connection.read_response(disconnect_on_error=False)
            except ResponseError as error:
                answer = error
            if not self._sent:
                raise Broken("an answer that nobody asked for")
            future, _, size = self._sent.popleft()
            self._bytes -= size
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._timing.command / 8)
            oldest = self._sent[0] if self._sent else self._queue[0][1] if self._queue else None
            if oldest is not None and oldest.until <= loop.time():
                raise TimeoutError


def _consume_exception(future: asyncio.Future[Any]) -> None:
    """Retrieve the error of a cancelled caller's future, so that asyncio does not log it."""
    if not future.cancelled():
        future.exception()
