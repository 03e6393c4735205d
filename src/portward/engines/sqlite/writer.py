"""Thread that writes: commands queued during a commit go into the next transaction together.

A command is a function of the connection. After the commit its `settle` is called on the event loop, and
then its caller's future is done, in the order of the commits.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, TypeVar

from portward.engines.port import EngineUnavailable

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

MAX_QUEUED: Final = 10_000
"""Most commands that may wait."""
MAX_GROUP: Final = 1_000
"""Most commands of one transaction."""


@dataclass(slots=True)
class WriteCommand(Generic[T]):
    """`settle` is called on the loop with the result; with `alone` it runs outside of transactions."""

    work: Work[T]
    settle: Callable[[T], None] | None
    future: asyncio.Future[T]
    alone: bool
    result: T | None = None
    error: Exception | None = None


class Writer:
    """Owns its connection. Made, called and stopped on the event loop.

    `forget` is called in the thread when anything was rolled back; `changed` on the loop when the store
    stops answering, or answers again.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        forget: Callable[[], None],
        changed: Callable[[bool], None],
    ) -> None:
        self._db = connection
        self._forget = forget
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[WriteCommand[Any] | None] = SimpleQueue()
        self._stopping = False
        self.ended: asyncio.Future[None] = self._loop.create_future()
        """Done when the connection is closed."""
        # A daemon: an interpreter that exits without `stop` must not wait for commands for ever.
        self._thread = threading.Thread(target=self._run, name="portward-sqlite", daemon=True)
        self.ended.add_done_callback(lambda _: self._thread.join())
        self._thread.start()

    def submit(
        self, work: Work[T], settle: Callable[[T], None] | None = None, *, alone: bool = False
    ) -> asyncio.Future[T]:
        """Queue a command; it is carried out even if the future is cancelled.

        Raises:
            EngineUnavailable: the queue is full, or the writer has been stopped.
        """
        if self._stopping:
            raise EngineUnavailable("the store is closed")
        if self._queue.qsize() >= MAX_QUEUED:
            raise EngineUnavailable("too many commands wait for the store")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(WriteCommand(work, settle, future, alone))
        return future

    def stop(self) -> None:
        """Take no more commands, carry out those that are queued, and close the connection."""
        self._stopping = True
        self._queue.put(None)

    # -- in the thread

    def _run(self) -> None:
        while group := self._next():
            part: list[WriteCommand[Any]] = []
            for command in group:
                if command.alone:
                    self._finish(part)
                    part = []
                    self._perform(command)
                else:
                    part.append(command)
            self._finish(part)
        with suppress(sqlite3.Error):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.close()
        self._tell(self.ended.set_result, None)

    def _next(self) -> list[WriteCommand[Any]]:
        """Wait for a command, and take all that are queued. Empty at the end."""
        group: list[WriteCommand[Any]] = []
        command = self._queue.get()
        while command is not None:
            group.append(command)
            if len(group) == MAX_GROUP:
                return group
            try:
                command = self._queue.get_nowait()
            except Empty:
                return group
        if group:
            self._queue.put(None)
        return group

    def _finish(self, group: list[WriteCommand[Any]]) -> None:
        """Carry a group out in one transaction, and schedule its results."""
        if not group:
            return
        up: bool | None = True
        before = self._db.total_changes
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for command in group:
                self._attempt(command)
            self._db.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - after any error the thread must go on
            self._give_up(group, error)
            up = False
        if up and self._db.total_changes == before:
            up = None  # nothing was written, so the state of the disk is unknown
        self._tell(self._settle, group, up)

    def _attempt(self, command: WriteCommand[Any]) -> None:
        """Carry one command out; its own error does not affect the others of the group."""
        self._db.execute("SAVEPOINT command")
        try:
            command.result = command.work(self._db)
        except Exception as error:
            if _is_trouble(error):
                raise
            command.error = error
            self._forget()
            self._db.execute("ROLLBACK TO command")
        self._db.execute("RELEASE command")

    def _give_up(self, group: list[WriteCommand[Any]], error: Exception) -> None:
        """Roll back a whole group: the disk is full, or cannot be written."""
        with suppress(sqlite3.Error):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        self._forget()
        for command in group:
            command.error = EngineUnavailable(f"the store cannot be written: {error}")

    def _perform(self, command: WriteCommand[Any]) -> None:
        """Carry out a command that cannot be part of a transaction."""
        try:
            command.result = command.work(self._db)
        except Exception as error:  # noqa: BLE001 - after any error the thread must go on
            command.error = EngineUnavailable(f"the store cannot be tidied: {error}")
        self._tell(self._settle, [command], None)

    def _tell(self, function: Callable[..., None], *values: Any) -> None:
        # With a closed loop no caller waits any more.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *values)

    # -- on the loop

    def _settle(self, group: list[WriteCommand[Any]], up: bool | None) -> None:
        if up is not None:
            self._changed(up)
        for command in group:
            if command.error is None and command.settle is not None:
                self._say(command)
            if command.future.done():
                continue
            if command.error is not None:
                command.future.set_exception(command.error)
            else:
                command.future.set_result(command.result)

    def _say(self, command: WriteCommand[Any]) -> None:
        try:
            assert command.settle is not None  # noqa: S101 - for the type checker
            command.settle(command.result)
        except Exception as error:  # noqa: BLE001 - an error of one callback must not block other callers
            self._loop.call_exception_handler(
                {"message": "an announcement of the engine failed", "exception": error}
            )


def _is_trouble(error: Exception) -> bool:
    """Whether the store failed, not the command."""
    whole = (sqlite3.OperationalError, sqlite3.InternalError, MemoryError)
    return isinstance(error, whole) or type(error) is sqlite3.DatabaseError
