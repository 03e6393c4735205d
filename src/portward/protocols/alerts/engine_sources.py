"""The two kinds of connections to call-analysis engines.

EngineConnection
|- EmitterConnection    the engine calls handlers, from any thread: a bounded queue in between
`- IteratorConnection   the gateway requests the next report, after it has published the last one
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from portward.model.commands import Publish
from portward.node.node import Node
from portward.protocols.alerts.analysis import EVENTS, AnalysisReport
from portward.protocols.alerts.engine_connection import EngineConnection, Send
from portward.telemetry.events import Event

QUEUE: Final = 10_000
"""The most alerts of one engine that wait to be published; further ones are lost."""


class EmitterConnection(EngineConnection):
    """An engine with `on(event, handler)`. The handlers are fast, and can be called from any thread."""

    def __init__(self, node: Node, namespace: str, send: Send, engine: Any) -> None:
        super().__init__(node, namespace, send)
        self._engine = engine
        self._queue: deque[Publish] = deque()
        self._unreported = 0
        self._unread = 0
        self._reason = ""
        self._wanted = asyncio.Event()
        self._woken = False
        self._handlers = {event: partial(self._on_report, event) for event in EVENTS}
        try:
            for event, handler in self._handlers.items():
                engine.on(event, handler)
        except BaseException:
            self._closing = True
            self._leave()
            raise

    def _on_report(self, event: str, *arguments: Any, **_: Any) -> None:
        """Receive one report, in any thread."""
        reading = self._read(event, arguments[0] if arguments else None)
        with self._lock:
            if self._closing:
                return
            self._take(reading)
            woken, self._woken = self._woken, True
        if not woken:
            self._wake()

    def _take(self, reading: AnalysisReport) -> None:
        room = QUEUE - len(self._queue)
        fits = reading.alerts[:room]
        self.received += 1
        self._queue.extend(fits)
        self._queued += len(fits)
        lost = len(reading.alerts) - len(fits)
        self.lost += lost
        self._unreported += lost
        if reading.malformed:
            self.malformed += reading.malformed
            self._unread += reading.malformed
            self._reason = reading.reason

    def _wake(self) -> None:
        with suppress(RuntimeError):  # the loop is closed: nothing can be published any more
            self._loop.call_soon_threadsafe(self._wanted.set)

    def _leave(self) -> None:
        handlers, self._handlers = self._handlers, {}
        remove = getattr(self._engine, "remove_listener", None) or getattr(
            self._engine, "off", None
        )
        if remove is not None:
            for event, handler in handlers.items():
                self._remove(remove, event, handler)
        self._wanted.set()

    def _remove(self, remove: Callable[..., Any], event: str, handler: Callable[..., Any]) -> None:
        try:
            remove(event, handler)
        except LookupError:
            pass  # the engine has removed it already
        except Exception as error:  # noqa: BLE001 - the engine's code may raise anything
            self._node.telemetry.failure(error, kind="analysis")

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            with self._lock:
                self._wanted.clear()
                self._woken = False
            await self._empty()
            if self._closing and not self._queue:
                return

    async def _empty(self) -> None:
        self._record_counts()
        while self._queue:
            await self._deliver(self._queue.popleft())

    def _record_counts(self) -> None:
        """Record what the handlers only counted, because they may run in another thread."""
        with self._lock:
            unread, self._unread = self._unread, 0
            unreported, self._unreported = self._unreported, 0
        if unread:
            self._record_malformed(unread, self._reason)
        if unreported:
            self._node.telemetry.record(Event.ANALYSIS_LOST, count=unreported, reason="queue_full")


class IteratorConnection(EngineConnection):
    """An engine that is an asynchronous iterator of (event, payload); ends when it ends or raises."""

    def __init__(self, node: Node, namespace: str, send: Send, source: AsyncIterator[Any]) -> None:
        super().__init__(node, namespace, send)
        self._source = source
        self._asking = False

    def _leave(self) -> None:
        # A report that has arrived but was not processed yet is processed first.
        self._loop.call_soon(self._stop_asking)

    def _stop_asking(self) -> None:
        if self._asking and self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            while not self._closing:
                self._asking = True
                try:
                    item = await anext(self._source)
                except StopAsyncIteration:
                    return
                finally:
                    self._asking = False
                await self._take(item)
        finally:
            close = getattr(self._source, "aclose", None)
            if close is not None:
                await close()

    async def _take(self, item: Any) -> None:
        self.received += 1
        pair = isinstance(item, tuple | list) and len(item) == 2  # noqa: PLR2004 - a pair
        reading = self._read(*item) if pair else AnalysisReport(malformed=1, reason="not a pair")
        if reading.malformed:
            self.malformed += reading.malformed
            self._record_malformed(reading.malformed, reading.reason)
        self._queued += len(reading.alerts)
        for command in reading.alerts:
            await self._deliver(command)
        await self._breathe()
