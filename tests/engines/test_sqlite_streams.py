"""Streams of the SQLite engine: what is kept of them, what the sweep takes, how large the file gets."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from portward.engines.port import EngineUnavailable
from portward.engines.sqlite import SqliteEngine, expiry, store, stream_tables, streams, writer
from portward.model.channel import Channel
from portward.model.limits import SNAPSHOT_KEYS
from portward.model.namespace import Namespace
from portward.model.position import Position
from portward.model.publication import HistoryQuery
from portward.testing.clock import FakeClock
from portward.testing.engine_contract import Recorder
from tests.engines.sqlite_parts import (
    ALL,
    BY_KEY,
    KEPT,
    LIVE,
    OTHER,
    ROOM,
    count,
    draft,
    offsets,
    opened,
)

SMALL = replace(KEPT, history_size=5)
LATEST = HistoryQuery(limit=0, latest=True)


@pytest.fixture
def clock() -> FakeClock:
    """The engine's time."""
    return FakeClock()


@pytest.fixture
def sink() -> Recorder:
    """Where the engine announces."""
    return Recorder()


@pytest.fixture
async def engine(tmp_path: Path, clock: FakeClock, sink: Recorder) -> AsyncIterator[SqliteEngine]:
    """A started engine."""
    async with opened(tmp_path / "engine.db", clock, sink) as engine:
        yield engine


async def publish(engine: SqliteEngine, number: int, namespace: Namespace = KEPT) -> None:
    """Publish some at once in one channel."""
    calls = (engine.streams.publish(ROOM, draft(n), namespace, None) for n in range(number))
    await asyncio.gather(*calls)


# -- what is kept


@pytest.mark.parametrize("size", [1, 2, 5, 100])
async def test_exactly_the_size_is_read(engine: SqliteEngine, size: int) -> None:
    """A reader sees as many as the namespace keeps, whenever rows are deleted."""
    namespace = replace(KEPT, history_size=size)
    for number in range(1, 2 * size + 70):
        await engine.streams.publish(ROOM, draft(number), namespace, None)
        if number % 7 == 0:
            first = max(1, number - size + 1)
            assert await offsets(engine, ROOM, namespace) == list(range(first, number + 1))
    assert await count(engine, "publications") < size + stream_tables.MAX_STEP


async def test_no_holes_after_a_history_was_off(engine: SqliteEngine) -> None:
    """A namespace that kept nothing for a while leaves no gap in what is read later."""
    await publish(engine, 3)
    await publish(engine, 2, replace(KEPT, history_size=0))
    await publish(engine, 2)
    page = await engine.streams.history(ROOM, ALL, KEPT)
    assert [each.offset for each in page.publications] == [6, 7]
    since = HistoryQuery(limit=10, since=Position(3, page.position.epoch))
    assert not (await engine.streams.history(ROOM, since, KEPT)).complete


async def test_a_shorter_life_holds_at_once(engine: SqliteEngine, clock: FakeClock) -> None:
    """A namespace that was set to keep things for less time does so for what is there already."""
    await publish(engine, 2)
    clock.advance(100)
    short = replace(KEPT, history_ttl=60.0)
    await publish(engine, 1, short)
    assert await offsets(engine, ROOM, short) == [3]
    await engine.sweep()
    assert await count(engine, "publications") == 1


async def test_a_clock_set_back_makes_no_holes(engine: SqliteEngine, clock: FakeClock) -> None:
    """What is kept stays in one piece, even when a later publication seems to be older."""
    await publish(engine, 1)
    clock.set_wall(clock.time() - 3000)
    await publish(engine, 1)
    clock.advance(3000 + 700)
    assert await offsets(engine) == [1, 2]
    clock.advance(2900)
    assert await offsets(engine) == []


async def test_keys_of_a_snapshot_are_bounded(engine: SqliteEngine) -> None:
    """Of too many keys the one said longest ago is forgotten, whenever they are counted."""
    number = SNAPSHOT_KEYS + 2
    calls = (
        engine.streams.publish(LIVE, draft(n, key=f"k{n}"), BY_KEY, None) for n in range(number)
    )
    await asyncio.gather(*calls)
    await engine.streams.publish(LIVE, draft(0, key="k2"), BY_KEY, None)
    await engine.streams.publish(LIVE, draft(0, key="more"), BY_KEY, None)
    page = await engine.streams.history(LIVE, LATEST, BY_KEY)
    keys = [each.key for each in page.latest]
    assert keys == [*(f"k{n}" for n in range(4, number)), "k2", "more"]
    assert page.publications == ()


