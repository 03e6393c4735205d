"""Alerts, as the application handles them."""

from typing import Any

import pytest
from msgspec import to_builtins
from msgspec.structs import replace

from portward.app.gateway import Gateway
from portward.model.errors import CommandError, ErrorKind
from portward.protocols.alerts.record import Alert, Severity
from portward.telemetry.events import Event
from portward.testing import FakeClock
from tests.app.calls import Faulty, alerts, subscriber
from tests.running_gateway import RunningGateway, run_gateway, settings, settle


async def test_published_alerts_are_heard() -> None:
    """An alert reaches who hears its call or all calls, and nobody else."""
    async with run_gateway() as running:
        ann = await subscriber(running, "c 1")
        bob = await subscriber(running, "c2", user="bob")
        eve = await subscriber(running, user="eve")
        sue = await subscriber(running, "*", user="sue", permissions=["alerts:*"])
        made = await running.gateway.alerts.publish("c 1", "quality", "high", {"mos": 3})
        await settle()
        assert alerts(ann) == [to_builtins(made)]
        assert made == Alert(
            id=made.id,
            timestamp=int(running.clock.time() * 1000),
            call_id="c 1",
            type="quality",
            severity=Severity.HIGH,
            data={"mos": 3},
            offset=1,
            epoch=made.epoch,
        )
        (heard,) = alerts(sue)
        assert {**heard, "epoch": made.epoch} == to_builtins(made)
        assert alerts(bob) == alerts(eve) == []


async def test_what_is_no_alert() -> None:
    """A part of the wrong kind is refused before anything is published; `*` is no call."""
    async with run_gateway() as running:
        publish = running.gateway.alerts.publish
        given: list[tuple[str, str, str, Any]] = [
            ("*", "t", "low", {}),
            ("", "t", "low", {}),
            ("c", "t\n", "low", {}),
            ("c", "t", "severe", {}),
            ("c", "t", "low", []),
        ]
        for parts in given:
            with pytest.raises(ValueError, match=r"alert's|call id"):
                await publish(*parts)
        assert await running.gateway.alerts.history() == []


async def test_too_much_data() -> None:
    """Data over 64 KiB, or that is no JSON, is refused as everywhere."""
    async with run_gateway() as running:
        given: list[tuple[Any, ErrorKind]] = [
            ("x" * 70_000, ErrorKind.TOO_LONG),
            (object(), ErrorKind.INVALID_STRUCTURE),
            ("\ud800", ErrorKind.INVALID_STRUCTURE),
        ]
        for value, kind in given:
            with pytest.raises(CommandError) as caught:
                await running.gateway.alerts.publish("c", "t", "low", {"x": value})
            assert caught.value.kind is kind


async def test_an_idempotency_key_counts_once() -> None:
    """A repeated key publishes nothing, tells no hook, and returns the first alert as it was."""
    async with run_gateway() as running:
        ann = await subscriber(running, "c")
        told: list[Alert] = []
        running.gateway.alerts.on("alert_emitted", told.append)
        publish = running.gateway.alerts.publish
        await publish("c", "other", "low", {})
        first = await publish("c", "t", "low", {"n": 1}, idempotency_key="k")
        running.clock.advance(5)
        again = await publish("c", "t", "critical", {"n": 2}, idempotency_key="k")
        await settle()
        assert again == first
        assert [each["type"] for each in alerts(ann)] == ["other", "t"]
        assert len(told) == 2


async def test_a_duplicate_of_what_is_gone() -> None:
    """When the first alert is no longer kept, its id and position are told with what was given."""
    given = settings()
    forgetful = replace(given.namespaces["alerts"], history_size=0)
    given = replace(given, namespaces={**given.namespaces, "alerts": forgetful})
    async with run_gateway(given) as running:
        publish = running.gateway.alerts.publish
        first = await publish("c", "t", "low", {"n": 1}, idempotency_key="k")
        again = await publish("c", "t", "low", {"n": 2}, idempotency_key="k")
        assert (again.id, again.offset, again.epoch) == (first.id, first.offset, first.epoch)
        assert again.data == {"n": 2}


