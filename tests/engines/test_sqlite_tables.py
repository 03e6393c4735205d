"""The tables that the SQLite engine has in memory beside its file, and their bounds."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from portward.engines.port import EngineUnavailable, RoomMade
from portward.engines.sqlite import SqliteEngine, counters, kv, writer
from portward.model.approval import Approval
from portward.model.channel import Channel
from portward.model.identity import Identity
from portward.model.revocation import Revocation, RevocationKind
from portward.model.room import Room, RoomOrigin
from portward.node.stores import SessionRecord, UserRights, directory, revocations
from portward.testing.clock import FakeClock
from portward.testing.engine_contract import Recorder
from tests.engines.sqlite_parts import ANN, ROOM, count, opened
from tests.stores import stores

USER = frozenset({"user"})


@pytest.fixture
def clock() -> FakeClock:
    """The engine's time."""
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file."""
    return tmp_path / "engine.db"


@pytest.fixture
async def engine(path: Path, clock: FakeClock) -> AsyncIterator[SqliteEngine]:
    """A started engine."""
    async with opened(path, clock) as engine:
        yield engine


@pytest.mark.parametrize("limit", [2, 100])
async def test_facts_of_everybody_are_known(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """Whether they fit in memory or not, facts are what was last said, before and after a restart."""
    monkeypatch.setattr(directory, "MAX_CACHED", limit)
    names = [f"u{number}" for number in range(6)]
    async with opened(path, clock) as engine:
        facts = stores(engine).directory
        for name in names:
            await facts.set_roles(name, frozenset({name}))
    async with opened(path, clock) as engine:
        facts = stores(engine).directory
        for name in names * 2:
            assert await facts.rights(name) == UserRights(roles=frozenset({name}))
        assert not await facts.rights("stranger")
        await facts.set_roles("u1", frozenset())
        await facts.set_permissions("u2", frozenset({"p"}))
        assert not await facts.rights("u1")
        assert (await facts.rights("u2")).permissions == {"p"}
        assert await count(engine, "kept") == 6


async def test_facts_read_before_a_change_are_not_kept(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read that was under way while the facts changed does not hide the change from later ones."""
    monkeypatch.setattr(directory, "MAX_CACHED", 1)
    async with opened(path, clock) as engine:
        facts = stores(engine).directory
        for name in ("ann", "bob"):
            await facts.set_roles(name, USER)
        for turn in range(50):
            roles = frozenset({f"r{turn}"})
            await asyncio.gather(
                facts.rights("ann"),
                facts.set_roles("ann", roles),
            )
            await facts.set_roles("bob", roles)
            assert (await facts.rights("ann")).roles == roles


async def test_an_empty_set_of_workspaces_says_something(engine: SqliteEngine) -> None:
    """Belonging to no workspace is kept, and forgotten only by saying nothing."""
    await stores(engine).directory.set_workspaces("ann", frozenset())
    assert await stores(engine).directory.rights("ann") == UserRights(workspaces=frozenset())
    await stores(engine).directory.set_workspaces("ann", None)
    assert await stores(engine).directory.rights("ann") == UserRights()
    assert await count(engine, "kept") == 0