async def test_a_snapshot_that_was_turned_off_is_forgotten(engine: SqliteEngine) -> None:
    """Without the setting no last values are read, and the next publication deletes them."""
    await engine.streams.publish(LIVE, draft(1, key="k"), BY_KEY, None)
    plain = Namespace(name="live")
    assert (await engine.streams.history(LIVE, LATEST, plain)).latest == ()
    await engine.streams.publish(LIVE, draft(2, key="k"), plain, None)
    assert await count(engine, "latest") == 0
    await engine.streams.publish(LIVE, draft(3), BY_KEY, None)
    assert (await engine.streams.history(LIVE, LATEST, BY_KEY)).latest == ()


async def test_the_latest_come_with_another_epoch_too(engine: SqliteEngine) -> None:
    """Who asks with a position of an earlier life gets the snapshot all the same."""
    await engine.streams.publish(LIVE, draft(1, key="k"), BY_KEY, None)
    query = HistoryQuery(limit=1, since=Position(9, "other"), latest=True)
    page = await engine.streams.history(LIVE, query, BY_KEY)
    assert (page.complete, [each.key for each in page.latest]) == (False, ["k"])


async def test_the_cache_of_streams_is_bounded(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With more streams than it remembers the writer still counts them right."""
    monkeypatch.setattr(stream_tables, "MAX_CACHED", 2)
    for turn in range(1, 3):
        for number in range(5):
            channel = Channel.parse(f"rooms:{number}")
            stored = await engine.streams.publish(channel, draft(), KEPT, None)
            assert stored.position.offset == turn
    assert engine.streams.stream_counts() == {"rooms": 5}


async def test_a_removed_channel_leaves_nothing(engine: SqliteEngine) -> None:
    """With a channel go its publications, its last values and its idempotency keys."""
    await engine.streams.publish(LIVE, draft(1, key="k"), replace(BY_KEY, history_size=5), "once")
    await engine.streams.remove(LIVE)
    await engine.streams.remove(LIVE)
    for table in ("streams", "publications", "latest", "keys"):
        assert await count(engine, table) == 0
    assert engine.streams.stream_counts() == {}


# -- sweeping


async def test_the_sweep_takes_small_steps(
    engine: SqliteEngine, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much has expired, one transaction deletes a batch of it, and the sweep all."""
    monkeypatch.setattr(expiry, "BATCH", 10)
    monkeypatch.setattr(store, "BATCH", 10)
    monkeypatch.setattr(streams, "BATCH", 10)
    namespace = replace(KEPT, history_size=1000, idle_ttl=30.0)
    for number in range(25):
        channel = Channel.parse(f"rooms:{number}")
        await engine.streams.publish(channel, draft(), namespace, f"key {number}")
        await engine.streams.history(channel, ALL, namespace)
    await publish(engine, 35, namespace)
    clock.advance(3601)
    await engine.sweep()
    for table in ("streams", "publications", "keys"):
        assert await count(engine, table) == 0
    assert engine.streams.stream_counts() == {}


async def test_a_stream_in_use_is_not_dropped(engine: SqliteEngine, clock: FakeClock) -> None:
    """Reading a stream, or having listened to it, is a use of it."""
    plain = Namespace(name="rooms", idle_ttl=60.0)
    positions = [
        (await engine.streams.publish(each, draft(), plain, None)) for each in (ROOM, OTHER)
    ]
    await engine.streams.subscribe(OTHER)
    for _ in range(5):
        clock.advance(50)
        await engine.streams.history(ROOM, ALL, plain)
        await engine.sweep()
    await engine.streams.unsubscribe(OTHER)
    clock.advance(50)
    await engine.sweep()
    pages = [await engine.streams.history(each, ALL, plain) for each in (ROOM, OTHER)]
    assert [each.position for each in pages] == [each.position for each in positions]
    clock.advance(120)
    await engine.sweep()
    assert await engine.streams.channels() == ()


async def test_a_stream_lives_as_long_as_its_keys(engine: SqliteEngine, clock: FakeClock) -> None:
    """An idempotency key keeps an idle stream, so that its outcome stays true; then both go."""
    plain = Namespace(name="rooms", idle_ttl=10.0)
    first = await engine.streams.publish(ROOM, draft(), plain, "k")
    clock.advance(299)
    await engine.sweep()
    assert (await engine.streams.publish(ROOM, draft(), plain, "k")).position == first.position
    clock.advance(20)
    await engine.sweep()
    assert await engine.streams.channels() == ()


async def test_who_comes_while_a_stream_goes_gets_a_new_one(
    engine: SqliteEngine, clock: FakeClock
) -> None:
    """A position read while a stream is being dropped is one of its next life, which lasts."""
    first = await engine.streams.publish(ROOM, draft(), Namespace(name="rooms"), None)
    clock.advance(1000)
    sweep = asyncio.ensure_future(engine.sweep())
    async with asyncio.timeout(30):
        while not engine.streams._dropping:  # noqa: ASYNC110 - the engine has no event for it
            await asyncio.sleep(0)
    page = await engine.streams.history(ROOM, ALL, KEPT)
    await sweep
    assert page.position.offset == 0
    assert page.position.epoch != first.position.epoch
    assert (await engine.streams.history(ROOM, ALL, KEPT)).position == page.position
    assert engine.streams.stream_counts() == {}
    stored = await engine.streams.publish(ROOM, draft(), Namespace(name="rooms"), None)
    assert stored.position == Position(1, page.position.epoch)


async def test_who_comes_before_a_stream_goes_keeps_it(
    engine: SqliteEngine, clock: FakeClock
) -> None:
    """A publish that is queued before the drop keeps the stream alive."""
    plain = Namespace(name="rooms")
    first = await engine.streams.publish(ROOM, draft(), plain, None)
    clock.advance(1000)
    sweep = asyncio.ensure_future(engine.sweep())
    stored = [await engine.streams.publish(ROOM, draft(), plain, None) for _ in range(5)]
    await sweep
    assert {each.position.epoch for each in stored} == {first.position.epoch}
    assert stored[-1].position.offset == 6


async def test_one_sweep_at_a_time(engine: SqliteEngine) -> None:
    """A sweep that is asked for while another runs is over at once."""
    sweep = asyncio.ensure_future(engine.sweep())
    await asyncio.sleep(0)
    with pytest.raises(StopIteration):
        engine.sweep().send(None)
    await sweep


async def test_uses_are_not_lost_by_a_failing_sweep(
    engine: SqliteEngine, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a sweep could not write down the next one does."""
    plain = Namespace(name="rooms", idle_ttl=60.0)
    first = await engine.streams.publish(ROOM, draft(), plain, None)
    clock.advance(50)
    await engine.streams.history(ROOM, ALL, plain)
    monkeypatch.setattr(writer, "MAX_QUEUED", 0)
    with pytest.raises(EngineUnavailable):
        await engine.sweep()
    monkeypatch.setattr(writer, "MAX_QUEUED", 100)
    clock.advance(50)
    await engine.sweep()
    assert (await engine.streams.history(ROOM, ALL, plain)).position == first.position


# -- the size of the file


def size_of(path: Path) -> int:
    """Bytes of a file."""
    return path.stat().st_size


async def test_the_file_stops_growing(
    engine: SqliteEngine, clock: FakeClock, tmp_path: Path
) -> None:
    """However much is published, the file has the size of what is kept."""
    sizes = []
    channels = [Channel.parse(f"rooms:{number}") for number in range(4)]
    for turn in range(12):
        for _ in range(5):
            calls = (
                engine.streams.publish(
                    channels[n % 4], draft(n, data="x" * 500), SMALL, f"{turn} {n}"
                )
                for n in range(200)
            )
            await asyncio.gather(*calls)
        clock.advance(301)
        await engine.sweep()
        sizes.append(size_of(tmp_path / "engine.db"))
    assert max(sizes[6:]) <= max(sizes[:6]) * 1.1
    assert await count(engine, "keys") == 0


async def test_channels_that_come_and_go_leave_no_trace(
    engine: SqliteEngine, clock: FakeClock, tmp_path: Path
) -> None:
    """Channels that are used once fill the file no further than those of one lifetime."""
    sizes = []
    for turn in range(8):
        calls = (
            engine.streams.publish(Channel.parse(f"rooms:{turn}-{n}"), draft(n), KEPT, None)
            for n in range(500)
        )
        await asyncio.gather(*calls)
        clock.advance(3601)
        await engine.sweep()
        sizes.append(size_of(tmp_path / "engine.db"))
    assert await count(engine, "streams") == 0
    assert max(sizes[4:]) <= max(sizes[:4]) * 1.1


async def test_free_pages_are_given_back(
    engine: SqliteEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After much was deleted the file and its log become small again."""
    monkeypatch.setattr(store, "SPARE_PAGES", 10)
    monkeypatch.setattr(store, "LARGE_WAL", 100_000)
    calls = (
        engine.streams.publish(ROOM, draft(n, data="x" * 50_000), KEPT, None) for n in range(60)
    )
    await asyncio.gather(*calls)
    await engine.streams.remove(ROOM)
    await engine.sweep()
    await engine.sweep()
    assert size_of(tmp_path / "engine.db") < 500_000
    assert size_of(tmp_path / "engine.db-wal") <= 100_000
