"""The supervisor in the parent: replaces workers that end, and stops all of them together."""

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from portward.app.workers.backoff import RestartBackoff
from portward.app.workers.control_protocol import WorkerOrder, WorkerReport
from portward.app.workers.worker import node_name
from portward.model.clock import Clock
from portward.telemetry import Telemetry
from portward.telemetry.events import Event

TRIES: Final = 3
"""Ends in a row of one worker, before all were ready once, after which the start has failed."""
GRACE: Final = 10.0
"""Seconds after the drain, and after the order to stop at once, until a worker is killed."""


class StartFailedError(Exception):
    """A worker cannot be started; the text is the worker's own, in one line."""


class Worker(Protocol):
    """A supervised worker. See `worker_process.WorkerProcess`."""

    number: int
    ready: bool
    failed: str

    @property
    def pid(self) -> int:
        """The id of its process."""

    def order(self, order: WorkerOrder) -> None:
        """Send it an order."""

    def terminate(self) -> None:
        """Send SIGTERM to it."""

    def kill(self) -> None:
        """Kill it."""

    async def run(self) -> int:
        """Wait until it ends; returns the exit code."""


Heard = Callable[["Worker", WorkerReport], None]
Start = Callable[[int, Heard], Awaitable[Worker]]


class Supervisor:
    """Runs `size` workers, which `start` makes from their numbers.

    `name` is the name of the gateway. `complete` is set while all workers accept connections. `said` is
    called with the texts that a worker prints, and with an empty text when it has ended; `complain` is
    called with the reason why a worker could not serve.
    """

    def __init__(
        self,
        size: int,
        name: str,
        start: Start,
        clock: Clock,
        telemetry: Telemetry,
        said: Callable[[int, str], None],
        complain: Callable[[str], None],
    ) -> None:
        self.size = size
        self.workers: dict[int, Worker] = {}
        self.replaced = 0
        """How many workers were started in place of one that ended."""
        self.complete = asyncio.Event()
        self._name = name
        self._start = start
        self._clock = clock
        self._telemetry = telemetry
        self._said = said
        self._complain = complain
        self._served = False
        self._codes: list[int] = []
        self._left = asyncio.Event()
        self._keepers: list[asyncio.Task[None]] = []

    # -- state

    @property
    def leaving(self) -> bool:
        """Whether all workers are to stop."""
        return self._left.is_set()

    @property
    def ready(self) -> list[int]:
        """The numbers of the workers that accept connections, in order."""
        return sorted(number for number, worker in self.workers.items() if worker.ready)

    # -- lifecycle

    def begin(self) -> None:
        """Start all workers."""
        self._keepers = [asyncio.ensure_future(self._keep(number)) for number in range(self.size)]

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

    def leave(self) -> None:
        """Order all workers to drain; none is replaced any more."""
        self._left.set()
        for worker in self.workers.values():
            if worker.ready:
                worker.order(WorkerOrder.LEAVE)
            else:  # it may not read orders yet
                worker.terminate()

    def end(self) -> None:
        """Order all workers to stop at once."""
        self._left.set()
        for worker in self.workers.values():
            worker.order(WorkerOrder.END)
            if not worker.ready:
                worker.terminate()

    def kill(self) -> None:
        """Kill the remaining workers."""
        for worker in self.workers.values():
            worker.kill()

    @property
    def code(self) -> int:
        """The exit code: 0 when every worker stopped as ordered."""
        return int(any(self._codes))

    async def close(self) -> None:
        """Kill all remaining processes."""
        self._left.set()
        self.kill()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    # -- one worker

    async def _keep(self, number: int) -> None:
        backoff = RestartBackoff()
        while await self._again(number, backoff):
            self.replaced += 1

    async def _again(self, number: int, backoff: RestartBackoff) -> bool:
        """Run one worker until it ends, then wait. Returns False when it is not to be replaced."""
        if self._left.is_set():
            return False
        born = self._clock.monotonic()
        worker, code = await self._live(number)
        ready, failed = (worker.ready, worker.failed) if worker is not None else (False, "")
        lived = self._clock.monotonic() - born
        why = failed or _ending(code) if worker is not None else _no_room(code)
        if code or not self._left.is_set():
            self._tell(number, why, lived)
        if self._left.is_set():
            self._codes.append(code if ready else 0)
            return False
        delay = backoff.died(lived, ready=ready)
        if not self._served and backoff.unready >= TRIES:
            raise StartFailedError(why)
        if failed:
            self._complain(f"worker {number}: {failed}")
        await self._pause(delay)
        return not self._left.is_set()

    async def _live(self, number: int) -> tuple[Worker | None, int]:
        """Run one worker. Returns None for a worker that could not be started; then the code is the errno."""
        try:
            worker = await self._start(number, self._heard)
        except OSError as error:
            return None, error.errno or errno.EAGAIN
        self.workers[number] = worker
        try:
            if self.leaving:  # the order to stop came during the start
                worker.terminate()
            return worker, await worker.run()
        finally:
            del self.workers[number]
            self.complete.clear()
            self._said(number, "")

    def _heard(self, worker: Worker, report: WorkerReport) -> None:
        if report.ready:
            node = node_name(self._name, worker.number)
            self._telemetry.record(Event.WORKER_START, node=node)
            if len(self.ready) == self.size:
                self._served = True
                self.complete.set()
        if report.said:
            self._said(worker.number, report.said)

    def _tell(self, number: int, why: str, lived: float) -> None:
        node, seconds = node_name(self._name, number), round(lived, 3)
        self._telemetry.record(Event.WORKER_END, node=node, detail=why, seconds=seconds)

    async def _pause(self, seconds: float) -> None:
        over = asyncio.Event()
        timer = self._clock.call_later(seconds, over.set)
        waits = [asyncio.ensure_future(each.wait()) for each in (over, self._left)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)


def _no_room(code: int) -> str:
    return f"cannot be started: {os.strerror(code)}"


def _ending(code: int) -> str:
    if code < 0:
        return f"ended by signal {-code}"
    return f"ended with code {code}"
