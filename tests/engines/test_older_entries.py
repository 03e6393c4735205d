"""Stores that older versions have written, with an entry of every kind: all of it is there, and works.

`older_stores` has what engines of two older versions really wrote: a dump of a file, and the keys of a Redis.
"""

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from portward.engines.port import Engine, Key
from portward.engines.redis import RedisEngine, parse_url
from portward.engines.sqlite import EngineFileError, SqliteEngine
from portward.model.approval import Decision, Verdict
from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.identity import Identity
from portward.model.namespace import Namespace, Snapshot
from portward.model.publication import Draft, HistoryQuery
from portward.model.shared import SharedValue
from portward.node.sessions import LoopClock
from portward.node.stores import Stores, UserRights
from portward.testing import FakeClock
from portward.testing.engine_contract import Recorder
from tests.engines.redis_servers import Server

FOLDER = Path(__file__).parent / "older_stores"
BOARD = Channel.parse("rooms:board")
LIVE = Channel.parse("live:x")
APPROVALS = Channel.parse("workspaces:w1:approvals")
KEPT = Namespace(name="rooms", history_size=100, history_ttl=2e9, idle_ttl=2e9)
LATEST = Namespace(
    name="live", history_size=3, history_ttl=2e9, idle_ttl=2e9, snapshot=Snapshot.LATEST_BY_KEY
)
VERSIONS = pytest.mark.parametrize("version", ["first", "second"])


@asynccontextmanager
async def started(engine: Engine, clock: Clock) -> AsyncIterator[tuple[Engine, Stores]]:
    """An engine and its stores."""
    await engine.start(Recorder())
    try:
        stores = Stores(engine, clock)
        await stores.start()
        yield engine, stores
    finally:
        await engine.stop()


def load_file(version: str, path: Path) -> None:
    """Make the file that this version had closed."""
    db = sqlite3.connect(path)
    db.executescript((FOLDER / f"{version}.sql").read_text("utf-8"))
    db.close()


def load_redis(version: str, redis: Server) -> None:
    """Write the keys of this version. They were made under the primary that the server is now."""
    found = json.loads((FOLDER / f"{version}.json").read_text("utf-8"))
    primary = next(
        line.partition(":")[2].strip()
        for line in redis.cli("INFO", "replication").splitlines()
        if line.startswith("master_replid:")
    )
    for each in found["keys"]:
        word, key, *values = (text.replace(found["primary"], primary) for text in each["command"])
        redis.cli(word, key, *values)
        if each["ttl"] > 0:
            redis.cli("PEXPIRE", key, str(each["ttl"]))


@VERSIONS
async def test_a_file_has_everything(tmp_path: Path, version: str) -> None:
    """A file of an older schema is brought to the newest one, with all of its entries."""
    path, clock = tmp_path / "engine.db", FakeClock()
    load_file(version, path)
    async with started(SqliteEngine(str(path), clock), clock) as (engine, stores):
        await check(engine, stores, version)
    async with started(SqliteEngine(str(path), clock), clock) as (engine, stores):
        await check_changes(engine, stores)


@VERSIONS
async def test_a_redis_has_everything(redis: Server, version: str) -> None:
    """The keys of an older version are those of this one."""
    load_redis(version, redis)
    clock = LoopClock()
    async with started(RedisEngine(parse_url(redis.url), clock), clock) as (engine, stores):
        await check(engine, stores, version)
    async with started(RedisEngine(parse_url(redis.url), clock), clock) as (engine, stores):
        await check_changes(engine, stores)


async def check(engine: Engine, stores: Stores, version: str) -> None:
    """All entries are there; each is used as a gateway uses it."""
    await check_streams(engine)
    await check_rights(stores)
    await check_sessions(stores, version)
    await check_approvals(stores)
    await check_revocations(stores)
    await check_values(engine, stores)


async def check_streams(engine: Engine) -> None:
    """The record of the room guards its stream, whose publications have their offsets and keys."""
    record = await engine.rooms.get(BOARD)
    assert record is not None
    assert (record.room.name, record.room.permissions.read) == ("Board", ("staff",))
    page = await engine.streams.history(BOARD, HistoryQuery(limit=9), KEPT)
    assert [each.data for each in page.publications] == ["m1", "m2", "m3"]
    draft = Draft(id="f" * 32, time=1, data="again")
    again = await engine.streams.publish(BOARD, draft, KEPT, "key2", record.life)
    assert (again.position.offset, again.position.epoch) == (2, page.position.epoch)
    assert again.duplicate
    new = await engine.streams.publish(BOARD, draft, KEPT, None, record.life)
    assert (new.position.offset, new.position.epoch) == (4, page.position.epoch)
    latest = await engine.streams.history(LIVE, HistoryQuery(limit=0, latest=True), LATEST)
    assert [(each.key, each.data) for each in latest.latest] == [("k4", {"v": 4}), ("k5", {"v": 5})]


