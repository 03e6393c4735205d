"""Channels of Redis without a stream: no key is written for them, and no loss goes unnoticed."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.crc import key_slot

from portward.engines.redis import RedisEngine
from portward.engines.redis.epochs import GROUPS, EpochKeys
from portward.engines.redis.keys import Keys
from portward.model.channel import Channel
from portward.model.position import Position
from portward.model.publication import HistoryQuery
from tests.engines.redis_fixtures import KEPT, OTHER, ROOM, draft, engine_at
from tests.engines.redis_servers import Server

META = "portward:{rooms:general}:meta"
COUNTS = "portward:{streams}:epochs"


@pytest.fixture
async def engine(redis: Server) -> AsyncIterator[RedisEngine]:
    """A started engine."""
    async with engine_at(redis.url) as engine:
        yield engine


@pytest.fixture
async def second(redis: Server) -> AsyncIterator[RedisEngine]:
    """The engine of another node."""
    async with engine_at(redis.url) as engine:
        yield engine


async def start(engine: RedisEngine, channel: Channel = ROOM) -> Position:
    """The position of a channel, as a subscriber gets it."""
    return (await engine.streams.history(channel, HistoryQuery(limit=0), KEPT)).position


async def publish(engine: RedisEngine, data: object = "x", channel: Channel = ROOM) -> Position:
    """Publish, and return the position."""
    return (await engine.streams.publish(channel, draft(data), KEPT, None)).position


async def valid(engine: RedisEngine, position: Position) -> bool:
    """Whether what came since a position can be read whole."""
    query = HistoryQuery(limit=10, since=position)
    page = await engine.streams.history(ROOM, query, KEPT)
    known = position.epoch == page.position.epoch
    return known and page.complete and page.position.offset >= position.offset


async def test_no_key_is_written(redis: Server, engine: RedisEngine) -> None:
    """Listening to and reading a hundred unused channels adds one key in all, also after a sweep."""
    before = set(redis.cli("KEYS", "*").split())
    for number in range(100):
        channel = Channel.parse(f"alerts:unused-{number}")
        await engine.streams.subscribe(channel)
        await engine.streams.history(channel, HistoryQuery(limit=9, latest=True), KEPT)
        await engine.streams.unsubscribe(channel)
    await engine.sweep()
    assert set(redis.cli("KEYS", "*").split()) - before == {COUNTS}
    assert redis.cli("STRLEN", COUNTS).strip() == "16"


async def test_nodes_give_the_same_position(engine: RedisEngine, second: RedisEngine) -> None:
    """Both nodes give one position for an empty channel, and the stream that either makes has its epoch."""
    given = await asyncio.gather(*(start(each) for each in (engine, second) * 5))
    assert len(set(given)) == 1
    stored = await asyncio.gather(publish(engine), publish(second))
    assert {each.epoch for each in stored} == {given[0].epoch}
    assert await valid(second, given[0])


FORGETS: dict[str, list[tuple[str, ...]]] = {
    "the stream ran out": [("PEXPIRE", META, "1")],
    "its book was deleted": [("DEL", META)],
    "its book is broken": [("HDEL", META, "offset")],
    "all its keys were deleted": [
        ("DEL", *(f"portward:{{rooms:general}}:{name}" for name in ("meta", "log", "times")))
    ],
    "the counts were deleted, too": [("DEL", META, COUNTS)],
    "the counts were cut short": [("DEL", META), ("SET", COUNTS, "abc")],
    "the store was emptied": [("FLUSHALL",)],
    "the database was emptied": [("FLUSHDB",)],
}


@pytest.mark.parametrize("way", list(FORGETS))
async def test_a_stream_that_is_gone_is_noticed(
    redis: Server, engine: RedisEngine, way: str
) -> None:
    """However the store lost a stream, no position from before is taken for one of the next stream."""
    places = [await start(engine)]
    places += [await publish(engine, number) for number in range(3)]
    assert {place.epoch for place in places} == {places[0].epoch}
    for command in FORGETS[way]:
        redis.cli(*command)
    await asyncio.sleep(0.01)
    assert not any([await valid(engine, place) for place in places])
    again = await start(engine)
    for number in range(5):
        assert await publish(engine, number) == Position(number + 1, again.epoch)
        assert not any([await valid(engine, place) for place in places])
    assert await valid(engine, again)


@pytest.mark.parametrize("command", ["FLUSHALL", "FLUSHDB"])
async def test_an_emptied_store_is_noticed_of_empty_channels(
    redis: Server, engine: RedisEngine, command: str
) -> None:
    """A position given for an empty channel ends when the store is emptied: what was there is not known."""
    position = await start(engine)
    redis.cli(command)
    assert not await valid(engine, position)
    again = await publish(engine)
    assert again.epoch != position.epoch
    assert not await valid(engine, position)


async def test_another_reign_is_noticed_of_empty_channels(
    redis: Server, engine: RedisEngine
) -> None:
    """A position given for an empty channel ends with the reign of the primary."""
    position = await start(engine)
    assert await valid(engine, position)
    redis.cli("REPLICAOF", "127.0.0.1", "1")
    redis.cli("REPLICAOF", "NO", "ONE")
    assert not await valid(engine, position)
    assert (await publish(engine)).epoch != position.epoch


async def test_other_channels_are_left_alone(engine: RedisEngine) -> None:
    """Streams that come and go elsewhere leave the position of an empty channel valid."""
    position = await start(engine)
    for number in range(50):
        channel = Channel.parse(f"rooms:busy-{number}")
        await publish(engine, number, channel)
        await engine.streams.remove(channel)
    assert await valid(engine, position)
    assert await start(engine, OTHER) != position


async def test_channels_of_a_group_share_the_count(engine: RedisEngine) -> None:
    """In a store with one group, each stream that is made ends the positions of the empty channels."""
    engine.streams._epochs.groups = 1
    position = await start(engine)
    await publish(engine, "x", OTHER)
    assert not await valid(engine, position)
    await publish(engine, "y", OTHER)
    again = await start(engine)
    await publish(engine, "z", OTHER)
    assert await valid(engine, again)


async def test_memory_is_bounded(redis: Server, engine: RedisEngine) -> None:
    """The counts take four bytes a group, whatever the number of streams that were made."""
    for number in range(300):
        await publish(engine, number, Channel.parse(f"rooms:{number}"))
    assert 16 < int(redis.cli("STRLEN", COUNTS)) <= 16 + 4 * GROUPS


def test_keys_of_a_cluster() -> None:
    """In a cluster the counts of a channel lie in its slot, in at most one key for each slot."""
    keys = Keys("portward:", "")
    found = EpochKeys(keys, whole=False)
    channels = [Channel.parse(f"rooms:{number}") for number in range(500)]
    for channel in channels:
        slot = key_slot(keys.stream(channel).meta.encode())
        assert key_slot(found.key(channel).encode()) == slot
    slots = {key_slot(keys.stream(channel).meta.encode()) for channel in channels}
    assert len({found.key(channel) for channel in channels}) == len(slots)
    assert found.groups * 16_384 == EpochKeys(keys, whole=True).groups
