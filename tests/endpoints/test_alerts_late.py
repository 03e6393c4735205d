"""Alerts that a cooldown would have lost: what is worse passes, and the last one left out comes late."""

from typing import Any

import pytest

from portward.model.channel import Channel
from tests.app.calls import alerts, say, subscriber
from tests.running_gateway import RunningGateway, ask, contents, run_gateway, settings, settle

pytestmark = pytest.mark.p1


async def publish(
    running: RunningGateway, call: str, *severities: str, kind: str = "call_quality"
) -> None:
    """Publish alerts of one type at once, numbered."""
    for number, severity in enumerate(severities):
        await running.gateway.alerts.publish(call, kind, severity, {"n": number})
    await settle()


def told(client: Any) -> list[tuple[Any, ...]]:
    """What a client was told of each alert: severity, number, left out before it, whether it is late."""
    return [
        (each["severity"], each["data"].get("n"), each.get("suppressed"), each.get("late"))
        for each in alerts(client)
    ]


QUALITY = [
    ([3.9, 3.2, 1.2], ["medium", "high", "critical"], []),
    ([1.2, 3.2, 3.9], ["critical"], ["medium"]),
    ([4.5, 4.4, 1.0, 4.3], ["low", "critical"], ["low"]),
    ([3.9, 3.9, 3.9], ["medium"], ["medium"]),
    ([3.2, 4.5, 1.9, 3.1, 2.9], ["high", "critical"], ["high"]),
]


@pytest.mark.parametrize("call", ["c1", "*"])
@pytest.mark.parametrize(("scores", "at_once", "late"), QUALITY)
async def test_quality_that_falls(
    call: str, scores: list[float], at_once: list[str], late: list[str]
) -> None:
    """Reports of one moment: each that is worse than the last arrives, and the last of the rest later."""
    async with run_gateway() as running:
        client = await subscriber(running, call, permissions=["alerts:*"])
        for score in scores:
            report = {"callId": "c1", "callQuality": {"mosScore": score}}
            await running.gateway.alerts.analyse("result", report)
        await settle()
        assert [each["severity"] for each in alerts(client)] == at_once
        for _ in range(25):
            await running.advance(0.1)
        came = alerts(client)[len(at_once) :]
        assert [each["severity"] for each in came] == late
        assert [each.get("late") for each in came] == [True] * len(late)
        assert [each["data"]["mosScore"] for each in came] == scores[-1:] * len(late)
        for _ in range(50):
            await running.advance(0.1)
        assert len(alerts(client)) == len(at_once) + len(late)


async def test_a_late_alert_is_the_one_that_was_left_out() -> None:
    """With its own id, time and position, which is in the history; the count leaves itself out."""
    async with run_gateway() as running:
        client = await subscriber(running, "c1")
        await publish(running, "c1", "high", "low", "medium", "low")
        await publish(running, "c1", "low", kind="other")
        for _ in range(25):
            await running.advance(0.1)
        assert told(client) == [
            ("high", 0, None, None),
            ("low", 0, None, None),
            ("low", 3, 2, True),
        ]
        history = await running.gateway.alerts.history(call_id="c1")
        late = alerts(client)[-1]
        (kept,) = [each for each in history if each.id == late["id"]]
        assert (kept.offset, kept.epoch, kept.timestamp) == (
            late["offset"],
            late["epoch"],
            late["timestamp"],
        )
        assert late["offset"] < alerts(client)[-2]["offset"]


async def test_each_session_call_and_type_has_one() -> None:
    """What is kept for one is not for another; each comes in its own time."""
    async with run_gateway() as running:
        ann = await subscriber(running, "c1", "c2")
        await publish(running, "c1", "low", "low")
        await publish(running, "c1", "low", "low", kind="other")
        await publish(running, "c2", "low", "low")
        await running.advance(1.0)
        bob = await subscriber(running, "c1", user="bob")
        await publish(running, "c1", "low", "low")
        for _ in range(12):
            await running.advance(0.1)
        late = [(each["callId"], each["type"]) for each in alerts(ann) if each.get("late")]
        assert sorted(late) == [("c1", "call_quality"), ("c1", "other"), ("c2", "call_quality")]
        assert [each.get("late") for each in alerts(bob)] == [None]
        for _ in range(12):
            await running.advance(0.1)
        assert [each.get("late") for each in alerts(bob)] == [None, True]


async def test_nothing_late_after_leaving() -> None:
    """Not for a call that was left, not for one that was left and joined again, not for a closed session."""
    async with run_gateway() as running:
        left, again, gone, stays = [
            await subscriber(running, "c1", user=user) for user in ("ann", "bob", "cat", "dan")
        ]
        await publish(running, "c1", "low", "low")
        await say(left, type="unsubscribe", callIds=["c1"])
        await say(again, type="unsubscribe")
        await say(again, type="subscribe", callIds=["c1"])
        gone.leave()
        for _ in range(30):
            await running.advance(0.1)
        assert [len(alerts(each)) for each in (left, again, gone, stays)] == [1, 1, 1, 2]


@pytest.mark.parametrize("way", ["unsubscribed", "permission", "revoked"])
async def test_nothing_late_without_the_right(way: str) -> None:
    """The right of the moment at which it is due counts: who lost it meanwhile is sent nothing."""
    async with run_gateway() as running:
        operations = running.gateway.operations
        await operations.set_permissions("ann", ["alerts:*"])
        client = await subscriber(running, "*")
        await publish(running, "c1", "low", "low")
        if way == "unsubscribed":
            await operations.unsubscribe("ann", Channel.combined("alerts"))
        elif way == "permission":
            await operations.set_permissions("ann", [])
        else:
            await running.gateway.revoke(user="ann")
        for _ in range(30):
            await running.advance(0.1)
        assert len(alerts(client)) == 1


async def test_recovery_ignores_the_cooldown() -> None:
    """Whoever comes back is sent all that it missed, and nothing of it a second time."""
    async with run_gateway() as running:
        client = await subscriber(running, "c1")
        await publish(running, "c1", "low")
        first = alerts(client)[0]
        client.leave()
        await settle()
        await publish(running, "c1", "low", "low", "low")
        client = await subscriber(running)
        since = {"c1": {"offset": first["offset"], "epoch": first["epoch"]}}
        await say(client, type="subscribe", callIds=["c1"], since=since)
        assert [each.get("late") for each in alerts(client)] == [None] * 3
        for _ in range(30):
            await running.advance(0.1)
        assert len(alerts(client)) == 3


async def test_messages_of_rooms_do_not_come_late() -> None:
    """Only alerts have a word for it; a room with a cooldown says the number with the next message."""
    async with run_gateway(settings(namespace={"cooldown": 2.0})) as running:
        ann = await running.client("ann", "lobby")
        bob = await running.client("bob", "lobby")
        for content in "ab":
            await ask(bob, "message", roomId="lobby", content=content)
        for _ in range(30):
            await running.advance(0.1)
        assert contents(ann) == ["a"]
        assert len(running.gateway.node.hub.late) == 0
        await ask(bob, "message", roomId="lobby", content="c")
        assert contents(ann) == ["a", "c"]
