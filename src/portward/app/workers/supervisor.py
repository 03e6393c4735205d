"""The supervisor in the parent: replaces workers that end, and stops all of them together."""

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

from portward.app.workers.control_protocol import WorkerOrder, WorkerReport
from portward.app.workers.worker import node_name
from portward.app.workers.worker_process import WorkerProcess
from portward.model.clock import Clock
from portward.telemetry import Telemetry
from portward.telemetry.events import Event

TRIES: Final = 3
"""Ends in a row of one worker, before all were ready once, after which the start has failed."""
GRACE: Final = 10.0
"""Seconds after the drain, and after the order to stop at once, until a worker is killed."""
FIRST_DELAY: Final = 0.5
LONGEST_DELAY: Final = 30.0
SOUND: Final = 60.0
"""Seconds of running after which the delay before a replacement is the first one again."""


class StartFailedError(Exception):
    """A worker cannot be started; the text is the worker's own, in one line."""


ReportHandler = Callable[[WorkerProcess, WorkerReport], None]
Start = Callable[[int, int, ReportHandler], Awaitable[WorkerProcess]]


class SupervisorEvents(Protocol):
    """What the supervisor reports."""

    def on_text(self, number: int, text: str) -> None:
        """Handle a text that a worker prints; it is empty when the worker has ended."""

    def complain(self, text: str) -> None:
        """Handle the reason why a worker could not serve."""

    def changed(self) -> None:
        """Handle that other workers than before accept connections."""


class Supervisor:
    """Runs `size` workers, which `start` makes from their numbers and the number of replacements so far.

    `name` is the name of the gateway. `complete` is set while all workers accept connections.
    """

    def __init__(
        self,
        size: int,
        name: str,
        start: Start,
        events: SupervisorEvents,
        clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        self.workers: dict[int, WorkerProcess] = {}
        self.replaced = 0
        """How many workers were started in place of one that ended."""
        self.complete = asyncio.Event()
        self._size = size
        self._name = name
        self._start = start
        self._events = events
        self._clock = clock
        self._telemetry = telemetry
        self._served = False
        self._codes: list[int] = []
        self._left = asyncio.Event()
        self._keepers: list[asyncio.Task[None]] = []

    @property
    def ready(self) -> list[int]:
        """The numbers of the workers that accept connections, in order."""
        return sorted(number for number, worker in self.workers.items() if worker.ready)

    @property
    def code(self) -> int:
        """The exit code: 0 when every worker stopped as ordered."""
        return int(any(self._codes))

    # -- lifecycle

    def begin(self) -> None:
        """Start all workers."""
        self._keepers = [asyncio.ensure_future(self._keep(number)) for number in range(self._size)]

    async def watch(self) -> None:
        """Wait until all workers have stopped as ordered.

        Raises:
            StartFailedError: a worker cannot be started.
        """
        await asyncio.gather(*self._keepers)

    def order(self, order: WorkerOrder) -> list[int]:
        """Send an order to all workers that accept connections; returns their numbers."""
        for number in self.ready:
            self.workers[number].order(order)
        return self.ready

    def stop(self, order: WorkerOrder) -> None:
        """Order all workers to stop, after a drain or at once; none is replaced any more."""
        self._left.set()
        for worker in self.workers.values():
            worker.order(order)
            if not worker.ready:  # it may not read orders yet
                worker.terminate()

    def kill(self) -> None:
        """Kill the remaining workers."""
        for worker in self.workers.values():
            worker.kill()

    async def close(self) -> None:
        """Kill all remaining processes."""
        self._left.set()
        self.kill()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    # -- one worker

    async def _keep(self, number: int) -> None:
        """Run one worker after the other, with a delay that doubles until one runs for a minute."""
        delay, unready = FIRST_DELAY, 0
        while not self._left.is_set():
            born = self._clock.monotonic()
            worker, code = await self._live(number)
            lived = self._clock.monotonic() - born
            ready, failed = (worker.ready, worker.failed) if worker is not None else (False, "")
            why = failed or (_ending(code) if worker is not None else _not_started(code))
            if code or not self._left.is_set():
                self._record(Event.WORKER_END, number, detail=why, seconds=round(lived, 3))
            if self._left.is_set():
                self._codes.append(code if ready else 0)
                return
            unready = 0 if ready else unready + 1
            if not self._served and unready >= TRIES:
                raise StartFailedError(why)
            if failed:
                self._events.complain(f"worker {number}: {failed}")
            delay = FIRST_DELAY if lived >= SOUND else delay
            with after(self._clock, delay) as over:
                await any_of(over, self._left)
            delay = min(2 * delay, LONGEST_DELAY)
            if not self._left.is_set():
                self.replaced += 1
                for other in self.workers.values():
                    other.order(WorkerOrder.REPLACED)

    async def _live(self, number: int) -> tuple[WorkerProcess | None, int]:
        """Run one worker. Returns None for a worker that could not be started; then the code is the errno."""
        before = self.replaced
        try:
            worker = await self._start(number, before, self._on_report)
        except OSError as error:
            return None, error.errno or errno.EAGAIN
        self.workers[number] = worker
        for _ in range(self.replaced - before):  # others were replaced during the start
            worker.order(WorkerOrder.REPLACED)
        try:
            if self._left.is_set():  # the order to stop came during the start
                worker.terminate()
            return worker, await worker.run()
        finally:
            del self.workers[number]
            self.complete.clear()
            self._events.changed()
            self._events.on_text(number, "")

    def _on_report(self, worker: WorkerProcess, report: WorkerReport) -> None:
        if report.ready:
            self._record(Event.WORKER_START, worker.number)
            self._events.changed()
            if len(self.ready) == self._size:
                self._served = True
                self.complete.set()
        if report.text:
            self._events.on_text(worker.number, report.text)

    def _record(self, event: Event, number: int, **fields: Any) -> None:
        self._telemetry.record(event, node=node_name(self._name, number), **fields)


@contextmanager
def after(clock: Clock, seconds: float) -> Iterator[asyncio.Event]:
    """Make an event that is set after `seconds`."""
    over = asyncio.Event()
    timer = clock.call_later(seconds, over.set)
    try:
        yield over
    finally:
        timer.cancel()


async def any_of(*events: asyncio.Event, task: "asyncio.Task[None] | None" = None) -> None:
    """Wait for one of the events, or for the end of a task."""
    waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(each.wait()) for each in events]
    try:
        others = [task] if task is not None else []
        await asyncio.wait([*waits, *others], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


def _not_started(code: int) -> str:
    return f"cannot be started: {os.strerror(code)}"


def _ending(code: int) -> str:
    return f"ended by signal {-code}" if code < 0 else f"ended with code {code}"
