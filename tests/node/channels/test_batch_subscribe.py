"""Lists of channels in one message: each is judged by itself, and one refused spoils no other."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from portward.model.channel import Channel
from portward.model.limits import Rate
from portward.model.namespace import AccessRule
from portward.node.channels.batch_subscribe import ASKED_AT_ONCE
from portward.settings import Settings
from portward.settings.limits import Limits, RateLimit
from portward.settings.presets import ENDPOINTS, NAMESPACES
from portward.testing import MemoryClient, connect
from tests.running_gateway import RunningGateway, run_gateway, session_of, settle

pytestmark = pytest.mark.p1

UNLIMITED = RateLimit(rate=Rate(0, 1.0, 1))
FREE = Limits(messages=UNLIMITED, join=UNLIMITED, history=UNLIMITED)


def given(**namespace: Any) -> Settings:
    """Alerts without limits per user; `namespace` changes their family of channels."""
    endpoints = {**ENDPOINTS, "alerts": replace(ENDPOINTS["alerts"], limits=FREE)}
    namespaces = {**NAMESPACES, "alerts": replace(NAMESPACES["alerts"], **namespace)}
    return Settings(endpoints=endpoints, namespaces=namespaces)


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway without cooldown."""
    async with run_gateway(given(cooldown=0.0)) as running:
        yield running


async def listen(running: RunningGateway, user: str = "ann", **claims: Any) -> MemoryClient:
    """A client of the alerts."""
    token = running.token(user, **claims)
    return await connect(running.gateway, "/alerts", authorization=f"Bearer {token}")


async def tell(client: MemoryClient, **message: Any) -> Any:
    """Send a message; returns the first new answer's payload."""
    before = len(client.received)
    client.send(message)
    await settle()
    return client.received[before]["payload"]


async def say(running: RunningGateway, call: str, kind: str = "k", **data: Any) -> None:
    """Publish an alert."""
    value = {"callId": call, "severity": "low", "data": data}
    await running.gateway.publish(f"alerts:{call}", value, type=kind)
    await settle()


def heard(client: MemoryClient) -> list[Any]:
    """The calls whose alerts came, in order."""
    return [each["payload"]["callId"] for each in client.all("alert")]


def only(*patterns: str) -> dict[str, Any]:
    """A `channels` claim."""
    allow = ["subscribe", "history"]
    return {"channels": [{"channel": each, "allow": allow} for each in patterns]}


async def test_each_is_judged_by_itself(running: RunningGateway) -> None:
    """What one may not hear is left out and named, the rest is heard."""
    client = await listen(running, **only("alerts:a*"))
    answer = await tell(client, type="subscribe", callIds=["a1", "b1", "a2", "b2"])
    assert answer == {"callIds": ["a1", "a2"], "denied": ["b1", "b2"]}
    for call in ("a1", "b1", "a2"):
        await say(running, call)
    assert heard(client) == ["a1", "a2"]


async def test_the_first_that_fit_stay(running: RunningGateway) -> None:
    """Beyond the session's number of channels the rest is left out without a word."""
    client = await listen(running)
    calls = [f"c{number}" for number in range(60)]
    assert await tell(client, type="subscribe", callIds=calls) == {"callIds": calls[:50]}
    assert await tell(client, type="subscribe", callIds=["more"]) == {"callIds": calls[:50]}
    await tell(client, type="unsubscribe", callIds=calls[:1])
    answer = await tell(client, type="subscribe", callIds=["more"])
    assert answer == {"callIds": [*calls[1:50], "more"]}


async def test_a_long_list_is_looked_at_in_part(running: RunningGateway) -> None:
    """However many ids a message holds, the work for it has a bound."""
    client = await listen(running, **only("alerts:nothing"))
    answer = await tell(client, type="subscribe", callIds=[str(each) for each in range(5000)])
    assert answer["callIds"] == []
    assert len(answer["denied"]) == ASKED_AT_ONCE


async def test_subscribing_again_changes_nothing(running: RunningGateway) -> None:
    """A call that is heard already is heard once."""
    client = await listen(running)
    for _ in range(2):
        assert await tell(client, type="subscribe", callIds=["a"]) == {"callIds": ["a"]}
    await say(running, "a")
    assert heard(client) == ["a"]


