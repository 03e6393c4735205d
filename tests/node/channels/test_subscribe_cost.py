"""What subscribing costs: by channel, and nothing for whoever comes back after a break."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from portward.model.channel import Channel
from portward.model.disconnects import Disconnect
from portward.model.limits import Rate
from portward.model.replies import INSUFFICIENT_STATE
from portward.node.channels.subscribe_cost import RETURN_TIME, SubscribeCost
from portward.settings import Settings
from portward.settings.limits import Limits, RateLimit
from portward.testing import MemoryClient, connect
from tests.running_gateway import (
    RunningGateway,
    ask,
    errors,
    run_gateway,
    session_of,
    settings,
    settle,
)

ENDLESS = RateLimit(rate=Rate(0, 1.0, 1))
MANY = [f"r{number}" for number in range(18)]


def given() -> Settings:
    """Default limits on joins; messages and attempts do not count."""
    return settings(rooms={"limits": Limits(messages=ENDLESS, auth=ENDLESS, attempts=ENDLESS)})


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway with twenty joins a minute."""
    async with run_gateway(given()) as running:
        yield running


async def join(client: MemoryClient, *rooms: str) -> int:
    """Ask to join rooms; in how many the client is now."""
    for room in rooms:
        await ask(client, "join", roomId=room)
    return len(session_of(client).subscriptions)


WAYS: dict[str, Any] = {
    "torn": lambda client: client.leave(None),
    "closed": lambda client: client.leave(1000),
    "gone": lambda client: client.leave(1001),
    "slow": lambda client: session_of(client).end(Disconnect.SLOW, "test"),
    "no pong": lambda client: session_of(client).end(Disconnect.NO_PONG, "test"),
    "drain": lambda client: session_of(client).end(Disconnect.SHUTDOWN, "test"),
    "limits": lambda client: session_of(client).end(Disconnect.TOO_MANY_REQUESTS, "test"),
}


@pytest.mark.parametrize("way", list(WAYS))
async def test_coming_back_is_free(running: RunningGateway, way: str) -> None:
    """However a connection broke: eighteen rooms are joined again at once, time after time."""
    ann = await running.client("ann")
    assert await join(ann, *MANY) == 18
    for _ in range(4):
        WAYS[way](ann)
        await settle()
        ann = await running.client("ann")
        assert await join(ann, *MANY) == 18
        assert errors(ann) == []
    assert await join(ann, "new1", "new2", "new3") == 20
    assert errors(ann) == ["Join rate limit exceeded"]


@pytest.mark.parametrize(
    "ending",
    [
        Disconnect.REVOKED,
        Disconnect.PERMISSION_LOST,
        Disconnect.AUTH_FAILED,
        Disconnect.TOO_MANY_FAULTS,
    ],
)
async def test_not_after_an_end_for_good(running: RunningGateway, ending: Disconnect) -> None:
    """Whoever is not to come back comes back for nothing to no room."""
    ann = await running.client("ann")
    await join(ann, *MANY)
    session_of(ann).end(ending, "test")
    await settle()
    assert await join(await running.client("ann"), *MANY) == 2


async def test_once(running: RunningGateway) -> None:
    """What was used is used up: with a third connection the joins count."""
    ann = await running.client("ann")
    await join(ann, *MANY)
    ann.leave(None)
    back = await running.client("ann")
    assert await join(back, *MANY) == 18
    for room in MANY:
        await ask(back, "leave", roomId=room)
    assert await join(back, *MANY) == 2


async def test_not_for_another_user_nor_after_a_while(running: RunningGateway) -> None:
    """Only the user who was there, and only for two minutes."""
    ann = await running.client("ann")
    await join(ann, *MANY)
    ann.leave(None)
    bob = await running.client("bob")
    assert await join(bob, *MANY, "x1", "x2", "x3") == 20
    await running.advance(RETURN_TIME + 1)
    ann = await running.client("ann")
    assert await join(ann, *(f"y{n}" for n in range(20)), *MANY) == 20


@pytest.mark.parametrize("way", ["leave", "kick", "unsubscribe"])
async def test_what_was_left_is_forgotten(running: RunningGateway, way: str) -> None:
    """Leaving a room, being kicked, and being taken out by the backend make a join of it count again."""
    ann = await running.client("ann")
    await join(ann, *MANY)
    ann.leave(None)
    await settle()
    match way:
        case "leave":
            other = await running.client("ann")
            await join(other, MANY[0])
            await ask(other, "leave", roomId=MANY[0])
            other.leave(None)
        case "kick":
            boss = await running.client("boss", MANY[0], roles=("user", "admin"))
            await ask(boss, "kick", roomId=MANY[0], userId="ann")
        case _:
            await running.gateway.unsubscribe("ann", Channel.parse(f"rooms:{MANY[0]}"))
    await settle()
    back = await running.client("ann")
    assert await join(back, "new1", "new2") == 2
    assert await join(back, *MANY[1:]) == 19
    assert await join(back, MANY[0]) == 19
    assert errors(back) == ["Join rate limit exceeded"]


async def test_a_position_proves_nothing(running: RunningGateway) -> None:
    """A join with `since` counts like any other."""
    ann = await running.client("ann")
    for room in [f"q{number}" for number in range(25)]:
        await ask(ann, "join", roomId=room, since={"offset": 0, "epoch": "x"})
    assert len(session_of(ann).subscriptions) == 20


