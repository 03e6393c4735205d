"""A connection to a call-analysis engine: publishing, retrying, counting, ending."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from portward.model.errors import CommandError, ErrorKind
from portward.protocols.alerts import engine_connection
from portward.protocols.alerts.engine_connection import PAUSES
from portward.telemetry.events import Event
from portward.testing import FakeClock
from tests.app.calls import Faulty
from tests.running_gateway import RunningGateway, run_gateway, settle


class Engine:
    """An engine that calls whoever listens."""

    def __init__(self) -> None:
        self.handlers: dict[str, list[Any]] = {}

    def on(self, event: str, handler: Any) -> None:
        """Listen."""
        self.handlers.setdefault(event, []).append(handler)

    def emit(self, event: str, *arguments: Any) -> None:
        """Report."""
        for handler in self.handlers.get(event, ()):
            assert handler(*arguments) is None

    def hold(self, *numbers: int) -> None:
        """Report one event for each number."""
        events = [{"type": "hold", "timestamp": number} for number in numbers]
        self.emit("events", {"callId": "c", "events": events})


class Bench:
    """A gateway whose store can go away, with one engine connected."""

    def __init__(self, running: RunningGateway, store: Faulty) -> None:
        self.running = running
        self.store = store
        self.engine = Engine()
        self.connection = running.gateway.alerts.connect_engine(self.engine)

    async def stored(self) -> list[Any]:
        """The numbers of all events that were published."""
        found = await self.running.gateway.alerts.history(100, "c")
        return [each.data["timestamp"] for each in found]

    def counts(self) -> dict[str, int]:
        """What the connection counts."""
        names = ("received", "published", "malformed", "lost")
        return {name: getattr(self.connection, name) for name in names}


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    """Run one."""
    clock = FakeClock()
    store = Faulty(clock)
    async with run_gateway(engine=store.engine, clock=clock) as running:
        yield Bench(running, store)


async def test_reports_are_published_in_order() -> None:
    """What an engine reports is published in its order, and counted."""
    async with bench() as it:
        it.engine.hold(1, 2)
        it.engine.hold(3)
        it.engine.emit("result", {"callId": "c"})
        await it.connection.join()
        assert await it.stored() == [1, 2, 3]
        assert it.counts() == {"received": 3, "published": 3, "malformed": 0, "lost": 0}


async def test_a_store_that_comes_back() -> None:
    """While the store is away the same alert is tried again, after growing pauses, and none is lost."""
    async with bench() as it:
        it.store.failures = len(PAUSES)
        it.engine.hold(1, 2)
        for number, pause in enumerate(PAUSES, start=1):
            await settle()
            assert it.store.attempts == number
            await it.running.advance(pause * 0.99)
            assert it.store.attempts == number
            await it.running.advance(pause * 0.02)
        await it.connection.join()
        assert await it.stored() == [1, 2]
        assert it.counts() == {"received": 1, "published": 2, "malformed": 0, "lost": 0}
    assert sorted(PAUSES) == list(PAUSES)


async def test_an_attempt_that_half_succeeded() -> None:
    """An alert stored before the store went away is not stored twice when it is tried again."""
    async with bench() as it:
        publish = it.store.engine.streams.publish

        async def half(channel: Any, *more: Any) -> Any:
            if channel.is_combined and it.store.attempts == 1:
                it.store.failures = 1
            return await publish(channel, *more)

        it.store.replace(half)
        it.engine.hold(1)
        await settle()
        await it.running.advance(PAUSES[0])
        await it.connection.join()
        assert await it.stored() == [1]
        assert len(await it.running.gateway.alerts.history()) == 1


async def test_a_store_that_stays_away() -> None:
    """An alert that could not be published in the end is lost, counted and logged; the next is tried."""
    async with bench() as it:
        it.store.failures = len(PAUSES) + 1
        it.engine.hold(1, 2)
        for pause in PAUSES:
            await settle()
            await it.running.advance(pause)
        await it.connection.join()
        assert await it.stored() == [2]
        assert it.counts() == {"received": 1, "published": 1, "malformed": 0, "lost": 1}
        assert it.running.events(Event.ANALYSIS_LOST) == 1


async def test_closing_does_not_wait_for_the_store() -> None:
    """A connection that is closed tries each alert that is left once, and no pause holds it up."""
    async with bench() as it:
        it.store.failures = 3
        it.engine.hold(1, 2, 3)
        await settle()
        assert it.store.attempts == 1
        await it.connection.close()
        assert it.counts() == {"received": 1, "published": 1, "malformed": 0, "lost": 2}
        assert await it.stored() == [3]


async def test_closing_finishes_what_was_received() -> None:
    """What was reported before the end is published; what comes later is not heard."""
    async with bench() as it:
        it.engine.hold(1, 2)
        await it.connection.close()
        it.engine.hold(3)
        await it.connection.close()
        await it.connection.join()
        await it.connection.ended()
        assert await it.stored() == [1, 2]
        assert it.counts() == {"received": 1, "published": 2, "malformed": 0, "lost": 0}


async def test_the_gateway_closes_its_connections() -> None:
    """When the gateway stops, what was reported is published first."""
    async with bench() as it:
        it.engine.hold(1)
    assert it.counts() == {"received": 1, "published": 1, "malformed": 0, "lost": 0}
    it.engine.hold(2)
    assert it.counts()["received"] == 1


async def test_a_store_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection whose store never answers is cut off, and what it had left is lost."""
    monkeypatch.setattr(engine_connection, "GRACE", 0)
    async with bench() as it:

        async def hang(*_: Any) -> Any:
            await asyncio.get_running_loop().create_future()

        it.store.replace(hang)
        it.engine.hold(1, 2)
        await settle()
        await it.connection.close()
        await settle()
        assert it.counts() == {"received": 1, "published": 0, "malformed": 0, "lost": 2}
        await it.connection.join()


