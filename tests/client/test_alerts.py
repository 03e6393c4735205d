import asyncio
from typing import Any

import pytest

from portward.client import (
    AlertsClient,
    Denied,
    Gap,
    GapError,
    HandshakeRefused,
    Portward,
    RequestRefused,
)
from portward.model.position import Position
from tests.client.scripted import Answers, World, refused, settle


class FakeAlerts:
    """Answers as the alerts endpoint does; `recovered` and `denied` are what a test says."""

    def __init__(self) -> None:
        self.subscribed: list[str] = []
        self.positions: dict[str, Any] = {}
        self.recovered: dict[str, bool] = {}
        self.denied: list[str] = []

    def subscribe(self, data: dict[str, Any]) -> Answers:
        """Answer `subscribe`."""
        for call in data["callIds"]:
            if call not in self.subscribed and call not in self.denied:
                self.subscribed.append(call)
        answer: dict[str, Any] = {"callIds": list(self.subscribed)}
        if self.denied:
            answer["denied"] = self.denied
        if "since" in data:
            answer["recovered"] = {call: self.recovered.get(call, True) for call in data["since"]}
        return [("subscribed", answer)]

    def history(self, data: dict[str, Any]) -> Answers:
        """Answer `getHistory`."""
        answer: dict[str, Any] = {"alerts": [alert(3)] if data.get("limit") != 0 else []}
        if data.get("limit") == 0:
            answer["positions"] = self.positions
        return [("history", answer)]


def alert(offset: int, call: str = "call-7", **more: Any) -> dict[str, Any]:
    """An alert as it travels."""
    return {
        "id": f"alert_{call}_{offset}",
        "timestamp": 1000,
        "callId": call,
        "type": "call_quality",
        "severity": "high",
        "data": {"mosScore": 2.9},
        "offset": offset,
        "epoch": "e1",
        **more,
    }


def alerts_world() -> tuple[World, FakeAlerts]:
    """A world whose gateway has alerts."""
    alerts = FakeAlerts()
    answers: dict[str, Any] = {
        "subscribe": alerts.subscribe,
        "getHistory": alerts.history,
        "unsubscribe": lambda _: [("unsubscribed", {"callIds": []})],
        "ping": lambda _: [("pong", {"timestamp": 1})],
        "refresh": lambda _: [("refreshed", {"expiresAt": 1})],
    }
    return World("alerts", answers), alerts


async def subscribed(client: Portward, *calls: str) -> AlertsClient:
    """A client that is subscribed."""
    alerts = client.alerts()
    subscribing = asyncio.create_task(alerts.subscribe(calls))
    await settle()
    assert await subscribing
    return alerts


async def read(alerts: AlertsClient, count: int) -> list[int]:
    """The offsets of some alerts, which are there."""
    return [
        (await asyncio.wait_for(anext(alerts.__aiter__()), 5)).position.offset for _ in range(count)
    ]


async def back(world: World, fake: FakeAlerts) -> None:
    """Break the connection, and wait for the next."""
    world.draw = 0.0
    fake.subscribed = []
    world.last.end(None)
    await world.advance(0.5)


async def test_the_token_is_in_the_handshake() -> None:
    """The token goes into a header, not into the address, and alerts come by iteration and callback."""
    world, _ = alerts_world()
    async with world.client() as client:
        alerts = await subscribed(client, "call-7")
        assert world.headers == [{"Authorization": "Bearer token-secret"}]
        heard: list[Any] = []
        reading = asyncio.create_task(read(alerts, 2))
        await settle()
        alerts.on("alert", heard.append)
        for offset in (4, 5):
            world.last.say("alert", alert(offset))
        assert await reading == [4, 5]
        assert [each.severity for each in heard] == ["high", "high"]
        assert alerts.calls == ("call-7",)
        assert "secret" not in repr(alerts)


