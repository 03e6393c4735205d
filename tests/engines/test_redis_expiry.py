"""How long things live in Redis: by what the store says of its keys, and by very short times."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from msgspec.structs import replace

from portward.engines.port import EngineUnavailable, Member, RoomMade
from portward.engines.redis import RedisEngine
from portward.model.approval import Approval
from portward.model.identity import Identity
from portward.model.namespace import Namespace, Snapshot
from portward.model.node import NodeInfo
from portward.model.publication import HistoryQuery
from portward.model.revocation import Revocation, RevocationKind
from portward.model.room import Room, RoomOrigin
from portward.node.stores import APPROVAL_KEPT, SessionRecord
from tests.engines.redis_fixtures import KEPT, LIMIT, QUICK, ROOM, draft, engine_at
from tests.engines.redis_servers import Server
from tests.stores import stores

LEASES = "portward:leases"
EXPIRED = """
for _, key in ipairs(KEYS) do
  for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do redis.call('ZADD', key, 1, member) end
end"""
BRIEF = 0.05
"""Seconds, for what is to be gone soon."""
ANN = Identity(subject="ann")


@pytest.fixture
async def engine(redis: Server) -> AsyncIterator[RedisEngine]:
    """A started engine that renews books with every sweep."""
    async with engine_at(redis.url, timing=replace(QUICK, metadata_renewal=0.0)) as engine:
        yield engine


def lives(redis: Server, key: str) -> float:
    """Seconds a key has left; negative when there is none, or no end."""
    return int(redis.cli("PTTL", key)) / 1000


async def gone(ask: Callable[[], Awaitable[object]]) -> None:
    """Wait until the store says nothing any more.

    Raises:
        TimeoutError: it still does.
    """
    async with asyncio.timeout(LIMIT):
        while await ask():  # noqa: ASYNC110 - no event tells what a server forgets
            await asyncio.sleep(0.01)


async def test_books_outlive_history(redis: Server, engine: RedisEngine) -> None:
    """Publications live as long as the namespace says, the books of their stream longer."""
    await engine.streams.publish(ROOM, draft("x"), KEPT, "k")
    base = "portward:{rooms:general}:"
    assert 500 < lives(redis, f"{base}log") <= 600
    assert 500 < lives(redis, f"{base}times") <= 600
    assert 1100 < lives(redis, f"{base}meta") <= 1200
    assert 200 < lives(redis, f"{base}once:k") <= 300
    assert redis.cli("EXISTS", f"{base}latest").strip() == "0"


async def test_snapshots_live_long(redis: Server, engine: RedisEngine) -> None:
    """The last publication of a key outlives its history by days."""
    latest = Namespace(name="rooms", history_ttl=1.0, snapshot=Snapshot.LATEST_BY_KEY)
    await engine.streams.publish(ROOM, draft("x", key="k"), latest, None)
    for name in ("meta", "latest", "order"):
        assert lives(redis, "portward:{rooms:general}:" + name) > 6 * 86400


async def test_old_publications_are_gone(engine: RedisEngine) -> None:
    """What is older than its time is not read, also while newer ones keep the stream alive."""
    long = Namespace(name="rooms", history_size=500, history_ttl=600.0)
    brief = Namespace(name="rooms", history_size=500, history_ttl=BRIEF)
    for number in range(250):
        await engine.streams.publish(ROOM, draft(number), long, None)
    first = await engine.streams.history(ROOM, HistoryQuery(limit=1), long)
    await asyncio.sleep(2 * BRIEF)
    await engine.streams.publish(ROOM, draft("new"), long, None)
    page = await engine.streams.history(ROOM, HistoryQuery(limit=500), brief)
    assert page.position.offset == 251
    assert page.position.epoch == first.position.epoch
    assert [each.offset for each in page.publications] in ([251], [])
    behind = HistoryQuery(limit=500, since=first.position)
    assert (await engine.streams.history(ROOM, behind, long)).complete


async def test_a_broken_log_is_dropped(redis: Server, engine: RedisEngine) -> None:
    """When times and publications do not match, neither is told; positions go on."""
    for number in range(3):
        stored = await engine.streams.publish(ROOM, draft(number), KEPT, None)
    redis.cli("LPOP", "portward:{rooms:general}:times")
    page = await engine.streams.history(ROOM, HistoryQuery(limit=9), KEPT)
    assert (page.publications, page.position) == ((), stored.position)


async def test_listened_channels_keep_their_books(redis: Server, engine: RedisEngine) -> None:
    """As long as somebody listens the books are renewed; nobody listening, they run out."""
    await engine.streams.subscribe(ROOM)
    await engine.streams.publish(ROOM, draft("x"), KEPT, None)
    key = "portward:{rooms:general}:meta"
    redis.cli("PEXPIRE", key, "5000")
    await engine.sweep()
    assert lives(redis, key) > 1000
    await engine.streams.unsubscribe(ROOM)
    redis.cli("PEXPIRE", key, "5000")
    await engine.sweep()
    assert lives(redis, key) <= 5


async def test_sessions_and_tickets(redis: Server, engine: RedisEngine) -> None:
    """Records live as long as they are given; a released one shorter, if it is still that connection's."""
    record = SessionRecord(id="s 1", identity=ANN, nonce="n", client="c1")
    await stores(engine).sessions.save(record, 3600.0)
    key = "portward:ws_session:s%201"
    await stores(engine).sessions.release("s 1", "another", 10.0)
    assert lives(redis, key) > 3500
    await stores(engine).sessions.release("s 1", "c1", 120.0)
    assert 60 < lives(redis, key) <= 120
    assert await stores(engine).sessions.swap("s 1", "n", "m", "c2") is not None
    assert 60 < lives(redis, key) <= 120
    await stores(engine).sessions.put_ticket("t", ANN, 60.0)
    assert 30 < lives(redis, "portward:ticket:t") <= 60
    await stores(engine).sessions.put_ticket("brief", ANN, BRIEF)
    await asyncio.sleep(4 * BRIEF)
    assert await stores(engine).sessions.take_ticket("brief") is None