async def check_rights(stores: Stores) -> None:
    """Users have their roles, permissions and workspaces; to belong to none is known."""
    assert await stores.directory.rights("ann") == UserRights(
        roles=frozenset({"editor", "user"}),
        permissions=frozenset({"room.create"}),
        workspaces=frozenset({"w1"}),
    )
    assert await stores.directory.rights("bob") == UserRights(workspaces=frozenset())
    assert not await stores.directory.rights("cyd")
    await stores.directory.set_roles("ann", frozenset({"user"}))


async def check_sessions(stores: Stores, version: str) -> None:
    """Sessions are resumed and tickets redeemed, each once; a broken connection has its channels back."""
    resumed = await stores.sessions.swap("s1", "n1", "n3", "c2")
    assert resumed is not None
    assert (resumed.nonce, resumed.client, resumed.identity.email) == (
        "n3", "c2", "ann@example.com",
    )  # fmt: skip
    assert await stores.sessions.swap("s1", "n1", "n4", "c2") is None
    identity = await stores.sessions.take_ticket("digest1")
    assert identity is not None
    assert (identity.subject, set(identity.roles)) == ("ann", {"user"})
    assert await stores.sessions.take_ticket("digest1") is None
    returned = await stores.sessions.take_returns("ann", (BOARD,))
    assert returned == ({BOARD} if version == "second" else set())


async def check_approvals(stores: Stores) -> None:
    """Undecided requests wait and are decided once; the verdict of a decided one is known."""
    first, third = await stores.approvals.pending(APPROVALS)
    assert {first.id, third.id} == {"a1", "a3"}
    assert (first.title, first.data) == ("deploy?", {"to": ["prod"], "n": 1.5})
    second = await stores.approvals.get("a2")
    assert second is not None
    assert second.verdict is not None
    assert (second.verdict.decision, second.verdict.comment) == (Decision.REJECT, "no")
    verdict = Verdict(decision=Decision.APPROVE, user="ann", at=2.0)
    assert await stores.approvals.decide(second, verdict) == (second, False)
    decided, won = await stores.approvals.decide(first, verdict)
    assert (won, decided is not None and decided.verdict) == (True, verdict)
    assert [each.id for each in await stores.approvals.pending(APPROVALS)] == [third.id]


async def check_revocations(stores: Stores) -> None:
    """Every kind of revocation holds, also for names with other characters."""
    assert len(await stores.revocations.since(0.0)) == 4
    for identity, session in (
        (Identity(subject="x", token_id="j9"), None),
        (Identity(subject="eve \u00e9"), None),
        (Identity(subject="x"), "s9"),
        (Identity(subject="x", digest="d9"), None),
    ):
        assert await stores.revocations.is_revoked(identity, session)
    assert not await stores.revocations.is_revoked(Identity(subject="x"), "s1")


async def check_values(engine: Engine, stores: Stores) -> None:
    """Values of users have their versions; texts, lists and counters are as they were left."""
    kept = await stores.user_state.put("ann", "k1", "x", 1, 60.0)
    assert kept == (SharedValue(2, {"a": 2}), False)
    assert await stores.user_state.put("ann", "k1", {"a": 3}, 2, 2e9) == (
        SharedValue(3, {"a": 3}), True,
    )  # fmt: skip
    assert await engine.kv.get(Key("audit:audit.jsonl:n1")) == "checkpoint \u00e9".encode()
    await engine.kv.prepend(Key("ws_security_events"), ("e3",), 10)
    assert await engine.kv.read(Key("ws_security_events"), 10) == ("e3", "e2", "e1")
    assert await engine.counters.add("tokens ann", 1, 60.0) == 8


async def check_changes(engine: Engine, stores: Stores) -> None:
    """What was changed since stays changed in the next run."""
    page = await engine.streams.history(BOARD, HistoryQuery(limit=9), KEPT)
    assert [each.offset for each in page.publications] == [1, 2, 3, 4]
    assert (await stores.directory.rights("ann")).roles == {"user"}
    assert await stores.sessions.swap("s1", "n3", "n5", "c3") is not None
    assert [each.id for each in await stores.approvals.pending(APPROVALS)] == ["a3"]
    assert await stores.user_state.put("ann", "k2", [2], 1, 2e9) == (SharedValue(2, [2]), True)
    await check_revocations(stores)


@VERSIONS
async def test_file_with_a_damaged_row(version: str, tmp_path: Path) -> None:
    """It is refused by its name, and stays as it was: without the row it is moved."""
    path = tmp_path / "engine.db"
    load_file(version, path)
    db = sqlite3.connect(path)
    with db:
        db.execute("INSERT INTO facts (user, roles) VALUES ('damaged', '{')")
    engine = SqliteEngine(str(path), FakeClock())
    with pytest.raises(EngineFileError, match=r"engine\.db: has a row that cannot be read"):
        await engine.start(Recorder())
    with db:
        assert db.execute("DELETE FROM facts WHERE user = 'damaged'").rowcount == 1
    db.close()
    async with started(SqliteEngine(str(path), FakeClock()), FakeClock()) as (_, stores):
        assert await stores.directory.rights("damaged") == UserRights()
