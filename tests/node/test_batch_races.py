"""Lists of channels over a store that takes its time: one order, one answer, nothing after a withdrawal."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from portward.model.channel import Channel
from portward.model.publication import Draft
from portward.node.channels.batch_subscribe import REPLAYED
from portward.testing import MemoryClient, connect
from tests.node.channels.test_batch_subscribe import given, listen, only, say, tell
from tests.running_gateway import RunningGateway, run_gateway, settle
from tests.slow_engine import SlowEngine, slow_gateway

pytestmark = pytest.mark.p1

Slow = tuple[RunningGateway, SlowEngine]
STEPS = 40


@pytest.fixture
async def slow() -> AsyncIterator[Slow]:
    """Alerts without cooldown over a slow store."""
    async with slow_gateway(given(cooldown=0.0)) as pair:
        yield pair


async def arrive(running: RunningGateway, engine: SlowEngine, **claims: Any) -> MemoryClient:
    """A client of the alerts."""
    token = running.token("ann", **claims)
    entry = connect(running.gateway, "/alerts", authorization=f"Bearer {token}")
    coming = asyncio.ensure_future(entry)
    while not coming.done():
        await engine.run()
    await engine.run()
    return coming.result()


async def publish(running: RunningGateway, engine: SlowEngine, call: str) -> None:
    """Publish as another node would: stored and announced at once."""
    channel = Channel.parse(f"alerts:{call}")
    draft = Draft(id="0" * 32, time=int(running.clock.time() * 1000), data={}, type="t")
    namespace = running.gateway.node.namespaces["alerts"]
    await engine.inner.streams.publish(channel, draft, namespace, None)
    await settle()


def offsets(client: MemoryClient, call: str) -> list[int]:
    """The offsets of one call's alerts, as they came."""
    alerts = [each["payload"] for each in client.all("alert")]
    return [each["offset"] for each in alerts if each["callId"] == call]


@pytest.mark.parametrize("moment", range(0, STEPS, 3))
async def test_offsets_come_in_order(slow: Slow, moment: int) -> None:
    """Whatever is published while a list is prepared, each call is told in order, after the answer."""
    running, engine = slow
    for _ in range(3):
        await publish(running, engine, "c1")
    epoch = engine.inner.streams._streams[Channel.parse("alerts:c1")].epoch
    client = await arrive(running, engine)
    since = {"c1": {"offset": 0, "epoch": epoch}}
    client.send({"type": "subscribe", "callIds": ["c1", "c2", "c3"], "since": since})
    for step in range(STEPS):
        if step == moment:
            await publish(running, engine, "c1")
            await publish(running, engine, "c3")
        await engine.run(1)
    await engine.run()
    await publish(running, engine, "c1")
    assert client.received[1]["type"] == "subscribed"
    assert client.received[1]["payload"]["recovered"] == {"c1": True}
    assert offsets(client, "c1") == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("moment", range(0, STEPS, 3))
async def test_nothing_of_a_call_that_was_withdrawn(slow: Slow, moment: int) -> None:
    """A right taken away while the list is prepared counts at once: no alert, and no recovery."""
    running, engine = slow
    await publish(running, engine, "c1")
    epoch = engine.inner.streams._streams[Channel.parse("alerts:c1")].epoch
    client = await arrive(running, engine)
    since = {"c1": {"offset": 0, "epoch": epoch}}
    client.send({"type": "subscribe", "callIds": ["c1", "c2", "c3"], "since": since})
    for step in range(STEPS):
        if step == moment:
            node = running.gateway.node
            for session in node.registry.of_user("ann"):
                node.subscriptions.remove(session, Channel.parse("alerts:c1"), "permission_denied")
            withdrawn = any(each["type"] == "subscribed" for each in client.received)
        await engine.run(1)
    await engine.run()
    errors = [each["payload"]["code"] for each in client.all("error")]
    if errors and not withdrawn:
        answer = client.all("subscribed")[0]["payload"]
        assert "c1" not in answer["callIds"]
        assert answer["recovered"] == {}
        assert offsets(client, "c1") == []


async def test_a_store_that_goes_away_in_the_middle(slow: Slow) -> None:
    """The client is told so once; nothing is half subscribed, and trying again brings everything."""
    running, engine = slow
    await publish(running, engine, "c1")
    epoch = engine.inner.streams._streams[Channel.parse("alerts:c1")].epoch
    client = await arrive(running, engine)
    message = {
        "type": "subscribe", "callIds": ["c1", "c2"],
        "since": {"c1": {"offset": 0, "epoch": epoch}},
    }  # fmt: skip
    client.send(message)
    while not any(name == "streams.history" for name in engine.seen):
        await engine.run(1)
    engine.fails.add("streams.history")
    await engine.run()
    assert [each["payload"]["code"] for each in client.all("error")] == ["unavailable"]
    await publish(running, engine, "c1")
    assert offsets(client, "c1") == []
    engine.fails.clear()
    client.send(message)
    await engine.run()
    assert client.all("subscribed")[-1]["payload"] == {
        "callIds": ["c1", "c2"], "recovered": {"c1": True},
    }  # fmt: skip
    assert offsets(client, "c1") == [1, 2]


async def test_one_answer_brings_back_so_much() -> None:
    """Beyond that a call starts afresh and says so; no client is drowned by its own return."""
    async with run_gateway(given(cooldown=0.0)) as running:
        client = await listen(running)
        calls = [f"c{number}" for number in range(4)]
        await tell(client, type="subscribe", callIds=calls)
        for call in calls:
            await say(running, call)
        since = {
            each["payload"]["callId"]: {
                "offset": each["payload"]["offset"],
                "epoch": each["payload"]["epoch"],
            }
            for each in client.all("alert")
        }
        client.leave()
        await settle()
        for call in calls:
            for _ in range(REPLAYED // 3):
                await running.gateway.publish(f"alerts:{call}", {})
        back = await listen(running)
        answer = await tell(back, type="subscribe", callIds=calls, since=since)
        assert answer["recovered"] == {"c0": True, "c1": True, "c2": True, "c3": False}
        assert len(back.all("alert")) == 3 * (REPLAYED // 3)


async def test_a_full_session_still_recovers_what_it_hears() -> None:
    """The bound is on new channels: one that is heard already is read back all the same."""
    async with run_gateway(given(cooldown=0.0, max_subscriptions=1)) as running:
        client = await listen(running)
        await tell(client, type="subscribe", callIds=["a"])
        await say(running, "a")
        first = client.all("alert")[0]["payload"]
        since = {"a": {"offset": 0, "epoch": first["epoch"]}}
        answer = await tell(client, type="subscribe", callIds=["b", "a"], since=since)
        assert answer == {"callIds": ["a"], "recovered": {"a": True}}


async def test_subscribing_again_does_not_reset_the_cooldown() -> None:
    """Who comes back to a call it hears is still spared what it was told a moment ago."""
    async with run_gateway(given()) as running:
        client = await listen(running, **only("alerts:*"))
        await tell(client, type="subscribe", callIds=["a"])
        await say(running, "a")
        epoch = client.all("alert")[0]["payload"]["epoch"]
        since = {"a": {"offset": 1, "epoch": epoch}}
        await tell(client, type="subscribe", callIds=["a"], since=since)
        await say(running, "a")
        assert len(client.all("alert")) == 1
