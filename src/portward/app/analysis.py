"""A connection to a call-analysis engine: what it reports is published in order, or counted as lost."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from functools import partial
from secrets import token_hex
from threading import Lock
from typing import Any, Final

from portward.dialects.analysis import AnalysisReport, read
from portward.model.commands import Publish
from portward.model.errors import CommandError, ErrorKind, Unavailable
from portward.node.node import Node
from portward.telemetry.events import Event

PAUSES: Final = (0.2, 1.0, 5.0)
"""Seconds between attempts to publish an alert while the store is away."""
GRACE: Final = 5.0
"""Seconds a connection that is closed may take for what it has already been told."""
TURN: Final = 64
"""Steps between which the event loop gets its turn."""

_OWN_FAULT: Final = frozenset({ErrorKind.INVALID_STRUCTURE, ErrorKind.TOO_LONG})
"""Faults that lie in the report itself."""

Send = Callable[[Publish], Awaitable[object]]


class EngineConnection(ABC):
    """One engine that reports. Made by `gateway.alerts.connect_engine`.

    `received` counts reports, `malformed` those, and entries in them, that could not be read;
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
        """Begin to publish what is reported."""
        self._task = self._loop.create_task(self._live())
        return self._task

    async def join(self) -> None:
        """Wait until everything received so far is published, or lost."""
        target = self._queued
        while self._done < target and not self._over:
            self._moved.clear()
            await self._moved.wait()

    async def ended(self) -> None:
        """Wait until this connection is over: closed, or an iterator that has nothing more to say."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def close(self) -> None:
        """Take no more reports, finish those that were received, and be over."""
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
        """Stop listening to the engine."""

    @abstractmethod
    async def _run(self) -> None:
        """Publish until there is nothing more to come."""

    async def _live(self) -> None:
        try:
            await self._run()
        except Exception as error:  # noqa: BLE001 - the engine's code may raise anything
            self._node.telemetry.failure(error, kind="analysis")
        finally:
            self._give_up(self._queued - self._done, "closed")
            self._moved.set()

    def _read(self, event: Any, payload: Any) -> AnalysisReport:
        """Read a report; one that is no report is a malformed one, and nothing is raised."""
        try:
            return read(self._namespace, event, payload, key=token_hex(8))
        except ValueError as error:
            return AnalysisReport(malformed=1, reason=str(error))
        except Exception as error:  # noqa: BLE001 - a payload may be an object with code of its own
            return AnalysisReport(malformed=1, reason=f"reading it raised {type(error).__name__}")

    def _tell_malformed(self, count: int, reason: str) -> None:
        self._node.telemetry.record(Event.ANALYSIS_MALFORMED, count=count, detail=reason)

    def _give_up(self, count: int, reason: str) -> None:
        if count:
            with self._lock:
                self.lost += count
            self._node.telemetry.record(Event.ANALYSIS_LOST, count=count, reason=reason)

    async def _deliver(self, command: Publish) -> None:
        """Publish one alert; while the store is away, try it a few times more."""
        try:
            await self._attempt(command)
        except Unavailable:
            self._give_up(1, "unavailable")
        except CommandError as fault:
            if fault.kind in _OWN_FAULT:
                with self._lock:
                    self.malformed += 1
                self._tell_malformed(1, fault.kind.code)
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
        """Let time pass, unless the connection is closed meanwhile."""
        self._pause = pause = self._loop.create_future()
        wake = partial(_finish, pause)
        timer = self._node.clock.call_later(seconds, wake)
        try:
            await pause
        finally:
            timer.cancel()
            self._pause = None

    async def _breathe(self) -> None:
        """Let the event loop turn now and then: a store in memory never does."""
        self._steps += 1
        if self._steps % TURN == 0:
            await asyncio.sleep(0)


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
