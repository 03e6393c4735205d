"""The two kinds of engines: those that call, and those that are asked."""

import asyncio
from collections.abc import AsyncIterator
from threading import Thread
from typing import Any

import pytest
from pyee import EventEmitter
from pyee.asyncio import AsyncIOEventEmitter

from portward.protocols.alerts import engine_sources
from portward.telemetry.events import Event
from tests.app.calls import alerts, subscriber
from tests.running_gateway import RunningGateway, run_gateway, settle


def hold(number: int) -> dict[str, Any]:
    """A report of one event."""
    return {"callId": "c", "events": [{"type": "hold", "timestamp": number}]}


async def stored(running: RunningGateway) -> list[Any]:
    """The numbers of all events that were published."""
    found = await running.gateway.alerts.history(100, "c")
    return [each.data["timestamp"] for each in found]


# -- emitters


@pytest.mark.parametrize("make", [EventEmitter, AsyncIOEventEmitter])
async def test_an_emitter(make: type[EventEmitter]) -> None:
    """What an emitter of pyee emits becomes alerts that subscribers hear."""
    async with run_gateway() as running:
        ann = await subscriber(running, "c")
        engine = make()
        connection = running.gateway.alerts.connect_engine(engine)
        engine.emit("result", {"callId": "c", "callQuality": {"mosScore": 3.2}, "sentiment": -1})
        engine.emit("anomalies", {"callId": "c", "anomalies": [{"type": "x", "confidence": 1}]})
        engine.emit("other", {"callId": "c"})
        await connection.join()
        await settle()
        assert [(each["type"], each["severity"]) for each in alerts(ann)] == [
            ("call_quality", "high"),
            ("anomaly:x", "high"),
        ]
        await connection.close()
        assert not any(engine.listeners(event) for event in ("result", "events", "anomalies"))
        engine.emit("events", hold(1))
        await settle()
        assert (connection.received, connection.published) == (2, 2)


async def test_an_emitter_in_another_thread() -> None:
    """Handlers may be called from any thread; order is kept and nothing is lost."""
    async with run_gateway() as running:
        engine = EventEmitter()
        connection = running.gateway.alerts.connect_engine(engine)

        def work() -> None:
            for number in range(2000):
                engine.emit("events", hold(number))

        thread = Thread(target=work)
        thread.start()
        await asyncio.to_thread(thread.join)
        await connection.join()
        assert (connection.received, connection.published, connection.lost) == (2000, 2000, 0)
        assert await stored(running) == [*range(1900, 2000)]


