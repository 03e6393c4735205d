"""The writer of the SQLite engine: grouped commits, their order, and what a failing disk does."""

import asyncio
import random
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from portward.engines.port import EngineUnavailable, Key
from portward.engines.sqlite import SqliteEngine, reader, schema, writer
from portward.model.channel import Channel
from portward.model.identity import ANONYMOUS
from portward.model.namespace import Namespace
from portward.model.publication import Publication
from portward.testing.clock import FakeClock
from portward.testing.engine_contract import Recorder
from tests.engines.sqlite_parts import ALL, KEPT, OTHER, ROOM, draft, offsets, opened
from tests.stores import stores

LARGE = Namespace(name="rooms", history_size=10_000, history_ttl=3600.0)


@pytest.fixture
def sink() -> Recorder:
    """Where the engine announces."""
    return Recorder()


@pytest.fixture
async def engine(
    tmp_path: Path, sink: Recorder, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[SqliteEngine]:
    """A started engine that does not wait for others' locks."""
    monkeypatch.setattr(schema, "BUSY_TIME", 0)
    async with opened(tmp_path / "engine.db", FakeClock(), sink) as engine:
        yield engine


async def test_a_thousand_publishes_keep_their_order(engine: SqliteEngine, sink: Recorder) -> None:
    """Offsets are given in the order of the calls, and announced in the order of the offsets."""
    calls = [engine.streams.publish(ROOM, draft(n), LARGE, None) for n in range(1000)]
    stored = await asyncio.gather(*calls)
    assert [each.position.offset for each in stored] == list(range(1, 1001))
    assert [each.offset for _, each, _, _ in sink.publications] == list(range(1, 1001))
    assert [each.data for _, each, _, _ in sink.publications] == list(range(1000))
    assert await offsets(engine, ROOM, LARGE) == list(range(1, 1001))


async def test_announced_before_answered(engine: SqliteEngine, sink: Recorder) -> None:
    """Who has the answer to a publish finds it announced, and in the history."""

    async def publish(number: int) -> None:
        stored = await engine.streams.publish(ROOM, draft(number), LARGE, None)
        announced = [each.offset for _, each, _, _ in sink.publications]
        assert stored.position.offset in announced
        assert stored.position.offset in await offsets(engine, ROOM, LARGE)

    await asyncio.gather(*(publish(number) for number in range(50)))


async def test_what_queues_up_is_committed_together(engine: SqliteEngine) -> None:
    """All publishes that come while the writer is busy are one transaction."""
    statements: list[str] = []
    busy = threading.Event()
    await engine.store.write(lambda db: db.set_trace_callback(statements.append))
    held = engine.store.write(lambda _: busy.wait(30))
    calls = [
        asyncio.ensure_future(engine.streams.publish(ROOM, draft(n), LARGE, None))
        for n in range(500)
    ]
    await asyncio.sleep(0)
    busy.set()
    await asyncio.gather(held, *calls)
    await engine.store.write(lambda db: db.set_trace_callback(None))
    inserts = [each for each in statements if each.startswith("INSERT INTO publications")]
    assert len(inserts) == 500
    assert statements.count("COMMIT") <= 3, "the trace's, that of what held it up, and theirs"


async def test_a_failing_command_leaves_the_others_alone(engine: SqliteEngine) -> None:
    """What one command wrote before it failed is undone, and the rest of its group is kept."""

    def fails(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO kept (key, value) VALUES ('half', 'done')")
        db.execute("INSERT INTO kept (key, value) VALUES ('half', 'again')")

    results = await asyncio.gather(
        engine.streams.publish(ROOM, draft(1), KEPT, None),
        engine.store.write(fails),
        engine.streams.publish(ROOM, draft(2, data=object()), KEPT, None),
        engine.streams.publish(ROOM, draft(3), KEPT, None),
        return_exceptions=True,
    )
    assert isinstance(results[1], sqlite3.IntegrityError)
    assert isinstance(results[2], TypeError)
    assert await offsets(engine) == [1, 2]
    assert await engine.kv.get(Key("half")) is None
    assert engine.healthy


async def test_callers_may_give_up(engine: SqliteEngine, sink: Recorder) -> None:
    """Cancelled calls are carried out all the same, and disturb neither order nor others."""
    dice = random.Random(7)
    tasks = [
        asyncio.ensure_future(engine.streams.publish(ROOM, draft(n), LARGE, None))
        for n in range(300)
    ]
    for task in dice.sample(tasks, 150):
        if dice.random() < 0.3:
            await asyncio.sleep(0)
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert any(isinstance(each, asyncio.CancelledError) for each in results)
    await engine.streams.publish(ROOM, draft(300), LARGE, None)
    kept = await offsets(engine, ROOM, LARGE)
    assert kept == list(range(1, len(kept) + 1))
    assert [each.offset for _, each, _, _ in sink.publications] == kept


async def test_a_read_may_be_given_up(engine: SqliteEngine) -> None:
    """A cancelled read leaves the reader to the others."""
    reading = [asyncio.ensure_future(engine.kv.get(Key("x"))) for _ in range(20)]
    await asyncio.sleep(0)
    for task in reading[::2]:
        task.cancel()
    results = await asyncio.gather(*reading, return_exceptions=True)
    assert results[1::2] == [None] * 10
    assert await engine.kv.get(Key("x")) is None


async def test_the_queue_is_bounded(engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """With too many commands waiting the next is refused, and said not to be carried out."""
    monkeypatch.setattr(writer, "MAX_QUEUED", 0)
    with pytest.raises(EngineUnavailable, match="too many commands"):
        await engine.streams.publish(ROOM, draft(), KEPT, None)
    monkeypatch.setattr(writer, "MAX_QUEUED", 10)
    monkeypatch.setattr(reader, "MAX_WAITING", 0)
    with pytest.raises(EngineUnavailable, match="too many wait"):
        await engine.streams.history(ROOM, ALL, KEPT)
    monkeypatch.setattr(reader, "MAX_WAITING", 10)
    assert await offsets(engine) == []


async def test_groups_are_bounded(engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long queue is carried out in several transactions."""
    monkeypatch.setattr(writer, "MAX_GROUP", 3)
    await asyncio.gather(*(engine.streams.publish(ROOM, draft(n), KEPT, None) for n in range(10)))
    assert await offsets(engine) == list(range(1, 11))


async def test_a_full_disk_is_told_and_got_over(engine: SqliteEngine, sink: Recorder) -> None:
    """Nothing is stored or announced on a full disk; with room again all goes on by itself."""
    await engine.streams.publish(ROOM, draft(0), KEPT, None)
    pages = await engine.store.read(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    await engine.store.write(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchall())
    big = "x" * 60_000
    results = await asyncio.gather(
        *(engine.streams.publish(ROOM, draft(n, data=big), KEPT, None) for n in range(1, 4)),
        return_exceptions=True,
    )
    assert [type(each) for each in results] == [EngineUnavailable] * 3
    assert (engine.healthy, sink.health) == (False, [False])
    assert await offsets(engine) == [1]
    await engine.store.write(lambda db: db.execute("PRAGMA max_page_count = 100000").fetchall())
    assert not engine.healthy, "nothing was written yet"
    await engine.sweep()
    assert (engine.healthy, sink.health) == (True, [False, True])
    stored = await engine.streams.publish(ROOM, draft(5, data=big), KEPT, None)
    assert stored.position.offset == 2
    assert [each.offset for _, each, _, _ in sink.publications] == [1, 2]


async def test_a_locked_file_is_told_and_got_over(
    engine: SqliteEngine, sink: Recorder, tmp_path: Path
) -> None:
    """While somebody else holds the file nothing is written, but it can be read."""
    await engine.streams.publish(ROOM, draft(), KEPT, None)
    shell = sqlite3.connect(tmp_path / "engine.db", isolation_level=None)
    try:
        shell.execute("BEGIN IMMEDIATE")
        for _ in range(2):
            with pytest.raises(EngineUnavailable, match="locked"):
                await engine.streams.publish(ROOM, draft(), KEPT, None)
        assert await offsets(engine) == [1]
    finally:
        shell.close()
    stored = await engine.streams.publish(ROOM, draft(), KEPT, None)
    assert stored.position.offset == 2
    assert sink.health == [False, True]


async def test_a_table_that_is_gone_is_told(engine: SqliteEngine) -> None:
    """A store that cannot be read, written or tidied any more says so, without a word of SQL."""
    await engine.store.execute("DROP TABLE kept", ())
    with pytest.raises(EngineUnavailable, match="cannot be read"):
        await engine.kv.get(Key("x"))
    with pytest.raises(EngineUnavailable, match="cannot be written"):
        await engine.kv.put(Key("x"), b"y")
    with pytest.raises(EngineUnavailable, match="cannot be tidied"):
        await engine.store.write(lambda db: db.execute("DELETE FROM kept"), alone=True)


async def test_a_command_that_finds_no_memory_fails_its_group(engine: SqliteEngine) -> None:
    """Whatever goes wrong in the thread, it lives on, and those who wait are told."""

    def fails(_: sqlite3.Connection) -> None:
        raise MemoryError

    with pytest.raises(EngineUnavailable):
        await engine.store.write(fails)
    assert not engine.healthy
    await engine.sweep()
    assert engine.healthy


async def test_an_announcement_that_fails_hangs_nobody(tmp_path: Path) -> None:
    """A sink that raises is reported to the loop, and every caller still gets the answer."""
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

    class Broken(Recorder):
        def on_publication(
            self, channel: Channel, publication: Publication, epoch: str, exclude: str | None
        ) -> None:
            super().on_publication(channel, publication, epoch, exclude)
            raise ZeroDivisionError

    async with opened(tmp_path / "engine.db", FakeClock(), Broken()) as engine:
        calls = (engine.streams.publish(each, draft(), KEPT, None) for each in (ROOM, OTHER))
        assert len(await asyncio.gather(*calls)) == 2
    assert len(reported) == 2


async def test_a_stop_carries_out_what_is_queued(tmp_path: Path, sink: Recorder) -> None:
    """Publishes that were called before the stop are stored, announced and answered."""
    engine = SqliteEngine(str(tmp_path / "engine.db"), FakeClock())
    await engine.start(sink)
    calls = [
        asyncio.ensure_future(engine.streams.publish(ROOM, draft(n), LARGE, None))
        for n in range(50)
    ]
    tidying = engine.store.write(lambda _: 1, alone=True)
    await asyncio.sleep(0)
    await engine.stop()
    assert all(task.done() for task in calls)
    assert [task.result().position.offset for task in calls] == list(range(1, 51))
    assert len(sink.publications) == 50
    assert await tidying == 1


async def test_a_loop_that_was_closed_hangs_no_thread(tmp_path: Path) -> None:
    """An engine nobody stopped does not disturb the end of its loop."""

    def life() -> None:
        async def begin() -> SqliteEngine:
            engine = SqliteEngine(str(tmp_path / "other.db"), FakeClock())
            await engine.start(Recorder())
            return engine

        loop = asyncio.new_event_loop()
        engine = loop.run_until_complete(begin())
        inside = engine.store._writer
        assert inside is not None
        loop.close()
        inside._queue.put(None)
        inside._thread.join(30)
        assert not inside._thread.is_alive()
        assert engine.store._reader is not None
        engine.store._reader._db.close()
        engine.store._retire()
        engine.store._claim.release()

    await asyncio.to_thread(life)


async def test_no_task_is_needed(engine: SqliteEngine) -> None:
    """A call made outside of any Task waits for a plain future."""
    revocations = stores(engine).revocations
    await revocations.load()
    coroutine = revocations.is_revoked(ANONYMOUS, None)
    with pytest.raises(StopIteration):
        coroutine.send(None)
    publish = engine.streams.publish(ROOM, draft(), KEPT, None)
    waited = publish.send(None)
    assert isinstance(waited, asyncio.Future)
    await asyncio.wait([waited])
    with pytest.raises(StopIteration) as ended:
        publish.send(None)
    assert ended.value.value.position.offset == 1