async def test_coming_back() -> None:
    """Each call is subscribed to again from its position, and nothing comes twice."""
    world, fake = alerts_world()
    fake.positions = {"call-8": {"offset": 9, "epoch": "e8"}}
    async with world.client() as client:
        alerts = await subscribed(client, "call-7", "call-8")
        world.last.say("alert", alert(4))
        await settle()
        await back(world, fake)
        assert world.last.of("subscribe") == [
            {
                "callIds": ["call-7", "call-8"],
                "since": {
                    "call-7": {"offset": 4, "epoch": "e1"},
                    "call-8": {"offset": 9, "epoch": "e8"},
                },
            }
        ]
        for offset in (4, 5, 5, 6):
            world.last.say("alert", alert(offset))
        world.last.say("alert", alert(9, "call-8", epoch="e8"))
        world.last.say("alert", alert(10, "call-8", epoch="e8"))
        world.last.say("alert", alert(1, "call-99"))
        await settle()
        assert await read(alerts, 4) == [4, 5, 6, 10]


async def test_an_alert_before_the_position_is_known() -> None:
    """An alert that overtakes the answer about the position is delivered, and counts."""
    world, fake = alerts_world()
    world.answers["getHistory"] = lambda _: [
        ("alert", alert(4)),
        ("history", {"alerts": [], "positions": {"call-7": {"offset": 5, "epoch": "e1"}}}),
        ("alert", alert(5)),
    ]
    async with world.client() as client:
        alerts = await subscribed(client, "call-7")
        assert await read(alerts, 2) == [4, 5]
        assert fake.subscribed == ["call-7"]


@pytest.mark.parametrize("listens", [True, False])
async def test_gaps(listens: bool) -> None:
    """A call that is not recovered, or whose position was never learnt, has a gap."""
    world, fake = alerts_world()
    world.answers["getHistory"] = refused("rate_limited")
    async with world.client() as client:
        alerts = await subscribed(client, "call-7", "call-8")
        gaps: list[Gap] = []
        if listens:
            alerts.on("gap", gaps.append)
        world.last.say("alert", alert(4))
        await settle()
        assert await read(alerts, 1) == [4]
        fake.recovered = {"call-7": False}
        await back(world, fake)
        world.last.say("alert", alert(1, epoch="e2"))
        await settle()
        if listens:
            assert [(gap.channel, gap.start) for gap in gaps] == [
                ("call-7", Position(4, "e1")),
                ("call-8", None),
            ]
        else:
            for call in ("call-7", "call-8"):
                with pytest.raises(GapError, match=call):
                    await read(alerts, 1)
        assert await read(alerts, 1) == [1]


async def test_late_alerts() -> None:
    """A late alert is known by its id, and moves no position."""
    world, fake = alerts_world()
    async with world.client() as client:
        alerts = await subscribed(client, "call-7")
        for offset, late in ((9, False), (7, True), (7, True), (9, True)):
            world.last.say("alert", alert(offset, late=late))
        await settle()
        await back(world, fake)
        assert world.last.of("subscribe")[0]["since"] == {"call-7": {"offset": 9, "epoch": "e1"}}
        world.last.say("alert", alert(10))
        await settle()
        assert await read(alerts, 3) == [9, 7, 10]


async def test_known_ids_are_bounded() -> None:
    """Of the alerts that came, the ids of the latest are kept."""
    world, _ = alerts_world()
    async with world.client() as client:
        alerts = await subscribed(client, "call-7")
        alerts.on("alert", len)
        for offset in range(2100):
            world.last.say("alert", alert(offset + 1))
        await settle(5000)
        assert len(alerts._ids) == 2048


async def test_all_calls() -> None:
    """Who hears all calls has one position, under `*`."""
    world, fake = alerts_world()
    async with world.client() as client:
        alerts = await subscribed(client, "*")
        world.last.say("alert", alert(4, "call-1"))
        world.last.say("alert", alert(5, "call-2"))
        await settle()
        assert await read(alerts, 2) == [4, 5]
        await back(world, fake)
        assert world.last.of("subscribe")[0]["since"] == {"*": {"offset": 5, "epoch": "e1"}}


