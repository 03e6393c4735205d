"""Channels of Redis in which nothing was published: no key is written, and no gap goes unnoticed."""

import asyncio
import re
from collections.abc import AsyncIterator
from io import StringIO

import pytest

from portward.app.gateway import Gateway
from portward.app.tell import make_telemetry
from portward.engines.redis import RedisEngine, parse_url
from portward.model.limits import Rate
from portward.model.position import Position
from portward.model.publication import HistoryQuery
from portward.node.clock import LoopClock
from portward.settings.limits import Limits, RateLimit
from portward.testing import MemoryClient, connect
from portward.testing.engine_contract import KEPT, ROOM
from tests.engines.redis_fixtures import QUICK, draft, engine_at, eventually
from tests.engines.redis_servers import Server
from tests.house import settings

UNLIMITED = RateLimit(rate=Rate(0, 1.0, 1))
FREE = Limits(messages=UNLIMITED, join=UNLIMITED, auth=UNLIMITED, history=UNLIMITED)


@pytest.fixture
async def engine(redis: Server) -> AsyncIterator[RedisEngine]:
    """A started engine."""
    async with engine_at(redis.url) as engine:
        yield engine


async def start(engine: RedisEngine) -> Position:
    """The position of a channel, as it is handed out."""
    return (await engine.broker.history(ROOM, HistoryQuery(limit=0), KEPT)).position


async def stands(engine: RedisEngine, position: Position) -> bool:
    """Whether what came since a position can be read whole."""
    query = HistoryQuery(limit=10, since=position)
    page = await engine.broker.history(ROOM, query, KEPT)
    known = position.epoch in {page.position.epoch, page.known_as}
    return known and page.complete and page.position.offset >= position.offset


def older(position: Position, seconds: int) -> Position:
    """The same, as it would have been handed out earlier."""
    epoch = re.sub(r"-(\d+)-", lambda found: f"-{int(found[1]) - seconds}-", position.epoch)
    assert epoch != position.epoch
    return Position(position.offset, epoch)


async def test_no_key_is_written(redis: Server, engine: RedisEngine) -> None:
    """Listening to and reading fifty unused channels leaves the store as it was."""
    await start(engine)
    before = redis.cli("DBSIZE")
    for number in range(50):
        channel = type(ROOM).parse(f"alerts:unused-{number}")
        await engine.broker.listen(channel)
        await engine.broker.history(channel, HistoryQuery(limit=9, latest=True), KEPT)
        await engine.broker.ignore(channel)
    await engine.sweep()
    assert redis.cli("DBSIZE") == before


async def test_an_empty_position_is_good_for_a_time(engine: RedisEngine) -> None:
    """One that is older than a record can last proves nothing, before and after the first publication."""
    position = await start(engine)
    assert await stands(engine, older(position, 500))
    assert not await stands(engine, older(position, 100_000))
    await engine.broker.publish(ROOM, draft("a"), KEPT, None)
    assert await stands(engine, older(position, 500))
    assert not await stands(engine, older(position, 100_000))
    assert not await stands(engine, older(position, -60))


async def test_an_emptied_store_is_noticed(redis: Server, engine: RedisEngine) -> None:
    """What was handed out before the store was emptied is unknown, whatever was published."""
    await engine.broker.listen(ROOM)
    position = await start(engine)
    stored = await engine.broker.publish(ROOM, draft("a"), KEPT, None)
    assert stored.position == Position(1, position.epoch)
    redis.cli("FLUSHALL")
    for place in (position, stored.position):
        assert not await stands(engine, place)
    again = await engine.broker.publish(ROOM, draft("b"), KEPT, None)
    assert again.position.epoch != position.epoch
    for place in (position, stored.position):
        assert not await stands(engine, place)


async def test_a_record_that_was_lost_is_noticed(redis: Server, engine: RedisEngine) -> None:
    """Of a record that the store has dropped nothing is left by which the next could be mistaken for it."""
    await engine.broker.listen(ROOM)
    position = await start(engine)
    stored = [await engine.broker.publish(ROOM, draft(n), KEPT, None) for n in range(3)]
    await engine.broker.name_epoch(ROOM, stored[0].position.epoch, frozenset({"~a-1-b"}))
    redis.cli("DEL", "portward:{rooms:general}:meta")
    for number in range(5):
        await engine.broker.publish(ROOM, draft(number), KEPT, None)
    assert not await stands(engine, stored[2].position)
    assert not await stands(engine, Position(2, position.epoch))
    assert not await stands(engine, Position(2, "~a-1-b"))