async def test_malformed_reports_stop_nothing() -> None:
    """Reports and entries that cannot be read are counted and logged, and the others are published."""
    async with bench() as it:
        it.engine.emit("result", {"callId": 1})
        it.engine.emit("events", None)
        it.engine.emit("anomalies")
        it.engine.emit("events", {"callId": "c", "events": [{}, {"type": "x", "timestamp": 7}, 1]})
        await it.connection.join()
        assert await it.stored() == [7]
        assert it.counts() == {"received": 4, "published": 1, "malformed": 5, "lost": 0}
        await it.connection.close()
        assert it.running.events(Event.ANALYSIS_MALFORMED) >= 1


async def test_payloads_that_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever reading a payload raises, the engine does not feel it."""

    def read(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    async with bench() as it:
        monkeypatch.setattr(engine_connection, "read", read)
        it.engine.hold(1)
        await settle()
        assert it.counts()["malformed"] == 1
        monkeypatch.undo()
        it.engine.hold(2)
        await it.connection.join()
        assert await it.stored() == [2]


@pytest.mark.parametrize(
    ("error", "malformed", "event"),
    [
        (CommandError(ErrorKind.TOO_LONG), True, Event.ANALYSIS_MALFORMED),
        (CommandError(ErrorKind.INVALID_STRUCTURE), True, Event.ANALYSIS_MALFORMED),
        (CommandError(ErrorKind.UNKNOWN_CHANNEL), False, Event.ANALYSIS_LOST),
        (ZeroDivisionError("secret"), False, Event.INTERNAL_ERROR),
    ],
    ids=repr,
)
async def test_alerts_that_are_refused(error: Exception, malformed: bool, event: Event) -> None:
    """An alert the core refuses is counted by whose fault it is, logged, and stops nothing."""
    async with bench() as it:
        it.store.error = error
        it.engine.hold(1)
        await it.connection.join()
        it.store.error = None
        it.engine.hold(2)
        await it.connection.join()
        assert await it.stored() == [2]
        assert (it.connection.malformed, it.connection.lost) == (malformed, not malformed)
        assert it.running.events(event) == 1


async def test_nothing_of_a_report_is_logged() -> None:
    """The log says why a report could not be read, and repeats nothing of it."""
    async with bench() as it:
        it.engine.emit("result", {"callId": "private", "callQuality": {"mosScore": "private"}})
        it.engine.emit("events", {"callId": "private", "events": [{"private": "private"}]})
        await settle()
        assert it.running.gateway.telemetry.log.flush()
        assert "analysis.malformed" in it.running.log.getvalue()
        assert "private" not in it.running.log.getvalue()


async def test_a_flood_leaves_room_for_others() -> None:
    """While a long report is published the event loop turns."""
    async with bench() as it:
        it.engine.hold(*range(1000))
        turns = 0
        while it.connection.published < 1000:
            await asyncio.sleep(0)
            turns += 1
        assert turns > 10