async def test_records_of_rooms_do_not_run_out(redis: Server, engine: RedisEngine) -> None:
    """No record has a time of its own in the store; a use prolongs when it is looked at, once a while."""
    due = ("ZSCORE", "portward:{rooms}:due", "portward:room:general")
    made = await engine.rooms.make(ROOM, Room(id="x"), RoomOrigin.JOINER, "ann", 100.0)
    assert made is RoomMade.MADE
    assert redis.cli("TTL", "portward:room:general").strip() == "-1"
    first = int(redis.cli(*due))
    await engine.rooms.use(ROOM, 500.0)
    assert int(redis.cli(*due)) >= first + 400_000
    redis.cli("ZADD", "portward:{rooms}:due", "5000", "portward:room:general")
    await engine.rooms.use(ROOM, 500.0)
    assert int(redis.cli(*due)) == 5000, "noted a moment ago"
    await engine.rooms.remove(ROOM)
    await engine.rooms.use(ROOM, 500.0)
    assert await engine.rooms.get(ROOM) is None
    ended = "portward:{rooms:general}:ended"
    assert redis.cli("KEYS", "*oom*").split() == [ended]
    assert 0 < lives(redis, ended) <= 3600


async def test_uses_of_rooms_are_remembered_within_bounds(
    engine: RedisEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of too many rooms the one noted longest ago is noted again."""
    monkeypatch.setattr("portward.engines.redis.rooms._MAX_NOTED", 1)
    other = ROOM.parse("rooms:other")
    for channel in (ROOM, other):
        await engine.rooms.make(channel, Room(id="x"), RoomOrigin.JOINER, "ann", 100.0)
        await engine.rooms.use(channel, 100.0)
    assert list(engine.rooms._noted) == [other]


async def test_presence_lives_by_leases(redis: Server, engine: RedisEngine) -> None:
    """The books of a channel's members outlive their leases, and are not kept for ever."""
    await engine.presence.enter(ROOM, Member("c1", "ann"))
    for name in ("members", "users", "leases"):
        assert 200 < lives(redis, "portward:{rooms:general}:" + name) <= 300


async def test_who_was_listed_too_early_is_looked_at_again_soon(
    redis: Server, engine: RedisEngine
) -> None:
    """An entry that the list calls due before its lease is over is listed for the rest of that lease."""
    await engine.presence.enter(ROOM, Member("c1", "ann"))
    seconds, micros = map(int, redis.cli("TIME").split())
    now = seconds * 1000 + micros // 1000
    redis.cli("ZADD", "portward:{rooms:general}:leases", str(now + 5000), "c1")
    listed = redis.cli("ZRANGE", LEASES, "0", "-1").strip()
    redis.cli("ZADD", LEASES, "1", listed)
    await engine.presence.sweep()
    until = float(redis.cli("ZSCORE", LEASES, listed))
    assert now + 4000 < until < now + 6000
    assert await engine.presence.members(ROOM) == (Member("c1", "ann"),)


async def test_one_look_at_a_time(engine: RedisEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one look is under way another does nothing; after it, also after one that failed, they go on."""
    begun, gate = [0], asyncio.Event()

    async def some() -> int:
        begun[0] += 1
        await gate.wait()
        raise EngineUnavailable("away")

    monkeypatch.setattr(engine.presence, "_sweep_some", some)
    first = asyncio.ensure_future(engine.presence.sweep())
    await asyncio.sleep(0)
    await engine.presence.sweep()
    assert begun == [1]
    gate.set()
    for look in (first, engine.presence.sweep()):
        with pytest.raises(EngineUnavailable):
            await look
    assert begun == [2]


async def test_any_number_of_connections_is_swept_at_once(
    redis: Server, engine: RedisEngine
) -> None:
    """What a node with thousands of connections has left is gone with one look, in one room or in many."""
    other = [ROOM.parse(f"rooms:r{number}") for number in range(1200)]
    members = [(ROOM, Member(f"a{number}", f"u{number % 50}")) for number in range(2500)]
    members += [(channel, Member(f"b{number}", "ann")) for number, channel in enumerate(other)]
    await engine.presence.renew(members)
    keys = [LEASES, *("portward:{" + str(each) + "}:leases" for each in (ROOM, *other))]
    redis.cli("EVAL", EXPIRED, str(len(keys)), *keys)
    await engine.presence.sweep()
    assert await engine.presence.members(ROOM) == ()
    assert await engine.presence.members(other[-1]) == ()
    assert redis.cli("ZCARD", LEASES).strip() == "0"


async def test_approvals_live_until_nobody_needs_them(redis: Server, engine: RedisEngine) -> None:
    """A request is kept for its time and a day; what waits in a channel as long as its longest."""
    now = float(redis.cli("TIME").split()[0])
    for name, seconds in (("a1", 1000.0), ("a2", 10.0)):
        asked = Approval(
            id=name, channel=ROOM, title="?", data=1, created_at=now, expires_at=now + seconds
        )
        assert await stores(engine).approvals.add(asked)
    assert 900 < lives(redis, "portward:{approvals}:a1") - APPROVAL_KEPT <= 1000
    assert lives(redis, "portward:{approvals}-waiting:rooms:general") - APPROVAL_KEPT > 900
    redis.cli("DEL", "portward:{approvals}:a1")
    assert [each.id for each in await stores(engine).approvals.pending(ROOM)] == ["a2"]


async def test_shared_values_live_as_long_as_they_are_used(
    redis: Server, engine: RedisEngine
) -> None:
    """Setting any value of an owner keeps all of them."""
    await stores(engine).user_state.put("ann", "k", 1, None, 10.0)
    await stores(engine).user_state.put("ann", "l", 1, None, 100.0)
    for name in ("values", "turns"):
        assert 50 < lives(redis, "portward:{shared:ann}:" + name) <= 100


async def test_nodes_run_out(engine: RedisEngine) -> None:
    """A node that does not announce itself again is none any more."""
    node = NodeInfo(uid="n", clients=0, users=0, subscriptions=0, channels=0, uptime=1.0)
    await stores(engine).nodes.register(node, BRIEF)
    await gone(stores(engine).nodes.present)


async def test_limits_run_out(redis: Server, engine: RedisEngine) -> None:
    """A rate lives until its debt is paid, a counter from its first addition on."""
    for _ in range(3):
        await engine.counters.take("k", 10.0, 5)
    assert 20 < lives(redis, "portward:rate:k") <= 30
    await engine.counters.add("k", 1, 60.0)
    redis.cli("PEXPIRE", "portward:sum:k", "5000")
    await engine.counters.add("k", 1, 60.0)
    assert lives(redis, "portward:sum:k") <= 5
    await engine.counters.add("brief", 5, BRIEF)
    await gone(lambda: engine.counters.add("brief", 0, 60.0))


async def test_revocations_live_until_they_are_needed_no_more(
    redis: Server, engine: RedisEngine
) -> None:
    """A revocation is kept in the store until its time, and no longer in memory either."""
    now = float(redis.cli("TIME").split()[0])
    kept = stores(engine).revocations
    await kept.add(Revocation(RevocationKind.TOKEN_ID, "j1", now, now + 1000.0))
    assert 900 < lives(redis, "portward:{revoked}:jti:j1") <= 1001
    await kept.add(Revocation(RevocationKind.TOKEN_ID, "j2", now, now - 1.0))
    assert redis.cli("ZCARD", "portward:{revoked}:at").strip() == "1"
    kept.sweep()
    assert len(kept._held) == 1


async def test_a_list_of_revocations_forgets_what_has_expired(
    redis: Server, engine: RedisEngine
) -> None:
    """Entries whose time is over are removed from both lists when one of them is read."""
    now = float(redis.cli("TIME").split()[0])
    redis.cli("ZADD", "portward:{revoked}:at", str(now - 9), "jti:j0")
    redis.cli("ZADD", "portward:{revoked}:until", str(now - 2), "jti:j0")
    assert await stores(engine).revocations.since(now) == ()
    for name in ("at", "until"):
        assert redis.cli("ZCARD", "portward:{revoked}:" + name).strip() == "0"


async def test_remembered_revocations_are_bounded(
    engine: RedisEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of too many the one told longest ago is only in the store."""
    monkeypatch.setattr("portward.node.stores.revocations.MAX_HELD", 2)
    kept = stores(engine).revocations
    for number in range(3):
        await kept.add(Revocation(RevocationKind.TOKEN_ID, f"j{number}", 1.0, 4e9))
    assert len(kept._held) == 2
    assert await kept.is_revoked(Identity(subject="x", token_id="j0"), None)