async def test_a_connection_that_is_dead_and_not_known_to_be(running: RunningGateway) -> None:
    """Whoever comes back before the gateway has noticed the break is let in, too."""
    dead = await running.client("ann")
    await join(dead, *MANY)
    for _ in range(3):
        ann = await running.client("ann")
        assert await join(ann, *MANY) == 18
        assert errors(ann) == []
    assert await join(ann, *(f"n{number}" for number in range(5))) < 23


async def test_a_room_that_is_joined_twice_counts_twice(running: RunningGateway) -> None:
    """Joining a room again that the connection is in is a join like any other."""
    ann = await running.client("ann")
    assert await join(ann, *["lobby"] * 21) == 1
    assert errors(ann) == ["Join rate limit exceeded"]


async def test_what_the_gateway_lost_is_joined_for_nothing(running: RunningGateway) -> None:
    """Rooms that are taken away because something was lost on the way are joined again for nothing."""
    ann = await running.client("ann")
    await join(ann, *MANY)
    membership = running.gateway.node.subscriptions
    for room in MANY:
        membership.remove(session_of(ann), Channel.parse(f"rooms:{room}"), INSUFFICIENT_STATE)
    assert await join(ann, *MANY) == 18
    assert errors(ann) == []


async def test_coming_back_has_a_bound(
    running: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user that breaks its connections again and again pays for what is beyond ten full ones."""
    joins: SubscribeCost = running.gateway.node.subscribe_cost
    monkeypatch.setattr(joins, "_returned", type(joins._returned)(Rate(40, 60.0, 40)))
    counts = []
    for _ in range(5):
        ann = await running.client("ann")
        counts.append(await join(ann, *MANY))
        ann.leave(None)
        await settle()
    assert counts[:3] == [18, 18, 18]
    assert counts[4] < 18


# -- alerts: lists of ids


@pytest.fixture
async def alerts() -> AsyncIterator[RunningGateway]:
    """A gateway with the limits of the alerts."""
    async with run_gateway() as running:
        yield running


async def listen(running: RunningGateway, user: str = "ann") -> MemoryClient:
    """A client of the alerts."""
    return await connect(running.gateway, "/alerts", authorization=f"Bearer {running.token(user)}")


async def subscribe(client: MemoryClient, *calls: str) -> Any:
    """Subscribe; the answer."""
    client.send({"type": "subscribe", "callIds": list(calls)})
    await settle()
    return client.received[-1]


def ids(start: int, count: int) -> list[str]:
    """Call ids that nobody uses."""
    return [f"c{number}" for number in range(start, start + count)]


async def test_ids_are_counted(alerts: RunningGateway) -> None:
    """A list costs as many subscriptions as it has new ids: a hundred at once, two hundred a minute."""
    ann = await listen(alerts)
    for start in (0, 50):
        answer = await subscribe(ann, *ids(start, 50))
        assert answer["payload"]["callIds"] == ids(start, 50)
        ann.send({"type": "unsubscribe"})
    answer = await subscribe(ann, *ids(100, 50))
    assert answer["payload"]["code"] == "subscribe_rate_limited"
    assert 0 < answer["payload"]["retryMs"] <= 15_001
    await alerts.advance(15.1)
    assert (await subscribe(ann, *ids(100, 50)))["payload"]["callIds"] == ids(100, 50)


async def test_held_ids_are_free(alerts: RunningGateway) -> None:
    """Ids that one is subscribed to already cost nothing, however often they are named."""
    ann = await listen(alerts)
    for _ in range(20):
        answer = await subscribe(ann, *ids(0, 50))
        assert answer["payload"]["callIds"] == ids(0, 50)


async def test_a_large_list_counts_as_the_burst(alerts: RunningGateway) -> None:
    """More ids than the burst are not refused for ever."""
    ann = await listen(alerts)
    answer = await subscribe(ann, *ids(0, 100))
    assert answer["payload"]["callIds"] == ids(0, 50)


async def test_unused_ids_leave_nothing(alerts: RunningGateway) -> None:
    """Subscribing to ids in which nothing was published keeps nothing in the engine, then or afterwards."""
    streams = alerts.gateway.node.engine.streams
    for number in range(5):
        ann = await listen(alerts, f"user{number}")
        calls = ids(100 * number, 50)
        assert (await subscribe(ann, *calls))["payload"]["callIds"] == calls
        assert await streams.channels() == ()
        assert streams.stream_counts() == {}
        ann.leave(None)
    await settle()
    assert await streams.channels() == ()
    assert streams.stream_counts() == {}
    assert alerts.gateway.channels() == {}


async def test_returning_ids_are_free(alerts: RunningGateway) -> None:
    """After a break fifty ids are subscribed to again at once; refused with others they stay free."""
    ann = await listen(alerts)
    await subscribe(ann, *ids(0, 50))
    for start in (50, 100):
        await subscribe(ann, *ids(start, 50))
    ann.leave(None)
    await settle()
    ann = await listen(alerts)
    refused = await subscribe(ann, *ids(0, 50), *ids(200, 50))
    assert refused["payload"]["code"] == "subscribe_rate_limited"
    answer = await subscribe(ann, *ids(0, 50))
    assert answer["payload"]["callIds"] == ids(0, 50)