async def test_missed_alerts_follow_the_answer(running: RunningGateway) -> None:
    """Recovered calls are told in the order of time, each once, before what comes next."""
    client = await listen(running)
    await tell(client, type="subscribe", callIds=["a", "b"])
    await say(running, "a")
    await say(running, "b")
    position = {
        each["payload"]["callId"]: {key: each["payload"][key] for key in ("offset", "epoch")}
        for each in client.all("alert")
    }
    client.leave()
    await settle()
    for call in ("b", "a", "b"):
        running.clock.advance(1)
        await say(running, call)
    position["c"] = {"offset": 3, "epoch": "gone"}
    back = await listen(running)
    answer = await tell(back, type="subscribe", callIds=["a", "b", "c"], since=position)
    assert answer["recovered"] == {"a": True, "b": True, "c": False}
    assert heard(back) == ["b", "a", "b"]
    await say(running, "a")
    assert heard(back) == ["b", "a", "b", "a"]


async def test_recovery_on_an_open_subscription(running: RunningGateway) -> None:
    """With a position even a call that is heard is read back, and nothing comes twice."""
    client = await listen(running)
    await tell(client, type="subscribe", callIds=["a"])
    await say(running, "a")
    first = client.all("alert")[0]["payload"]
    await say(running, "a")
    since = {"a": {"offset": first["offset"], "epoch": first["epoch"]}}
    answer = await tell(client, type="subscribe", callIds=["a"], since=since)
    assert answer == {"callIds": ["a"], "recovered": {"a": True}}
    assert len(heard(client)) == 3


async def test_leaving_some_and_all(running: RunningGateway) -> None:
    """What remains is told; nothing of the rest is heard."""
    client = await listen(running)
    await tell(client, type="subscribe", callIds=["a", "b", "c"])
    assert await tell(client, type="unsubscribe", callIds=["b", "x"]) == {"callIds": ["a", "c"]}
    await say(running, "b")
    assert heard(client) == []
    assert await tell(client, type="unsubscribe") == {"callIds": []}
    await say(running, "a")
    assert heard(client) == []
    assert not session_of(client).subscriptions


async def test_everything_is_heard_with_the_right_to_it(running: RunningGateway) -> None:
    """Who may hear all calls hears each alert once, also of calls it named before."""
    supervisor = await listen(running, permissions=["alerts:*"])
    await tell(supervisor, type="subscribe", callIds=["a"])
    assert await tell(supervisor, type="subscribe", callIds=["*", "b"]) == {"callIds": ["*"]}
    assert await tell(supervisor, type="subscribe", callIds=["a"]) == {"callIds": ["*"]}
    for call in ("a", "b", "never-named"):
        await say(running, call)
    assert heard(supervisor) == ["a", "b", "never-named"]
    agent = await listen(running, "bob")
    answer = await tell(agent, type="subscribe", callIds=["*"])
    assert answer == {"callIds": [], "denied": ["*"]}
    await say(running, "a")
    assert heard(agent) == []


async def test_an_empty_subscription_hears_nothing(running: RunningGateway) -> None:
    """Neither before nor after an empty list."""
    client = await listen(running, permissions=["alerts:*"])
    await say(running, "a")
    assert await tell(client, type="subscribe", callIds=[]) == {"callIds": []}
    await say(running, "a")
    assert heard(client) == []


async def test_all_calls_are_recovered_in_one_order(running: RunningGateway) -> None:
    """The stream of all calls has positions of its own."""
    supervisor = await listen(running, permissions=["alerts:*"])
    await tell(supervisor, type="subscribe", callIds=["*"])
    await say(running, "a")
    last = supervisor.all("alert")[-1]["payload"]
    supervisor.leave()
    await settle()
    for call in ("b", "a", "c"):
        await say(running, call)
    back = await listen(running, permissions=["alerts:*"])
    since = {"*": {"offset": last["offset"], "epoch": last["epoch"]}}
    answer = await tell(back, type="subscribe", callIds=["*"], since=since)
    assert answer == {"callIds": ["*"], "recovered": {"*": True}}
    assert heard(back) == ["b", "a", "c"]


async def test_nobody_publishes_to_everything_directly(running: RunningGateway) -> None:
    """The combined channel is filled by the others alone."""
    with pytest.raises(Exception, match="invalid_channel"):
        await running.gateway.publish(Channel.combined("alerts"), {})


