"""What the application is told about alerts and those who hear them."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from portward.node.sessions import ConnectionInfo
from portward.protocols.alerts.record import Alert
from portward.telemetry.events import Event
from tests.app.calls import subscriber
from tests.running_gateway import run_gateway, settings, settle


async def test_subscribers() -> None:
    """Connections to the endpoints of alerts are told when they open and end, and no others."""
    async with run_gateway(settings(echo={"enabled": True})) as running:
        told: list[tuple[str, str | None]] = []

        @running.gateway.alerts.on("subscriber_connected")
        async def connected(connection: ConnectionInfo) -> None:
            told.append(("in", connection.user))

        @running.gateway.alerts.on("subscriber_disconnected")
        def disconnected(connection: ConnectionInfo, ending: str) -> None:
            told.append((ending, connection.user))

        bob = await running.client("bob")
        ann = await subscriber(running)
        await settle()
        assert told == [("in", "ann")]
        bob.leave()
        ann.leave()
        await settle()
        assert told == [("in", "ann"), ("normal", "ann")]


async def test_the_last_connections() -> None:
    """Those that end because the gateway stops are told as well."""
    told: list[str] = []
    async with run_gateway() as running:
        running.gateway.alerts.on("subscriber_disconnected", lambda _, ending: told.append(ending))
        await running.client("bob")
        await subscriber(running)
    assert told == ["shutdown"]


async def test_alerts_that_no_endpoint_serves() -> None:
    """Nobody is told of other connections, and nothing is amiss when the gateway stops."""
    told: list[Any] = []
    given = settings()
    rooms = {name: each for name, each in given.endpoints.items() if name == "rooms"}
    async with run_gateway(replace(given, endpoints=rooms)) as running:
        running.gateway.alerts.on("subscriber_disconnected", lambda *each: told.append(each))
        await running.client("bob")
        registry = running.gateway.telemetry.metrics.registry
    assert told == []
    errors = registry.get_sample_value("portward_events_total", {"event": "internal.error"})
    assert not errors


async def test_alerts() -> None:
    """Every alert this process publishes is told, to functions and coroutine functions alike."""
    async with run_gateway() as running:
        at_once: list[Alert] = []
        later: list[Alert] = []

        async def wait(alert: Alert) -> None:
            assert asyncio.current_task() is not None
            await asyncio.sleep(0)
            later.append(alert)

        on = running.gateway.alerts.on
        assert on("alert_emitted", wait) is wait
        on("alert_emitted", at_once.append)
        made = [await running.gateway.alerts.publish("c", "t", "low", {})]
        made += await running.gateway.alerts.analyse(
            "anomalies", {"callId": "c", "anomalies": [{"type": "x", "confidence": 1}]}
        )
        await settle()
        assert at_once == later == made


async def test_alerts_that_came_another_way() -> None:
    """One published through the channel, or by whoever asks the running node, is told of once."""
    async with run_gateway() as running:
        told: list[Alert] = []
        running.gateway.alerts.on("alert_emitted", told.append)
        for _ in range(2):
            await running.gateway.publish("alerts:c", {"x": 1}, type="t", idempotency_key="k")
        await running.gateway.publish("rooms:lobby", "no alert")
        await settle()
        assert [(each.call_id, each.type, each.data) for each in told] == [("c", "t", {"x": 1})]


async def test_hooks_that_raise() -> None:
    """One that raises is recorded and stops nothing: not the alert, not the other hooks."""
    async with run_gateway() as running:
        told: list[str] = []

        def bad(*_: Any) -> None:
            raise ValueError("secret")

        async def worse(*_: Any) -> None:
            raise ValueError("secret")

        on = running.gateway.alerts.on
        for event in ("subscriber_connected", "subscriber_disconnected", "alert_emitted"):
            on(event, bad)
            on(event, worse)
            on(event, lambda *_, event=event: told.append(event))
        ann = await subscriber(running, "c")
        await running.gateway.alerts.publish("c", "t", "low", {})
        await settle()
        ann.leave()
        await settle()
        assert told == ["subscriber_connected", "alert_emitted", "subscriber_disconnected"]
        assert running.events(Event.INTERNAL_ERROR) == 6
        assert ann.all("alert")


async def test_unknown_events() -> None:
    """A name that is no event is a mistake that names the three."""
    async with run_gateway() as running:
        with pytest.raises(
            ValueError, match="subscriber_connected, subscriber_disconnected, alert_emitted"
        ):
            running.gateway.alerts.on("connected")
