"""The parent's work: keep every worker alive, and let all of them leave together."""

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
"""Deaths in a row of one worker, before all were ready once, after which the start has failed."""
GRACE: Final = 10.0
"""Seconds beyond the drain, and after the order to end at once, until a worker is killed."""


class StartFailedError(Exception):
    """A worker cannot be started; the text is its own, in one line."""


class Worker(Protocol):
    """What is kept alive. See `child.Child`."""

    number: int
    ready: bool
    failed: str

    @property
    def pid(self) -> int:
        """The id of its process."""

    def order(self, order: WorkerOrder) -> None:
        """Tell it what to do."""

    def terminate(self) -> None:
        """Ask the system to end it."""

    def kill(self) -> None:
        """End it."""

    async def run(self) -> int:
        """Wait for its end; the exit code."""


Heard = Callable[["Worker", WorkerReport], None]
Start = Callable[[int, Heard], Awaitable[Worker]]


class Supervisor:
    """Keeps `size` workers, made by `start` from their numbers.

    `name` is that of the gateway. `complete` is set while all of them accept. `said` is given what they
    have to print, with nothing when one is gone, and `complain` why one could not serve.
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
        """Workers that took the place of one that was gone."""
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

    # -- who is there

    @property
    def leaving(self) -> bool:
        """Whether all are to leave."""
        return self._left.is_set()

    @property
    def ready(self) -> list[int]:
        """The numbers of the workers that accept, in order."""
        return sorted(number for number, worker in self.workers.items() if worker.ready)

    # -- life

    def begin(self) -> None:
        """Start all of them."""
        self._keepers = [asyncio.ensure_future(self._keep(number)) for number in range(self.size)]

    async def watch(self) -> None:
        """Wait until all have left, as they were told.

        Raises:
            StartFailedError: one of them cannot be started.
        """
        await asyncio.gather(*self._keepers)

    def order(self, order: WorkerOrder) -> list[int]:
        """Tell all workers that accept what to do; returns their numbers."""
        for number in self.ready:
            self.workers[number].order(order)
        return self.ready

    def leave(self) -> None:
        """Let all of them drain; nobody is replaced any more."""
        self._left.set()
        for worker in self.workers.values():
            if worker.ready:
                worker.order(WorkerOrder.LEAVE)
            else:
                worker.terminate()

    def end(self) -> None:
        """Let all of them end at once."""
        self._left.set()
        for worker in self.workers.values():
            worker.order(WorkerOrder.END)
            if not worker.ready:
                worker.terminate()

    def kill(self) -> None:
        """End whoever is left."""
        for worker in self.workers.values():
            worker.kill()

    @property
    def code(self) -> int:
        """The exit code: 0 when everybody left as told."""
        return int(any(self._codes))

    async def close(self) -> None:
        """Leave no process behind, whatever has happened."""
        self._left.set()
        self.kill()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    # -- one of them

    async def _keep(self, number: int) -> None:
        backoff = RestartBackoff()
        while await self._again(number, backoff):
            self.replaced += 1

    async def _again(self, number: int, backoff: RestartBackoff) -> bool:
        """One life, and the pause after it. False when no other is to follow."""
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
        """One life. Without a worker the system had no room for it; then the code says why."""
        try:
            worker = await self._start(number, self._heard)
        except OSError as error:
            return None, error.errno or errno.EAGAIN
        self.workers[number] = worker
        try:
            if self.leaving:  # the order to leave came while it was being started
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
