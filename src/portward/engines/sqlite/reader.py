"""Thread that reads, on a connection of its own: it never waits for the writer's disk."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from portward.engines.port import EngineUnavailable

T = TypeVar("T")

MAX_WAITING: Final = 10_000
"""Most reads that may wait."""


class Reader:
    """Owns its connection. Made and called on the event loop."""

    def __init__(self, executor: ThreadPoolExecutor, connection: sqlite3.Connection) -> None:
        self._executor = executor
        self._db = connection
        self._loop = asyncio.get_running_loop()
        self._waiting = 0

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Let `work` read one snapshot of the store.

        Raises:
            EngineUnavailable: too many reads wait; or, by the future, the store cannot be read.
        """
        if self._waiting >= MAX_WAITING:
            raise EngineUnavailable("too many wait to read the store")
        self._waiting += 1
        future = self._loop.run_in_executor(self._executor, self._read, work)
        future.add_done_callback(self._done)
        return future

    def _done(self, _: object) -> None:
        self._waiting -= 1

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            self._db.execute("BEGIN")
            try:
                return work(self._db)
            finally:
                self._db.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise EngineUnavailable(f"the store cannot be read: {error}") from None

    def stop(self) -> asyncio.Future[None]:
        """Finish the waiting reads, and close the connection. The future is done when it is closed."""
        return self._loop.run_in_executor(self._executor, self._db.close)