async def test_denied_calls() -> None:
    """Calls that are denied, at once or later, are an event, and not subscribed to again."""
    world, fake = alerts_world()
    fake.denied = ["*"]
    denied: list[Denied] = []
    async with world.client() as client:
        client.alerts().on("denied", denied.append)
        alerts = await subscribed(client, "call-7", "*")
        assert alerts.calls == ("call-7",)
        withdrawn = {"code": "permission_denied", "message": "Subscription withdrawn"}
        world.last.say("error", withdrawn | {"callId": "call-7"})
        world.last.say("error", withdrawn)
        await settle()
        assert [each.calls for each in denied] == [("*",), ("call-7",)]
        await back(world, fake)
        assert "subscribe" not in world.last.kinds()


async def test_unsubscribing_and_history() -> None:
    """Calls are left one by one or all, with a connection or without; their history is read."""
    world, _ = alerts_world()
    async with world.client() as client:
        alerts = await subscribed(client, "call-7", "call-8")
        assert [each.position.offset for each in await alerts.history("call-7", 5)] == [3]
        assert await alerts.unsubscribe(["call-8"]) == ("call-7",)
        world.last.end(None)
        await settle()
        assert await alerts.unsubscribe() == ()
        await world.advance(1)
        assert "subscribe" not in world.last.kinds()


async def test_a_refused_subscription() -> None:
    """What the gateway refuses is raised, and not subscribed to."""
    world, _ = alerts_world()
    world.answers["subscribe"] = refused("subscribe_rate_limited", 900)
    async with world.client() as client:
        alerts = client.alerts()
        connecting = asyncio.create_task(alerts.connect())
        await settle()
        await connecting
        with pytest.raises(RequestRefused):
            await alerts.subscribe(["call-7"])
        assert alerts.calls == ()


async def test_a_break_while_subscribing() -> None:
    """A subscription outlives the connection it was asked on."""
    world, fake = alerts_world()
    world.draw = 0.0
    async with world.client() as client:
        alerts = client.alerts()
        connecting = asyncio.create_task(alerts.connect())
        await settle()
        await connecting
        world.last.answers["subscribe"] = lambda _: []
        subscribing = asyncio.create_task(alerts.subscribe(["call-7"]))
        await world.advance(11)
        assert await subscribing == ("call-7",)
        assert fake.subscribed == ["call-7"]
        assert len(world.transports) == 2


@pytest.mark.parametrize("again", [True, False])
async def test_a_refused_token(again: bool) -> None:
    """A 401 is followed by one attempt with a newer token; another one stops the client."""
    world, _ = alerts_world()
    world.troubles = [HandshakeRefused(401)] * (2 if again else 1)
    reasons: list[str] = []

    def get_token(reason: str) -> str:
        reasons.append(reason)
        return f"secret-{len(reasons)}"

    async with world.client(get_token=get_token) as client:
        connecting = asyncio.create_task(client.alerts().connect())
        await settle()
        assert reasons == ["connect", "rejected"]
        if again:
            with pytest.raises(HandshakeRefused):
                await connecting
            assert client.alerts().state == "stopped"
        else:
            await connecting
            assert world.headers[-1] == {"Authorization": "Bearer secret-2"}


async def test_refresh_and_shutdown() -> None:
    """A token that runs out is replaced; the time of a shutdown is waited for."""
    world, _ = alerts_world()
    async with world.client() as client:
        await subscribed(client, "call-7")
        world.last.say("expiring", {"expiresAt": 1})
        await world.advance(2)
        assert world.last.of("refresh") == [{"token": "token-secret"}]
        world.last.say("shutdown", {"message": "x", "retryMs": 12_000})
        world.last.end(1001, "Server shutting down")
        await world.advance(11)
        assert len(world.transports) == 1
        await world.advance(5)
        assert len(world.transports) == 2


async def test_revoked_and_closed() -> None:
    """Stopped, the iteration raises why; closed, it ends."""
    world, _ = alerts_world()
    async with world.client(get_token=None) as client:
        alerts = await subscribed(client, "call-7")
        assert world.headers == [{}]
        world.last.end(3503, "force disconnect")
        await settle()
        with pytest.raises(Exception, match="force disconnect"):
            await read(alerts, 1)
        assert alerts.calls == ()
        await subscribed(client, "call-9")
        reading = asyncio.create_task(_all(alerts))
        await settle()
    assert await reading == []


async def _all(alerts: AlertsClient) -> list[Any]:
    return [each async for each in alerts]