async def test_history_is_what_one_may_hear(running: RunningGateway) -> None:
    """Two subjects with different channels never see each other's calls, named or not."""
    for call in ("a1", "b1", "a1", "b2"):
        running.clock.advance(1)
        await say(running, call)
    ann = await listen(running, "ann", **only("alerts:a*"))
    bob = await listen(running, "bob", **only("alerts:b*"))

    async def calls(client: MemoryClient, **more: Any) -> list[str]:
        answer = await tell(client, type="getHistory", **more)
        return [each["callId"] for each in answer["alerts"]]

    assert await calls(ann) == await calls(bob) == []
    for client in (ann, bob):
        await tell(client, type="subscribe", callIds=["a1", "b1", "b2", "*"])
    assert (await calls(ann), await calls(bob)) == (["a1", "a1"], ["b1", "b2"])
    assert await calls(ann, callId="a1") == ["a1", "a1"]
    assert await calls(ann, callId="b1") == await calls(ann, callId="*") == []
    assert await calls(bob, callId="a1") == []
    assert await calls(bob, limit=1) == ["b2"]


async def test_positions_alone(running: RunningGateway) -> None:
    """A limit of 0 asks for where the calls stand: of one, or of all that are subscribed to."""
    ann = await listen(running)
    for call in ("c1", "c2", "c2"):
        await say(running, call)
    await tell(ann, type="subscribe", callIds=["c1", "c2", "new"])
    ann.received.clear()
    answer = await tell(ann, type="getHistory", limit=0, callId="c2")
    assert answer["alerts"] == []
    assert {call: each["offset"] for call, each in answer["positions"].items()} == {"c2": 2}
    answer = await tell(ann, type="getHistory", limit=0)
    offsets = {call: each["offset"] for call, each in answer["positions"].items()}
    assert offsets == {"c1": 1, "c2": 2, "new": 0}
    assert "positions" not in await tell(ann, type="getHistory", limit=1)
    assert (await tell(ann, type="getHistory", limit=0, callId="*"))["positions"] == {}


async def test_history_by_the_rights_of_now(running: RunningGateway) -> None:
    """A right that was withdrawn shows nothing any more, subscription or not."""
    await running.gateway.operations.set_permissions("ann", {"alerts:*"})
    client = await listen(running, "ann")
    await tell(client, type="subscribe", callIds=["*"])
    await say(running, "a")
    assert len((await tell(client, type="getHistory"))["alerts"]) == 1
    await running.gateway.operations.set_permissions("ann", set())
    await settle()
    assert (await tell(client, type="getHistory"))["alerts"] == []
    assert (await tell(client, type="getHistory", callId="*"))["alerts"] == []


async def test_a_namespace_that_denies() -> None:
    """Where the rule denies, every id is refused alike."""
    async with run_gateway(given(authorize=AccessRule.DENY)) as running:
        client = await listen(running, permissions=["alerts:*"])
        answer = await tell(client, type="subscribe", callIds=["a", "*"])
        assert answer == {"callIds": [], "denied": ["a", "*"]}


async def test_cooldown_of_all_calls_is_per_call() -> None:
    """A supervisor is spared the repetition of one call, not the first alert of another."""
    async with run_gateway(given()) as running:
        client = await listen(running, permissions=["alerts:*"])
        await tell(client, type="subscribe", callIds=["*"])
        for call in ("a", "b", "a", "b", "a"):
            await say(running, call)
        assert heard(client) == ["a", "b"]
        running.clock.advance(2)
        await say(running, "a")
        assert client.all("alert")[-1]["payload"]["suppressed"] == 2
        assert len((await tell(client, type="getHistory"))["alerts"]) == 6


async def test_a_repeated_key_completes_what_failed_between(running: RunningGateway) -> None:
    """The stream of all calls has it once, whichever try put it there."""
    supervisor = await listen(running, permissions=["alerts:*"])
    await tell(supervisor, type="subscribe", callIds=["*"])
    streams, failures = running.gateway.node.engine.streams, [ConnectionError()]
    publish = streams.publish

    async def failing_once(channel: Channel, *rest: Any) -> Any:
        if channel.is_combined and failures:
            raise failures.pop()
        return await publish(channel, *rest)

    streams.publish = failing_once  # type: ignore[method-assign, assignment]  # a store that fails in between
    with pytest.raises(ConnectionError):
        await running.gateway.publish("alerts:a", {}, idempotency_key="k")
    for _ in range(2):
        await running.gateway.publish("alerts:a", {}, idempotency_key="k")
    await settle()
    assert heard(supervisor) == ["a"]