async def test_emitters_in_many_threads() -> None:
    """Counts are right when several threads report at once."""
    async with run_gateway() as running:
        engine = EventEmitter()
        connection = running.gateway.alerts.connect_engine(engine)

        def work() -> None:
            for number in range(300):
                engine.emit("events", hold(number))
                engine.emit("events", {"callId": "c", "events": [1]})

        threads = [Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        await connection.join()
        assert (connection.received, connection.published) == (2400, 1200)
        assert (connection.malformed, connection.lost) == (1200, 0)


async def test_what_does_not_fit_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alerts beyond the bound of the queue are lost, counted and logged; the first ones are kept."""
    monkeypatch.setattr(engine_sources, "QUEUE", 5)
    async with run_gateway() as running:
        engine = EventEmitter()
        connection = running.gateway.alerts.connect_engine(engine)
        for number in range(3):
            engine.emit("events", hold(number))
        many = [{"type": "hold", "timestamp": number} for number in range(3, 9)]
        engine.emit("events", {"callId": "c", "events": many})
        engine.emit("events", hold(9))
        assert (connection.received, connection.lost) == (5, 5)
        await connection.join()
        assert await stored(running) == [0, 1, 2, 3, 4]
        assert (connection.published, running.events(Event.ANALYSIS_LOST)) == (5, 1)
        engine.emit("events", hold(10))
        await connection.join()
        assert (await stored(running))[-1] == 10


async def test_the_bound() -> None:
    """Ten thousand alerts may wait."""
    assert engine_sources.QUEUE == 10_000


class Bare:
    """An engine from which nobody can take a handler back."""

    def __init__(self) -> None:
        self.handlers: dict[str, Any] = {}

    def on(self, event: str, handler: Any) -> None:
        """Listen."""
        self.handlers[event] = handler


class Off(Bare):
    """An engine that calls it `off`."""

    def off(self, event: str, handler: Any) -> None:
        """Listen no more."""
        if self.handlers.get(event) is handler:
            del self.handlers[event]


class Stubborn(Bare):
    """An engine that fails when a handler is taken back."""

    def remove_listener(self, *_: Any) -> None:
        """Fail."""
        raise ZeroDivisionError


class Closed(Bare):
    """An engine that takes two handlers, and no more."""

    taken = 0

    def on(self, event: str, handler: Any) -> None:
        """Listen, or fail."""
        self.taken += 1
        if self.taken > 2:
            raise ZeroDivisionError
        super().on(event, handler)


@pytest.mark.parametrize(("make", "errors"), [(Bare, 0), (Off, 0), (Stubborn, 3)])
async def test_other_engines(make: type[Bare], errors: int) -> None:
    """An engine is left by the method it has, if any; after that its reports are not heard."""
    async with run_gateway() as running:
        engine = make()
        connection = running.gateway.alerts.connect_engine(engine)
        handlers = dict(engine.handlers)
        handlers["events"](hold(1), "more", named=1)
        handlers["events"]()
        await connection.close()
        handlers["events"](hold(2))
        assert await stored(running) == [1]
        assert (connection.received, connection.malformed) == (2, 1)
        assert running.events(Event.INTERNAL_ERROR) == errors
        assert bool(engine.handlers) == (make is not Off)


async def test_handlers_that_are_gone() -> None:
    """An emitter that has dropped its handlers itself is left without a word."""
    async with run_gateway() as running:
        engine = EventEmitter()
        connection = running.gateway.alerts.connect_engine(engine)
        engine.remove_all_listeners("events")
        await connection.close()
        assert running.events(Event.INTERNAL_ERROR) == 0


async def test_an_engine_that_takes_no_handler() -> None:
    """When an engine refuses a handler the error is the caller's, and the others hear nothing."""
    async with run_gateway() as running:
        engine = Closed()
        with pytest.raises(ZeroDivisionError):
            running.gateway.alerts.connect_engine(engine)
        engine.handlers["result"]({"callId": "c", "callQuality": {}})
        await settle()
        assert await running.gateway.alerts.history() == []


def test_a_loop_that_is_gone() -> None:
    """An engine that outlives the event loop feels nothing of it."""
    engine = EventEmitter()

    async def run() -> Any:
        async with run_gateway() as running:
            return running.gateway.alerts.connect_engine(engine)

    connection = asyncio.run(run())
    connection._closing = False
    connection._on_report("events", hold(1))
    assert connection.received == 1


# -- iterators


async def test_an_iterator() -> None:
    """An asynchronous iterator is read to its end, and no faster than alerts are published."""
    async with run_gateway() as running:
        ahead: list[int] = []

        async def engine() -> AsyncIterator[tuple[str, Any]]:
            for number in range(150):
                ahead.append(number - connection.published)
                yield "events", hold(number)

        connection = running.gateway.alerts.connect_engine(engine())
        await connection.ended()
        await connection.join()
        assert (connection.received, connection.published) == (150, 150)
        assert set(ahead) == {0}
        assert await stored(running) == [*range(50, 150)]


class Iterable:
    """An asynchronous iterable that is no generator."""

    def __init__(self, *items: Any) -> None:
        self.items = list(items)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if not self.items:
            raise StopAsyncIteration
        item = self.items.pop(0)
        if isinstance(item, Exception):
            raise item
        return item


async def test_malformed_items() -> None:
    """What is no pair, or no report, is counted and logged and stops nothing."""
    async with run_gateway() as running:
        items: list[Any] = [
            None,
            "xy",
            ("events",),
            ("events", 1, 2),
            ["events", hold(1)],
            (1, {}),
            ({}, 1),
        ]
        connection = running.gateway.alerts.connect_engine(Iterable(*items, ("events", hold(2))))
        await connection.ended()
        assert await stored(running) == [1, 2]
        assert (connection.received, connection.malformed, connection.published) == (8, 6, 2)
        assert running.events(Event.ANALYSIS_MALFORMED) == 6


async def test_an_iterator_that_raises() -> None:
    """An error of the iterator is recorded and ends its connection; others go on."""
    async with run_gateway() as running:
        other = EventEmitter()
        going = running.gateway.alerts.connect_engine(other)
        source = Iterable(("events", hold(1)), ZeroDivisionError("secret"), ("events", hold(2)))
        connection = running.gateway.alerts.connect_engine(source)
        await connection.ended()
        await connection.close()
        assert running.events(Event.INTERNAL_ERROR) == 1
        other.emit("events", hold(3))
        await going.join()
        assert await stored(running) == [1, 3]


async def test_closing_a_quiet_iterator() -> None:
    """A connection that waits for the next report ends at once, and so does the iterator."""
    async with run_gateway() as running:
        ended = []

        async def engine() -> AsyncIterator[tuple[str, Any]]:
            try:
                yield "events", hold(1)
                await asyncio.get_running_loop().create_future()
            finally:
                ended.append(True)

        connection = running.gateway.alerts.connect_engine(engine())
        await settle()
        await connection.close()
        assert ended == [True]
        assert await stored(running) == [1]
        assert running.events(Event.INTERNAL_ERROR) == 0


async def test_closing_a_busy_iterator() -> None:
    """The report in hand is published to its end, and the iterator is not asked again."""
    async with run_gateway() as running:
        ended = []

        async def engine() -> AsyncIterator[tuple[str, Any]]:
            try:
                events = [{"type": "hold", "timestamp": number} for number in range(100)]
                yield "events", {"callId": "c", "events": events}
                raise AssertionError
            finally:
                ended.append(True)

        begun = asyncio.Event()
        running.gateway.alerts.on("alert_emitted", lambda _: begun.set())
        connection = running.gateway.alerts.connect_engine(engine())
        await begun.wait()
        await connection.close()
        assert ended == [True]
        assert (connection.published, connection.lost) == (100, 0)


async def test_an_iterator_ends_with_the_gateway() -> None:
    """When the gateway stops, iterators are left."""
    ended = []

    async def engine() -> AsyncIterator[tuple[str, Any]]:
        try:
            while True:
                yield "result", {"callId": "c"}
                await asyncio.sleep(0)
        finally:
            ended.append(True)

    async with run_gateway() as running:
        running.gateway.alerts.connect_engine(engine())
        await settle()
    assert ended == [True]


async def test_a_connection_closed_before_it_began() -> None:
    """An iterator that was never asked is closed all the same."""
    async with run_gateway() as running:
        asked = []

        async def engine() -> AsyncIterator[tuple[str, Any]]:
            asked.append(True)
            yield "events", hold(1)

        connection = running.gateway.alerts.connect_engine(engine())
        await connection.close()
        assert (asked, connection.received) == ([], 0)


class Feed:
    """An asynchronous iterable that waits for a future, and takes a report from it."""

    def __init__(self) -> None:
        self.next = asyncio.get_running_loop().create_future()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        return await self.next


async def test_closing_when_a_report_has_just_come() -> None:
    """What the iterator has given already is published, though nobody has looked at it yet."""
    async with run_gateway() as running:
        feed = Feed()
        connection = running.gateway.alerts.connect_engine(feed)
        await settle()
        feed.next.set_result(("events", hold(1)))
        await connection.close()
        assert (connection.received, connection.published, connection.lost) == (1, 1, 0)
        assert await stored(running) == [1]
