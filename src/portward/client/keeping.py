"""Keeps a client connected: proves it, joins its rooms again, waits before it tries once more."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from portward.client import events
from portward.client.backoff import Backoff
from portward.client.closes import invites_return
from portward.client.connection import Connection
from portward.client.envelope import Envelope
from portward.client.errors import (
    ClientError,
    ConnectionLost,
    Ended,
    NoAnswer,
)
from portward.client.hearing import Hearing
from portward.client.inbox import Inbox
from portward.client.link import Dial, LinkClosed
from portward.client.proving import Prover
from portward.client.rejoining import Failure, rejoin

if TYPE_CHECKING:
    from asyncio import Task


class Keeper:
    """One connection at a time, for as long as the gateway does not forbid the next."""

    def __init__(
        self,
        *,
        dial: Dial,
        inbox: Inbox,
        hearing: Hearing,
        prover: Prover,
        backoff: Backoff,
        reconnect: bool,
        timeout: float,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._dial = dial
        self._inbox = inbox
        self._hearing = hearing
        self._prover = prover
        self._backoff = backoff
        self._reconnect = reconnect
        self._timeout = timeout
        self._sleep = sleep
        self._connection: Connection | None = None
        self._reader: Task[LinkClosed] | None = None
        self._life: Task[None] | None = None
        self._renewal: Task[None] | None = None
        self._returning: set[Task[None]] = set()
        self._since = 0.0
        self._attempt = 0
        self._settled = asyncio.Event()
        self._error: Exception | None = None
        self._closing = False

    # -- life

    @property
    def ready(self) -> bool:
        """Whether requests go out at once."""
        return self._settled.is_set() and self._error is None

    async def open(self) -> None:
        """Connect once, and keep it up from then on.

        Raises:
            ClientError: it could not be done.
        """
        self._life = asyncio.create_task(self._live(*await self._connect()))

    async def close(self) -> None:
        """Close, and stop everything."""
        self._closing = True
        self._over(ConnectionLost("the client was closed"))
        if self._connection is not None:
            await self._connection.close()
        for task in (self._life, self._renewal, self._reader, *self._returning):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._inbox.end(None)

    async def connection(self) -> Connection:
        """Wait for a connection on which every room is joined again.

        Raises:
            ConnectionLost: none in time.
            ClientError: there will be none.
        """
        try:
            async with asyncio.timeout(self._timeout):
                await self._settled.wait()
        except TimeoutError:
            raise ConnectionLost("not connected") from None
        if self._error is not None or self._connection is None:
            raise self._error or ConnectionLost("not connected")
        return self._connection

    def _over(self, error: Exception) -> None:
        self._error = self._error or error
        self._settled.set()

    # -- one connection

    async def _connect(self) -> tuple[Connection, "Task[LinkClosed]"]:
        """Dial and prove."""
        link = await self._dial()
        connection = Connection(link, self._inbox, self._heard, self._timeout)
        reader = asyncio.create_task(connection.listen())
        self._connection, self._reader = connection, reader
        self._since = asyncio.get_running_loop().time()
        self._hearing.asked.clear()
        self._hearing.hint = None
        try:
            await self._prover.prove(connection)
        except BaseException as error:
            closed = await self._dismiss(connection, reader)
            if isinstance(error, ConnectionLost) and not isinstance(error, NoAnswer):
                raise _ended(closed) from None
            raise
        return connection, reader

    async def _dismiss(self, connection: Connection, reader: "Task[LinkClosed]") -> LinkClosed:
        """Close, and read what is left, however full the inbox is."""
        with self._inbox.hurry():
            await connection.close()
            return await reader

    def _heard(self, text: str, envelope: Envelope, answered: bool) -> None:
        self._hearing.hear(text, envelope, answered)
        connection = self._connection
        if envelope.type == "token_expiring" and self._prover.renews and connection is not None:
            self._renewal = asyncio.create_task(self._prover.renew(connection))
        while self._hearing.lost and connection is not None:
            room = self._hearing.lost.pop()
            returning = asyncio.create_task(self._return(connection, room))
            self._returning.add(returning)
            returning.add_done_callback(self._returning.discard)

    async def _return(self, connection: Connection, room: str) -> None:
        """Join a room again that was left because the gateway lost count of it."""
        # Should the connection end meanwhile, the next one joins every room anyway.
        with contextlib.suppress(ClientError):
            await self._rejoin(connection, [room])

    # -- all of them

    async def _live(self, connection: Connection, reader: "Task[LinkClosed]") -> None:
        try:
            while True:
                closed = await self._use(connection, reader)
                self._settled.clear()
                connection, reader = await self._come_back(closed)
        except Exception as error:  # noqa: BLE001 - whatever it is, the iteration tells
            self._over(error)
            self._inbox.end(None if self._closing else error)

    async def _use(self, connection: Connection, reader: "Task[LinkClosed]") -> LinkClosed:
        """Join the rooms again, let requests in, and wait for the end of the connection."""
        try:
            await self._rejoin(connection, list(self._hearing.rooms))
            self._settled.set()
        except NoAnswer as silence:
            await self._dismiss(connection, reader)
            return LinkClosed(None, str(silence))
        except ConnectionLost:
            pass  # the reader knows how it ended
        return await reader

    async def _rejoin(self, connection: Connection, rooms: list[str]) -> None:
        """Join rooms again, those that a limit refuses once more after the time it names."""
        attempt = 0
        while rooms:
            since = {room: self._hearing.place(room) for room in rooms}
            failures = await rejoin(connection, since)
            for failure in failures:
                if not failure.temporary:
                    self._give_up(failure)
            later = [failure for failure in failures if failure.temporary]
            if not later:
                return
            rooms = [failure.room for failure in later]
            # One wait for all of them: none is asked for before the time that was named for it.
            await self._sleep(
                max(each.retry_after or self._backoff.delay(attempt) for each in later)
            )
            attempt += 1

    def _give_up(self, failure: Failure) -> None:
        self._hearing.rooms.pop(failure.room, None)
        self._inbox.put(events.JoinFailed(room=failure.room, code=failure.code, text=failure.text))

    async def _come_back(self, closed: LinkClosed) -> tuple[Connection, "Task[LinkClosed]"]:
        """Connect again after a pause, and again.

        Raises:
            Ended: the close code forbids it.
            ClientError: an attempt failed in a way that will not pass.
        """
        code, reason = closed.code, closed.reason
        if not (self._reconnect and invites_return(code)):
            raise Ended(code, reason)
        hint = self._hearing.hint
        if asyncio.get_running_loop().time() - self._since >= self._backoff.longest:
            # A connection that lasted. After those that did not, the waits go on growing.
            self._attempt = 0
        while True:
            wait = self._backoff.delay(self._attempt) if hint is None else hint
            self._attempt += 1
            self._inbox.put(events.Disconnected(code=code, reason=reason, retry_in=wait))
            await self._sleep(wait)
            try:
                return await self._connect()
            except ClientError as error:
                if not error.temporary:
                    raise
                code, reason, hint = None, str(error), error.retry_after


def _ended(closed: LinkClosed) -> ClientError:
    """What a close in the middle of proving comes to."""
    if invites_return(closed.code):
        return ConnectionLost(closed.reason or "the connection broke")
    return Ended(closed.code, closed.reason)
