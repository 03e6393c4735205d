"""The file with its two connections and their threads, as the ports of the engine use it."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from portward.engines.port import EngineUnavailable
from portward.engines.sqlite.files import Claim
from portward.engines.sqlite.reader import Reader
from portward.engines.sqlite.schema import open_reader, open_writer
from portward.engines.sqlite.writer import Work, Writer

T = TypeVar("T")

BATCH: Final = 500
"""Most rows that one transaction of the sweep deletes."""
LARGE_WAL: Final = 16 * 1024 * 1024
"""Bytes of the WAL above which it is truncated."""
SPARE_PAGES: Final = 1000
"""Free pages that stay in a file; of more, some are returned at each sweep."""
RETURNED_PAGES: Final = 2000


class SqliteStore:
    """An open file. `load` reads what is cached, before any other read or write.

    `forget` clears the cache of the writer's thread, `changed` is called with whether the store answers.
    """

    def __init__(
        self,
        path: str,
        load: Callable[[sqlite3.Connection], None],
        forget: Callable[[], None],
        changed: Callable[[bool], None],
    ) -> None:
        self.path = str(Path(path).absolute())
        """Absolute, so that it stays the same file when the process changes its directory."""
        self.healthy = True
        self._load = load
        self._forget = forget
        self._changed = changed
        self._claim = Claim(self.path)
        self._executor: ThreadPoolExecutor | None = None
        self._writer: Writer | None = None
        self._reader: Reader | None = None

    # -- start and stop

    async def start(self) -> None:
        """Open the file.

        Raises:
            EngineInUse: another process has it.
            EngineFileError: it cannot be opened, is damaged, or is of another program.
        """
        if self._executor is not None:
            raise RuntimeError("the store is open already")
        self._executor = ThreadPoolExecutor(1, "portward-sqlite-reader")
        opening = asyncio.get_running_loop().run_in_executor(self._executor, self._open)
        try:
            writing, reading = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(self._abandon)
            raise
        except BaseException:
            self._retire()
            raise
        self.healthy = True
        self._writer = Writer(writing, self._forget, self._note)
        self._reader = Reader(self._executor, reading)

    def _open(self) -> tuple[sqlite3.Connection, sqlite3.Connection]:
        self._claim.take()
        try:
            writing = open_writer(self.path)
            try:
                self._forget()
                self._load(writing)
                return writing, open_reader(self.path)
            except BaseException:
                writing.close()
                raise
        except BaseException:
            self._claim.release()
            raise

    def _abandon(
        self, opening: asyncio.Future[tuple[sqlite3.Connection, sqlite3.Connection]]
    ) -> None:
        """Close the connections of an open that was cancelled."""
        if not opening.cancelled() and opening.exception() is None:
            for connection in opening.result():
                connection.close()
            self._claim.release()
        self._retire()

    def _retire(self) -> None:
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False)

    async def stop(self) -> None:
        """Carry out what is queued, and close the file; does nothing when it is not open."""
        reader, self._reader = self._reader, None
        writer, self._writer = self._writer, None
        if reader is None or writer is None:
            return
        # The connection that is closed last deletes the WAL, if it may write.
        reader.stop().add_done_callback(lambda _: writer.stop())
        writer.ended.add_done_callback(self._release)
        await asyncio.shield(writer.ended)

    def _release(self, _: object) -> None:
        """Release the file; called also when the wait for the stop was cancelled."""
        self._retire()
        self._claim.release()

    def _note(self, up: bool) -> None:
        if up != self.healthy:
            self.healthy = up
            self._changed(up)

    # -- commands

    def write(
        self, work: Work[T], settle: Callable[[T], None] | None = None, *, alone: bool = False
    ) -> asyncio.Future[T]:
        """Let the writer carry `work` out; `settle` gets the result on the loop, after the commit.

        Raises:
            EngineUnavailable: the store is closed, too much waits, or (by the future) it cannot be written.
        """
        if self._writer is None:
            raise EngineUnavailable("the store is closed")
        return self._writer.submit(work, settle, alone=alone)

    def execute(self, sql: str, values: tuple[Any, ...]) -> asyncio.Future[int]:
        """Let the writer execute one statement. Returns how many rows it changed."""
        return self.write(lambda db: db.execute(sql, values).rowcount)

    def read(self, work: Work[T]) -> asyncio.Future[T]:
        """Let the reader carry `work` out: it sees all that was committed before.

        Raises:
            EngineUnavailable: the store is closed, too many wait, or (by the future) it cannot be read.
        """
        if self._reader is None:
            raise EngineUnavailable("the store is closed")
        return self._reader.submit(work)

    # -- housekeeping

    async def purge(self, sql: str, *values: Any, step: int = BATCH) -> None:
        """Repeat a statement that deletes at most as many rows as its last value, `step`."""
        while await self.execute(sql, (*values, step)) >= step:
            pass

    async def probe(self) -> None:
        """Write a row when the store did not answer, to learn whether it does again."""
        if not self.healthy:
            await self.execute("INSERT OR REPLACE INTO kept (key, value) VALUES ('', '')", ())

    async def tidy(self) -> None:
        """Return free pages, and truncate the WAL when it has grown large."""
        await self.write(_return_pages, alone=True)
        await self.write(lambda db: _cut_log(db, Path(f"{self.path}-wal")), alone=True)


def _return_pages(db: sqlite3.Connection) -> None:
    (free,) = db.execute("PRAGMA freelist_count").fetchone()
    if free > SPARE_PAGES:
        number = min(free - SPARE_PAGES, RETURNED_PAGES)
        # One step of this statement returns one page, and `execute` takes no more than one step.
        db.executescript(f"PRAGMA incremental_vacuum({number:d})")


def _cut_log(db: sqlite3.Connection, log: Path) -> None:
    with suppress(OSError):
        if log.stat().st_size > LARGE_WAL:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
