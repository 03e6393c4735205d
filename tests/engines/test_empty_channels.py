"""Clients in channels that have no stream yet, over gateways on every engine."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from portward.app.gateway import Gateway
from portward.engines.memory import MemoryEngine
from portward.engines.port import Engine
from portward.engines.redis import RedisEngine, parse_url
from portward.engines.sqlite import SqliteEngine
from portward.model.channel import Channel
from portward.model.limits import Rate
from portward.model.room import Room, RoomOrigin
from portward.node.sessions.clock import LoopClock
from portward.settings.limits import Limits, RateLimit
from portward.telemetry.telemetry import make_telemetry
from portward.testing import MemoryClient, connect
from tests.engines.redis_fixtures import QUICK, eventually
from tests.engines.redis_servers import Server
from tests.running_gateway import settings

UNLIMITED = RateLimit(rate=Rate(0, 1.0, 1))
FREE = Limits(messages=UNLIMITED, join=UNLIMITED, auth=UNLIMITED, history=UNLIMITED)
ROOM = Channel.parse("rooms:general")


class Gateways:
    """One gateway, or two over one store: clients come by the first and come back by the last."""

    def __init__(self, gateways: list[Gateway]) -> None:
        self.all = gateways
        self.first, self.last = gateways[0], gateways[-1]

    async def publish(self, *contents: str) -> None:
        """Publish through one gateway and the other in turn."""
        for number, content in enumerate(contents):
            await self.all[number % len(self.all)].publish(str(ROOM), content)

    async def remove_stream(self) -> None:
        """Delete the stream of the room, not its record."""
        await self.first.node.engine.streams.remove(ROOM)


@pytest.fixture(params=["memory", "sqlite", "redis", "redis, two nodes"])
async def gateways(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Gateways]:
    """Started gateways, with a room."""
    clock = LoopClock()

    def engine() -> Engine:
        if request.param == "memory":
            return MemoryEngine(clock)
        if request.param == "sqlite":
            return SqliteEngine(str(tmp_path / "store.db"), clock)
        redis: Server = request.getfixturevalue("redis")
        return RedisEngine(parse_url(redis.url), clock, timing=QUICK)

    given = settings(rooms={"limits": FREE})
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(2 if "two" in request.param else 1):
            telemetry = make_telemetry(given, clock, StringIO())
            gateway = Gateway(given, engine=engine(), telemetry=telemetry)
            made.append(await stack.enter_async_context(gateway))
        room = Room(id="general")
        await made[0].node.engine.rooms.save(ROOM, room, RoomOrigin.BACKEND)
        yield Gateways(made)


async def enter(gateway: Gateway, user: str, **join: Any) -> MemoryClient:
    """A client in the room."""
    client = await connect(gateway)
    client.send({"type": "auth", "data": {"token": gateway.token(user, roles=["user"])}})
    await came(client, "auth_success")
    client.send({"type": "join", "data": {"roomId": "general", **join}})
    await came(client, "room_joined")
    return client


async def came(client: MemoryClient, kind: str, count: int = 1) -> list[Any]:
    """Wait for so many messages of a type."""
    await eventually(lambda: len(client.all(kind)) >= count)
    return [each["data"] for each in client.all(kind)]


async def torn(gateway: Gateway) -> dict[str, Any]:
    """The position of a client whose connection broke in the empty room."""
    ann = await enter(gateway, "ann")
    position: dict[str, Any] = ann.last("room_joined")["position"]
    assert position["offset"] == 0
    ann.leave(None)
    await eventually(lambda: not gateway.channels())
    return position


async def back(gateway: Gateway, since: dict[str, Any]) -> tuple[bool, list[str]]:
    """What a client gets that comes back with a position."""
    ann = await enter(gateway, "ann", since=since)
    joined = ann.last("room_joined")
    ann.leave(None)
    return joined["recovered"], [each["content"] for each in joined["messages"]]


async def test_back_to_what_was_empty(gateways: Gateways) -> None:
    """Who left the empty room and comes back gets everything that was published meanwhile."""
    since = await torn(gateways.first)
    for gateway in gateways.all:
        assert await back(gateway, since) == (True, [])
    await gateways.publish("a", "b", "c")
    for gateway in gateways.all:
        assert await back(gateway, since) == (True, ["a", "b", "c"])
        assert await back(gateway, since | {"offset": 2}) == (True, ["c"])


async def test_in_the_room_from_before(gateways: Gateways) -> None:
    """Who is in the empty room gets the first publications as they come, on every node, and stays in."""
    clients = [await enter(each, f"u{n}") for n, each in enumerate(gateways.all * 2)]
    positions = [client.last("room_joined")["position"] for client in clients]
    assert positions == positions[:1] * len(clients)
    await gateways.publish("a", "b", "c")
    for client in clients:
        messages = await came(client, "message", 3)
        assert [each["content"] for each in messages] == ["a", "b", "c"]
        assert [each["offset"] for each in messages] == [1, 2, 3]
        assert {each.get("epoch", positions[0]["epoch"]) for each in messages} == {
            positions[0]["epoch"]
        }
        assert client.all("room_left") == []


async def test_joining_while_the_first_is_published(gateways: Gateways) -> None:
    """Joins that run beside the first publications miss none of them, and repeat none."""
    async with asyncio.TaskGroup() as group:
        joins = []
        for number in range(6):
            gateway = gateways.all[number % len(gateways.all)]
            joins.append(group.create_task(enter(gateway, f"u{number}")))
            group.create_task(gateways.publish(f"p{number}"))
    clients = [join.result() for join in joins]
    await gateways.publish("last")
    for client in clients:
        start = client.last("room_joined")["position"]["offset"]
        messages = await came(client, "message", 7 - start)
        assert [each["offset"] for each in messages] == list(range(start + 1, 8))
        assert client.all("room_left") == []


async def lose_unseen(gateways: Gateways) -> None:
    """A stream comes and goes."""
    await gateways.publish("a", "b")
    await gateways.remove_stream()


async def lose_and_go_on(gateways: Gateways) -> None:
    """A stream comes and goes, and another one comes."""
    await lose_unseen(gateways)
    await gateways.publish("c")


async def lose_and_go_on_longer(gateways: Gateways) -> None:
    """Two streams come and go, and a longer one comes."""
    await lose_and_go_on(gateways)
    await gateways.remove_stream()
    await gateways.publish("d", "e", "f", "g")


async def remove_the_room(gateways: Gateways) -> None:
    """The room is removed with its stream and made again."""
    rooms = gateways.first.node.engine.rooms
    await gateways.publish("a")
    await rooms.remove(ROOM)
    await rooms.save(ROOM, Room(id="general"), RoomOrigin.BACKEND)
    await gateways.publish("b")


@pytest.mark.parametrize(
    "change", [lose_unseen, lose_and_go_on, lose_and_go_on_longer, remove_the_room]
)
async def test_back_after_a_stream_is_gone(
    gateways: Gateways, change: Callable[[Gateways], Awaitable[None]]
) -> None:
    """Who left the empty room and missed a whole stream is told so, whatever came after it."""
    since = await torn(gateways.first)
    await change(gateways)
    for gateway in gateways.all:
        for offset in (0, 1, 2, 4):
            assert await back(gateway, since | {"offset": offset}) == (False, [])


async def test_calls_without_an_alert(gateways: Gateways) -> None:
    """Subscribers of two hundred unused calls keep no stream, also after they left; one alert makes one."""
    streams = gateways.last.node.engine.streams
    listeners = []
    for number in range(4):
        gateway = gateways.all[number % len(gateways.all)]
        token = gateway.token(f"user{number}")
        client = await connect(gateway, "/alerts", authorization=f"Bearer {token}")
        calls = [f"c{number}-{each}" for each in range(50)]
        client.send({"type": "subscribe", "callIds": calls})
        subscribed = partial(client.all, "subscribed")
        await eventually(lambda ask=subscribed: bool(ask()))  # type: ignore[misc]
        assert subscribed()[-1]["payload"]["callIds"] == calls
        listeners.append(client)
    assert await streams.channels() == ()
    await gateways.first.publish("alerts:c2-7", {"severity": "high"}, type="mos")
    await eventually(lambda: "high" in str(listeners[2].received[-1]))
    for client in listeners:
        client.leave(None)
    await eventually(lambda: not any(gateway.channels() for gateway in gateways.all))
    for gateway in gateways.all:
        await gateway.node.engine.sweep()
    said = {Channel.parse("alerts:c2-7"), Channel.combined("alerts")}
    assert set(await streams.channels()) == said