@pytest.mark.parametrize("limit", [2, 100])
async def test_every_revocation_holds(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """Whether they fit in memory or not, what was revoked is, before and after a restart."""
    monkeypatch.setattr(revocations, "MAX_ALL", limit)

    async def check(kept: revocations.Revocations) -> None:
        for number in range(6):
            who = Identity(subject="x", token_id=f"j{number}")
            assert await kept.is_revoked(who, None)
        assert not await kept.is_revoked(Identity(subject="x"), None)
        assert [each.at for each in await kept.since(3.0)] == [3.0, 4.0, 5.0]

    async with opened(path, clock) as engine:
        kept = stores(engine).revocations
        await kept.load()
        for number in range(6):
            kind, value = RevocationKind.TOKEN_ID, f"j{number}"
            await kept.add(Revocation(kind, value, at=float(number), until=4e9))
        await check(kept)
    async with opened(path, clock) as engine:
        for _ in range(2):
            await check(kept := stores(engine).revocations)
            await kept.load()
            await check(kept)


async def test_rooms_are_bounded(path: Path, clock: FakeClock) -> None:
    """Too many rooms of joiners are refused, of two at once as well, until a sweep ends some."""
    engine = SqliteEngine(str(path), clock, max_rooms=2)
    await engine.start(Recorder())
    try:
        channels = [Channel.parse(f"rooms:{number}") for number in range(4)]
        made = await asyncio.gather(*(make(engine, channel) for channel in channels))
        assert made == [RoomMade.MADE, RoomMade.MADE, RoomMade.FULL, RoomMade.FULL]
        same = await asyncio.gather(*(make(engine, channels[0]) for _ in range(2)))
        assert same == [RoomMade.EXISTS] * 2
        clock.advance(61)
        await engine.sweep()
        assert await make(engine, channels[2]) is RoomMade.MADE
        assert await count(engine, "rooms") == 1
    finally:
        await engine.stop()


async def make(engine: SqliteEngine, channel: Channel = ROOM) -> RoomMade:
    """Make a room as a joiner does."""
    room = Room(id=channel.name)
    return await engine.rooms.make(channel, room, RoomOrigin.JOINER, "ann", 60.0)


async def test_a_room_in_use_is_not_ended(engine: SqliteEngine, clock: FakeClock) -> None:
    """That a room was used counts before it is written down; unknown rooms are not prolonged."""
    await make(engine)
    clock.advance(50)
    await engine.rooms.use(ROOM, 60.0)
    await engine.rooms.use(Channel.parse("rooms:none"), 60.0)
    clock.advance(50)
    await engine.rooms.sweep()
    assert await make(engine) is RoomMade.EXISTS
    clock.advance(11)
    await engine.rooms.sweep()
    assert await engine.rooms.get(ROOM) is None
    assert await make(engine) is RoomMade.MADE


async def test_uses_of_rooms_are_written_in_the_end(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be written down once is written down the next time."""
    async with opened(path, clock) as engine:
        await make(engine)
        clock.advance(50)
        await engine.rooms.use(ROOM, 60.0)
        monkeypatch.setattr(writer, "MAX_QUEUED", 0)
        with pytest.raises(EngineUnavailable):
            await engine.rooms.sweep()
        monkeypatch.setattr(writer, "MAX_QUEUED", 100)
    clock.advance(50)
    async with opened(path, clock) as engine:
        assert await engine.rooms.get(ROOM) is not None


async def test_a_ticket_is_redeemed_by_one_of_many(engine: SqliteEngine) -> None:
    """Of all who come with a ticket at once one is let in; likewise with a session."""
    await stores(engine).sessions.put_ticket("t", ANN, 60.0)
    record = SessionRecord(id="s1", identity=ANN, nonce="n", client="c")
    await stores(engine).sessions.save(record, 60.0)
    redeemed = await asyncio.gather(*(stores(engine).sessions.take_ticket("t") for _ in range(20)))
    swapped = await asyncio.gather(
        *(stores(engine).sessions.swap("s1", "n", f"n{number}", "c") for number in range(20))
    )
    assert [len([each for each in all_ if each]) for all_ in (redeemed, swapped)] == [1, 1]


async def test_owners_are_bounded(engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many owners the one begun longest ago is forgotten with its values."""
    monkeypatch.setattr(kv, "MAX_CACHES", 2)
    for owner in ("ann", "bob", "ann", "cem"):
        await stores(engine).user_state.put(owner, "k", 1, None, 60.0)
    assert [await count(engine, table) for table in ("records", "fields", "members")] == [2, 2, 2]
    assert (await stores(engine).user_state.put("bob", "k", 2, 1, 60.0))[1]


async def test_owners_begin_anew(engine: SqliteEngine, clock: FakeClock) -> None:
    """An owner who has run out and was not yet swept has nothing of what was before."""
    await stores(engine).user_state.put("ann", "k", 1, None, 60.0)
    await stores(engine).user_state.put("ann", "l", 1, None, 60.0)
    clock.advance(60)
    await stores(engine).user_state.put("ann", "k", 1, 0, 60.0)
    assert [await count(engine, table) for table in ("fields", "members")] == [1, 1]


async def test_counters_are_bounded(engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep leaves a bounded number of them, those begun last."""
    monkeypatch.setattr(counters, "MAX_COUNTERS", 3)
    for key in "abcde":
        await engine.counters.add(key, 1, 60.0)
    await engine.sweep()
    assert [await engine.counters.add(key, 0, 60.0) for key in "abcde"] == [0, 0, 1, 1, 1]


async def test_an_approval_with_a_verdict_waits_for_nobody(engine: SqliteEngine) -> None:
    """A request that expired, is unknown, or whose time to be read is over is not decided."""
    asked = Approval(
        id="a1", channel=ROOM, title="?", data=None, created_at=1.0, expires_at=2.0
    )  # fmt: skip
    assert await stores(engine).approvals.add(asked)
    assert await stores(engine).approvals.get("a1") is None


async def test_every_table_is_swept(engine: SqliteEngine, clock: FakeClock) -> None:
    """What has expired leaves every table in which things expire."""
    record = SessionRecord(id="s1", identity=ANN, nonce="n", client="c")
    asked = Approval(
        id="a1", channel=ROOM, title="?", data=None, created_at=1.0, expires_at=clock.time() + 60
    )  # fmt: skip
    taken = Revocation(RevocationKind.TOKEN_ID, "j", at=1.0, until=clock.time() + 60)
    await stores(engine).sessions.save(record, 60.0)
    await stores(engine).sessions.put_ticket("t", ANN, 60.0)
    await stores(engine).approvals.add(asked)
    await stores(engine).revocations.add(taken)
    await make(engine)
    for number in range(12):
        await stores(engine).user_state.put(f"u{number}", "k", 1, None, 60.0)
    await engine.counters.add("m", 1, 60.0)
    tables = ("kept", "records", "fields", "members", "rooms", "counters")
    for table in tables:
        assert await count(engine, table) > 0
    clock.advance(60 + 86400)
    await engine.sweep()
    stores(engine).revocations.sweep()
    assert [await count(engine, table) for table in tables] == [0] * len(tables)
    assert not await stores(engine).revocations.is_revoked(
        Identity(subject="x", token_id="j"), None
    )