async def emit(running: RunningGateway, *calls: str) -> None:
    """One alert for each call, their data numbered from 0."""
    for number, call in enumerate(calls):
        await running.gateway.alerts.publish(call, "t", "low", {"n": number})


async def test_history() -> None:
    """The newest alerts, oldest first: of all calls, or of one."""
    async with run_gateway() as running:
        await emit(running, "a", "b", "a", "č", "a")
        history = running.gateway.alerts.history
        assert [(each.call_id, each.data["n"]) for each in await history()] == [
            *(("a", 0), ("b", 1), ("a", 2), ("č", 3), ("a", 4))
        ]
        assert [each.data["n"] for each in await history(2)] == [3, 4]
        assert [each.data["n"] for each in await history(call_id="a")] == [0, 2, 4]
        assert [each.offset for each in await history(2, "a")] == [2, 3]
        assert await history(call_id="nobody") == []
        with pytest.raises(ValueError, match="call id"):
            await history(call_id="*")


async def test_history_is_bounded() -> None:
    """At most 100 alerts are read at once."""
    async with run_gateway() as running:
        await emit(running, *["a"] * 120)
        assert [each.data["n"] for each in await running.gateway.alerts.history(1000)] == [
            *range(20, 120)
        ]


async def test_stats() -> None:
    """Connections to these endpoints and the alerts kept of all calls are counted."""
    async with run_gateway(settings(echo={"enabled": True})) as running:
        stats = running.gateway.alerts.stats
        assert await stats() == {"activeSubscribers": 0, "alertHistorySize": 0}
        await running.client("bob")
        ann = await subscriber(running)
        await subscriber(running, "a")
        await emit(running, "a", "b")
        assert await stats() == {"activeSubscribers": 2, "alertHistorySize": 2}
        ann.leave()
        await emit(running, *["a"] * 600)
        assert await stats() == {"activeSubscribers": 1, "alertHistorySize": 500}
        running.clock.advance(3601)
        assert (await stats())["alertHistorySize"] == 0


async def test_analyse() -> None:
    """One report is read and published at once, its malformed entries counted."""
    async with run_gateway() as running:
        events = [{"type": "hold", "timestamp": 1}, {}, {"type": "mute", "timestamp": 2}]
        made = await running.gateway.alerts.analyse("events", {"callId": "c", "events": events})
        assert [each.type for each in made] == ["call_event:hold", "call_event:mute"]
        assert await running.gateway.alerts.history(call_id="c") == made
        assert running.events(Event.ANALYSIS_MALFORMED) == 1
        assert await running.gateway.alerts.analyse("result", {"callId": "c"}) == []
        assert running.events(Event.ANALYSIS_MALFORMED) == 1


@pytest.mark.parametrize(
    ("event", "payload"), [("other", {}), ("result", None), ("events", {"callId": "c"})]
)
async def test_a_malformed_report(event: str, payload: Any) -> None:
    """A report that cannot be read is refused, and recorded."""
    async with run_gateway() as running:
        with pytest.raises(ValueError, match=r"event|object|events"):
            await running.gateway.alerts.analyse(event, payload)
        assert running.events(Event.ANALYSIS_MALFORMED) == 1


async def test_engines_need_a_running_gateway() -> None:
    """An engine is connected between the start of the gateway and its end, and must be one."""
    clock = FakeClock()
    gateway = Gateway(settings(), clock=clock, engine=Faulty(clock).engine)

    class Engine:
        def on(self, event: str, handler: Any) -> None: ...

    with pytest.raises(RuntimeError, match="not running"):
        gateway.alerts.connect_engine(Engine())
    async with gateway:
        others: list[Any] = [None, [("result", {})], iter(()), "x"]
        for other in others:
            with pytest.raises(TypeError, match="an engine has"):
                gateway.alerts.connect_engine(other)
        gateway.alerts.connect_engine(Engine())
    with pytest.raises(RuntimeError, match="not running"):
        gateway.alerts.connect_engine(Engine())
