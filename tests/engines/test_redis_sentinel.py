"""The Redis engine with Sentinels: it follows the primary, and what a failover lost is not hidden."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from portward.engines.port import Engine, EngineUnavailable
from portward.model.publication import HistoryQuery
from tests.engines.redis_fixtures import (
    HASTY,
    KEPT,
    ROOM,
    Publisher,
    Witness,
    at_last,
    check_books,
    draft,
    engine_at,
    eventually,
)
from tests.engines.redis_servers import Server, need_redis, servers, until

SENTINEL = """
sentinel monitor mymaster 127.0.0.1 {primary} 2
sentinel down-after-milliseconds mymaster 600
sentinel failover-timeout mymaster 4000
sentinel parallel-syncs mymaster 1
sentinel resolve-hostnames no
"""


class Watched:
    """A primary, its replica, and three Sentinels."""

    def __init__(self, stores: tuple[Server, ...], sentinels: tuple[Server, ...]) -> None:
        self.stores = stores
        self.sentinels = sentinels

    @property
    def url(self) -> str:
        """Their address."""
        hosts = ",".join(f"127.0.0.1:{each.port}" for each in self.sentinels)
        return f"redis+sentinel://{hosts}/mymaster"

    def primary(self) -> Server:
        """Whom the Sentinels name."""
        port = self.sentinels[0].cli("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster").split()[1]
        return next(each for each in self.stores if each.port == int(port))


def _sentinel(folder: Path, primary: Server) -> Server:
    folder.mkdir()
    (folder / "sentinel.conf").write_text(SENTINEL.format(primary=primary.port))
    return Server(folder)


@contextmanager
def _watched(folder: Path) -> Iterator[Watched]:
    with servers(Server(folder / "a", "--save", "", "--repl-diskless-sync-delay", "0")) as (first,):
        replica = Server(
            folder / "b", "--save", "", "--replicaof", f"127.0.0.1 {first.port}",
            "--repl-diskless-sync-delay", "0",
        )  # fmt: skip
        watchers = [_sentinel(folder / f"s{n}", first) for n in range(3)]
        with servers(replica):
            until(lambda: replica.field("replication", "master_link_status") == "up")
            with servers(*watchers):
                for each in watchers:
                    until(lambda each=each: _knows_all(each))  # type: ignore[misc]
                yield Watched((first, replica), tuple(watchers))


def _knows_all(sentinel: Server) -> bool:
    known = sentinel.cli("INFO", "sentinel")
    return "status=ok,address=" in known and "slaves=1,sentinels=3" in known


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """Such a group, which has found itself."""
    need_redis()
    with _watched(tmp_path) as group:
        yield group


async def _moved(watched: Watched, away: Server) -> Server:
    await eventually(lambda: watched.primary() is not away)
    return watched.primary()


@pytest.mark.long
@pytest.mark.p1
@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_failover_under_load(watched: Watched) -> None:
    """A primary hangs under load, is replaced, and comes back: no gap in silence, no position twice."""
    witness = Witness()
    async with (
        engine_at(watched.url, witness, HASTY) as engine,
        engine_at(watched.url, timing=HASTY) as other,
    ):
        await engine.streams.subscribe(ROOM)
        here, there = Publisher(engine, name="here"), Publisher(other, name="there")
        await here.more()
        await there.more()
        old = watched.primary()
        old.pause()
        await eventually(lambda: not engine.healthy and not other.healthy)
        new = await _moved(watched, old)
        await eventually(lambda: engine.healthy and other.healthy)
        await here.more()
        await there.more()
        old.resume()
        await eventually(lambda: old.field("replication", "role") == "slave")
        await here.more()
        await there.more()
        await here.stop()
        await there.stop()
        await at_last(lambda: engine.streams.publish(ROOM, draft("last"), KEPT, None))
        assert watched.primary() is new
        witness.check_order()
        assert witness.interruptions
        await check_books(engine, here, there)
        epochs = {epoch for epoch, _, _ in here.acknowledged}
        assert len(epochs) >= 2
        assert here.refused


@pytest.mark.p1
@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_lost_writes_are_seen(watched: Watched) -> None:
    """What the old primary acknowledged alone is lost, and the epoch says so."""
    async with engine_at(watched.url) as engine:
        old = watched.primary()
        replica = next(each for each in watched.stores if each is not old)
        kept = [await engine.streams.publish(ROOM, draft(n), KEPT, None) for n in range(5)]
        await eventually(lambda: _caught_up(old, replica))
        replica.pause()
        # Its end of the wire would keep what is sent to it; a link that is cut does not.
        old.cli("CLIENT", "KILL", "TYPE", "replica")
        lost = [await engine.streams.publish(ROOM, draft(f"lost{n}"), KEPT, None) for n in range(5)]
        old.kill()
        replica.resume()
        await _moved(watched, old)
        again = await at_last(lambda: engine.streams.publish(ROOM, draft("new"), KEPT, None))
        page = await engine.streams.history(ROOM, HistoryQuery(limit=100), KEPT)
        assert {each.position.epoch for each in (*kept, *lost)} == {kept[0].position.epoch}
        assert [each.data for each in page.publications] == [0, 1, 2, 3, 4, "new"]
        assert again.position == page.position
        assert page.position.epoch != kept[0].position.epoch


def _caught_up(old: Server, replica: Server) -> bool:
    at = old.field("replication", "master_repl_offset")
    return replica.field("replication", "slave_repl_offset") == at


@pytest.mark.timeout(150)
async def test_a_primary_that_was_replaced_is_left(watched: Watched) -> None:
    """A planned failover: the engine follows without having been told by anything that broke."""
    witness = Witness()
    async with engine_at(watched.url, witness) as engine:
        await engine.streams.subscribe(ROOM)
        publisher = Publisher(engine)
        await publisher.more()
        old = watched.primary()
        watched.sentinels[0].cli("SENTINEL", "FAILOVER", "mymaster")
        await _moved(watched, old)
        await eventually(lambda: witness.interruptions > 0)
        await publisher.more()
        await publisher.stop()
        witness.check_order()
        await check_books(engine, publisher)
        heard = len(witness.publications)
        await at_last(lambda: engine.streams.publish(ROOM, draft("last"), KEPT, None))
        await eventually(lambda: len(witness.publications) > heard)


@pytest.mark.timeout(150)
async def test_one_sentinel_is_enough(watched: Watched) -> None:
    """Sentinels that are gone are passed over; without any there is no start."""
    for sentinel in watched.sentinels[:2]:
        sentinel.kill()
    async with engine_at(watched.url) as engine:
        assert (await _publish(engine)) == 1
    watched.sentinels[2].kill()
    with pytest.raises(EngineUnavailable):
        async with engine_at(watched.url):
            pass


@pytest.mark.timeout(150)
async def test_a_demoted_primary_refuses(watched: Watched) -> None:
    """What a primary refuses because it is none any more is not acknowledged; then another is sought."""
    async with engine_at(watched.url) as engine:
        first = await engine.streams.publish(ROOM, draft("x"), KEPT, None)
        old = watched.primary()
        replica = next(each for each in watched.stores if each is not old)
        old.cli("REPLICAOF", "127.0.0.1", str(replica.port))
        with pytest.raises(EngineUnavailable):
            await engine.streams.publish(ROOM, draft("y"), KEPT, None)
        old.cli("REPLICAOF", "NO", "ONE")
        async with asyncio.timeout(60):
            again = await at_last(lambda: engine.streams.publish(ROOM, draft("z"), KEPT, None))
        assert again.position.epoch != first.position.epoch


async def test_a_replica_is_no_primary(tmp_path: Path) -> None:
    """A server that is named as primary and says that it is none is not written to."""
    need_redis()
    with servers(Server(tmp_path / "a", "--save", "")) as (first,):
        replica = Server(tmp_path / "b", "--save", "", "--replicaof", f"127.0.0.1 {first.port}")
        watcher = _sentinel(tmp_path / "s", replica)
        with servers(replica, watcher), pytest.raises(EngineUnavailable):
            async with engine_at(f"redis+sentinel://127.0.0.1:{watcher.port}/mymaster"):
                pass


@pytest.mark.timeout(150)
async def test_a_primary_that_is_cut_off_is_left(tmp_path: Path) -> None:
    """When Sentinels name another one, commands and ears follow, though the old one still answers."""
    need_redis()
    witness = Witness()
    made = (Server(tmp_path / "a", "--save", ""), Server(tmp_path / "b", "--save", ""))
    with servers(*made) as (first, second), servers(_sentinel(tmp_path / "s", first)) as (watcher,):
        url = f"redis+sentinel://127.0.0.1:{watcher.port}/mymaster"
        async with engine_at(url, witness) as engine:
            await engine.streams.subscribe(ROOM)
            old = await engine.streams.publish(ROOM, draft("x"), KEPT, None)
            await engine.streams.history(ROOM, HistoryQuery(limit=1), KEPT)
            watcher.cli("SENTINEL", "REMOVE", "mymaster")
            watcher.cli("SENTINEL", "MONITOR", "mymaster", "127.0.0.1", str(second.port), "1")
            await eventually(lambda: witness.interruptions > 0)
            new = await at_last(lambda: engine.streams.publish(ROOM, draft("y"), KEPT, None))
            assert new.position.epoch != old.position.epoch
            await eventually(lambda: len(witness.publications) == 2)
            page = await engine.streams.history(ROOM, HistoryQuery(limit=9), KEPT)
            assert [each.data for each in page.publications] == ["y"]
            assert second.cli("EXISTS", "portward:{rooms:general}:log").strip() == "1"


async def test_an_unknown_service(watched: Watched) -> None:
    """A name the Sentinels do not know leads nowhere, and that is said."""
    with pytest.raises(EngineUnavailable):
        async with engine_at(watched.url.replace("mymaster", "another")):
            pass


async def _publish(engine: Engine) -> int:
    async with asyncio.timeout(30):
        return (await engine.streams.publish(ROOM, draft("x"), KEPT, None)).position.offset
