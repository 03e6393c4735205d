"""A connection to a call-analysis engine: its alerts are published in order, or counted as lost."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from functools import partial
from secrets import token_hex
from threading import Lock
from typing import Any, Final

from portward.model.commands import Publish
from portward.model.errors import CommandError, ErrorKind, Unavailable
from portward.node.node import Node
from portward.protocols.alerts.analysis import AnalysisReport, read
from portward.telemetry.events import Event

PAUSES: Final = (0.2, 1.0, 5.0)
"""Seconds between attempts to publish an alert while the store is unavailable."""
GRACE: Final = 5.0
"""Seconds that a closed connection has to finish the reports it has received."""
TURN: Final = 64
"""Steps after which the event loop runs other tasks."""

_OWN_FAULT: Final = frozenset({ErrorKind.INVALID_STRUCTURE, ErrorKind.TOO_LONG})
"""Command errors that are caused by the report itself."""

Send = Callable[[Publish], Awaitable[object]]


class EngineConnection(ABC):
    """A connection to one engine that sends reports. Made by `gateway.alerts.connect_engine`.

    `received` counts reports; `malformed` counts reports, and entries in them, that could not be parsed;
    `published` and `lost` count alerts.
    """

    def __init__(self, node: Node, namespace: str, send: Send) -> None:
        self.received = 0
        self.published = 0
        self.malformed = 0
        self.lost = 0
        self._node = node
        self._namespace = namespace
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._lock = Lock()
        self._closing = False
        self._steps = 0
        self._queued = 0
        self._done = 0
        self._moved = asyncio.Event()
        self._pause: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> asyncio.Task[None]:
        """Start to publish the reports."""
        self._task = self._loop.create_task(self._live())
        return self._task

    async def join(self) -> None:
        """Wait until the alerts of all received reports are published or lost."""
        target = self._queued
        while self._done < target and not self._over:
            self._moved.clear()
            await self._moved.wait()

    async def ended(self) -> None:
        """Wait until this connection has ended: it was closed, or its iterator is exhausted."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def close(self) -> None:
        """Accept no more reports, finish the received ones, and end the connection."""
        with self._lock:
            self._closing = True
        self._leave()
        if self._pause is not None:
            _finish(self._pause)
        if self._task is None:
            return
        _, late = await asyncio.wait({self._task}, timeout=GRACE)
        for task in late:
            task.cancel()
            await asyncio.wait(late, timeout=GRACE)

    @property
    def _over(self) -> bool:
        return self._task is None or self._task.done()

    @abstractmethod
    def _leave(self) -> None:
        """Stop to receive reports from the engine."""

    @abstractmethod
    async def _run(self) -> None:
        """Publish until no more reports can come."""

    async def _live(self) -> None:
        try:
            await self._run()
        except Exception as error:  # noqa: BLE001 - the engine's code may raise anything
            self._node.telemetry.failure(error, kind="analysis")
        finally:
            self._give_up(self._queued - self._done, "closed")
            self._moved.set()

    def _read(self, event: Any, payload: Any) -> AnalysisReport:
        """Parse a report; an invalid one gives a malformed report, and nothing is raised."""
        try:
            return read(self._namespace, event, payload, key=token_hex(8))
        except ValueError as error:
            return AnalysisReport(malformed=1, reason=str(error))
        except Exception as error:  # noqa: BLE001 - a payload may be an object with its own code
            return AnalysisReport(malformed=1, reason=f"reading it raised {type(error).__name__}")

    def _record_malformed(self, count: int, reason: str) -> None:
        self._node.telemetry.record(Event.ANALYSIS_MALFORMED, count=count, detail=reason)

    def _give_up(self, count: int, reason: str) -> None:
        if count:
            with self._lock:
                self.lost += count
            self._node.telemetry.record(Event.ANALYSIS_LOST, count=count, reason=reason)

    async def _deliver(self, command: Publish) -> None:
        """Publish one alert; while the store is unavailable, repeat a few times."""
        try:
            await self._attempt(command)
        except Unavailable:
            self._give_up(1, "unavailable")
        except CommandError as fault:
            if fault.kind in _OWN_FAULT:
                with self._lock:
                    self.malformed += 1
                self._record_malformed(1, fault.kind.code)
            else:
                self._give_up(1, fault.kind.code)
        except Exception as error:  # noqa: BLE001 - one alert must not end the connection
            self._node.telemetry.failure(error, kind="analysis")
            self._give_up(1, "failed")
        else:
            self.published += 1
        self._done += 1
        self._moved.set()
        await self._breathe()

    async def _attempt(self, command: Publish) -> None:
        for pause in PAUSES:
            try:
                await self._send(command)
            except Unavailable:
                if self._closing:
                    raise
                await self._wait(pause)
            else:
                return
        await self._send(command)

    async def _wait(self, seconds: float) -> None:
        """Wait, at most until the connection is closed."""
        self._pause = pause = self._loop.create_future()
        wake = partial(_finish, pause)
        timer = self._node.clock.call_later(seconds, wake)
        try:
            await pause
        finally:
            timer.cancel()
            self._pause = None

    async def _breathe(self) -> None:
        """Give control to the event loop at intervals: a store in memory never does."""
        self._steps += 1
        if self._steps % TURN == 0:
            await asyncio.sleep(0)


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