async def test_names_are_bounded(redis: Server, engine: RedisEngine) -> None:
    """However many epochs were handed out, a record keeps some of them."""
    stored = await engine.broker.publish(ROOM, draft("a"), KEPT, None)
    names = frozenset(f"~a-{n}-b" for n in range(500))
    await engine.broker.name_epoch(ROOM, stored.position.epoch, names)
    assert int(redis.cli("HLEN", "portward:{rooms:general}:meta")) <= 64


# -- two nodes


async def node(redis: Server) -> AsyncIterator[Gateway]:
    """A gateway over the store."""
    engine = RedisEngine(parse_url(redis.url), LoopClock(), timing=QUICK)
    given = settings(rooms={"limits": FREE})
    telemetry = make_telemetry(given, LoopClock(), StringIO())
    async with Gateway(given, engine=engine, telemetry=telemetry) as gateway:
        yield gateway


one = pytest.fixture(node, name="one")
two = pytest.fixture(node, name="two")


async def said(client: MemoryClient, kind: str, count: int = 1) -> list[dict[str, object]]:
    """Wait for so many messages of a type."""
    await eventually(lambda: len(client.all(kind)) >= count)
    return [each["data"] for each in client.all(kind)]


async def enter(gateway: Gateway, user: str, **join: object) -> MemoryClient:
    """A client in the general room."""
    client = await connect(gateway)
    client.send({"type": "auth", "data": {"token": gateway.token(user, roles=["user"])}})
    await said(client, "auth_success")
    client.send({"type": "join", "data": {"roomId": "general", **join}})
    await said(client, "room_joined")
    return client


async def test_two_nodes_begin_a_room(one: Gateway, two: Gateway) -> None:
    """Members of an unused room hear its first messages on both nodes, and come back to either."""
    ann, bob = await enter(one, "ann"), await enter(two, "bob")
    places = [client.last("room_joined")["position"] for client in (ann, bob)]
    assert [place["offset"] for place in places] == [0, 0]
    for number in range(3):
        ann.send({"type": "message", "data": {"roomId": "general", "content": str(number)}})
    for client in (ann, bob):
        heard = await said(client, "message", 3)
        assert [each["offset"] for each in heard] == [1, 2, 3]
        assert client.all("room_left") == []
    ann.leave(None)
    bob.leave(None)
    await asyncio.sleep(0.2)
    await one.publish("rooms:general", "missed")
    for place in places:
        for gateway in (one, two):
            since = {"offset": 3, "epoch": place["epoch"]}
            back = await enter(gateway, "cyd", since=since)
            joined = back.last("room_joined")
            assert joined["recovered"] is True
            assert [each["content"] for each in joined["messages"]] == ["missed"]
            assert joined["position"] == {"offset": 4, "epoch": place["epoch"]}
            back.leave(None)


async def test_an_unused_room_is_come_back_to(one: Gateway, two: Gateway) -> None:
    """Whoever left before the first message hears all of them on return, from every node."""
    ann = await enter(one, "ann")
    since = ann.last("room_joined")["position"]
    ann.leave(None)
    back = await enter(two, "ann", since=since)
    assert back.last("room_joined")["recovered"] is True
    back.leave(None)
    await asyncio.sleep(0.2)
    for number in range(2):
        await two.publish("rooms:general", number)
    for gateway in (one, two):
        back = await enter(gateway, "ann", since=since)
        joined = back.last("room_joined")
        assert joined["recovered"] is True
        assert [each["content"] for each in joined["messages"]] == [0, 1]
        assert joined["position"] == {"offset": 2, "epoch": since["epoch"]}
        back.leave(None)
    await two.publish("rooms:general", 2)
    again = await enter(one, "ann", since={"offset": 2, "epoch": since["epoch"]})
    assert [each["content"] for each in again.last("room_joined")["messages"]] == [2]
