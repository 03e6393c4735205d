"""What the SQLite engine still knows when it is started again on its file."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from portward.engines.port import Key, Member
from portward.model.approval import Approval, Decision, Verdict
from portward.model.channel import Channel
from portward.model.publication import Draft, HistoryQuery
from portward.model.revocation import Revocation, RevocationKind
from portward.model.room import Room, RoomOrigin
from portward.model.shared import SharedValue
from portward.node.stores import SessionRecord, UserRights
from portward.testing.clock import FakeClock
from portward.testing.engine_contract import Recorder
from tests.engines.sqlite_parts import ALL, ANN, BY_KEY, KEPT, LIVE, ROOM, draft, opened
from tests.stores import stores


@pytest.fixture
def clock() -> FakeClock:
    """Time of all the engines' lives."""
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file."""
    return tmp_path / "engine.db"


async def test_history_survives(path: Path, clock: FakeClock) -> None:
    """Publications, offsets and the epoch are as they were, and the count goes on."""
    async with opened(path, clock) as engine:
        stored = [await engine.streams.publish(ROOM, draft(n), KEPT, None) for n in range(3)]
    async with opened(path, clock) as engine:
        page = await engine.streams.history(ROOM, ALL, KEPT)
        assert page.position == stored[-1].position
        assert [each.data for each in page.publications] == [0, 1, 2]
        assert engine.streams.stream_counts() == {"rooms": 1}
        assert await engine.streams.channels() == (ROOM,)
        following = await engine.streams.publish(ROOM, draft(3), KEPT, None)
        assert (following.position.offset, following.position.epoch) == (
            4,
            page.position.epoch,
        )


async def test_empty_positions_survive(path: Path, clock: FakeClock) -> None:
    """A channel in which nothing was published keeps its position over a stop and a start, twice."""
    positions = set()
    for _ in range(3):
        async with opened(path, clock) as engine:
            positions.add((await engine.streams.history(ROOM, ALL, KEPT)).position)
            await engine.streams.publish(LIVE, draft(1), KEPT, None)
            await engine.streams.remove(LIVE)
    (position,) = positions
    async with opened(path, clock) as engine:
        stored = await engine.streams.publish(ROOM, draft(1), KEPT, None)
        assert stored.position.epoch == position.epoch


async def test_a_crash_gives_empty_channels_new_epochs(path: Path, clock: FakeClock) -> None:
    """What was dropped before a crash is not known: no epoch of that run is handed out again."""
    copy = path.with_name("copy.db")
    async with opened(path, clock) as engine:
        position = (await engine.streams.history(ROOM, ALL, KEPT)).position
        await engine.streams.publish(ROOM, draft(1), KEPT, None)
        await engine.streams.remove(ROOM)
        for end in ("", "-wal"):
            shutil.copy(f"{path}{end}", f"{copy}{end}")
    async with opened(copy, clock) as engine:
        page = await engine.streams.history(ROOM, HistoryQuery(limit=9, since=position), KEPT)
        assert (page.complete, page.position.offset) == (False, 0)
        stored = await engine.streams.publish(ROOM, draft(1), KEPT, None)
        assert stored.position.epoch == page.position.epoch != position.epoch


async def test_every_field_of_a_publication_survives(path: Path, clock: FakeClock) -> None:
    """A publication is read back as it was announced, the channel it came from included."""
    whole = Draft(
        id="a" * 32, time=5, data={"a": [1, None, "ä"]}, key="k", type="t", user="u", email="e",
        signature="s", origin=ROOM, exclude="c1",
    )  # fmt: skip
    sink = Recorder()
    async with opened(path, clock, sink) as engine:
        await engine.streams.publish(LIVE, whole, KEPT, None)
    async with opened(path, clock) as engine:
        page = await engine.streams.history(LIVE, ALL, KEPT)
    assert page.publications == (sink.publications[0][1],)
    assert isinstance(page.publications[0].origin, Channel)


async def test_a_stream_without_history_keeps_its_count(path: Path, clock: FakeClock) -> None:
    """Where nothing is kept the offset and the epoch are."""
    async with opened(path, clock) as engine:
        first = await engine.streams.publish(LIVE, draft(), BY_KEY, None)
    async with opened(path, clock) as engine:
        page = await engine.streams.history(LIVE, HistoryQuery(limit=0), BY_KEY)
        assert page.position == first.position


async def test_the_last_of_every_key_survives(path: Path, clock: FakeClock) -> None:
    """A snapshot is the same after a restart."""
    async with opened(path, clock) as engine:
        for number, key in enumerate("aba"):
            await engine.streams.publish(LIVE, draft(number, key=key), BY_KEY, None)
    async with opened(path, clock) as engine:
        page = await engine.streams.history(LIVE, HistoryQuery(limit=0, latest=True), BY_KEY)
        assert [(each.key, each.offset) for each in page.latest] == [("b", 2), ("a", 3)]


async def test_idempotency_keys_survive(path: Path, clock: FakeClock) -> None:
    """A key that was seen before the restart is known for the rest of its five minutes."""
    async with opened(path, clock) as engine:
        first = await engine.streams.publish(ROOM, draft(1), KEPT, "k")
    clock.advance(299)
    async with opened(path, clock) as engine:
        again = await engine.streams.publish(ROOM, draft(2), KEPT, "k")
        assert (again.id, again.position, again.duplicate) == (first.id, first.position, True)
        clock.advance(2)
        assert not (await engine.streams.publish(ROOM, draft(3), KEPT, "k")).duplicate


@pytest.mark.parametrize("workspaces", [None, frozenset[str](), frozenset({"w1"})])
async def test_facts_survive(
    path: Path, clock: FakeClock, workspaces: frozenset[str] | None
) -> None:
    """Rights are kept, and that nothing is said of workspaces is not that there are none."""
    async with opened(path, clock) as engine:
        await stores(engine).directory.set_roles("ann", frozenset({"admin", "user"}))
        await stores(engine).directory.set_permissions("ann", frozenset({"p"}))
        await stores(engine).directory.set_workspaces("ann", workspaces)
    async with opened(path, clock) as engine:
        assert await stores(engine).directory.rights("ann") == UserRights(
            frozenset({"admin", "user"}), frozenset({"p"}), workspaces
        )


async def test_rooms_survive(path: Path, clock: FakeClock) -> None:
    """Records are read back whole; when one may end counts on, whatever was restarted in between."""
    joined, room = Channel.parse("rooms:joined"), Room(id="general")
    async with opened(path, clock) as engine:
        await engine.rooms.save(ROOM, room, RoomOrigin.SETTINGS, expires=5e9)
        await engine.rooms.make(joined, room, RoomOrigin.JOINER, "ann", 60.0)
        before = await engine.rooms.all()
        clock.advance(50)
        await engine.rooms.use(joined, 60.0)
    clock.advance(50)
    async with opened(path, clock) as engine:
        assert await engine.rooms.all() == before
        await engine.sweep()
        assert await engine.rooms.get(joined) is not None
        clock.advance(61)
        await engine.sweep()
        assert await engine.rooms.get(joined) is None
        assert await engine.rooms.get(ROOM) is not None


async def test_sessions_and_tickets_survive(path: Path, clock: FakeClock) -> None:
    """One can come back to a session, and redeem a ticket, once, after a restart."""
    record = SessionRecord(id="s1", identity=ANN, nonce="n1", client="c1")
    async with opened(path, clock) as engine:
        await stores(engine).sessions.save(record, 60.0)
        await stores(engine).sessions.put_ticket("t1", ANN, 60.0)
    async with opened(path, clock) as engine:
        swapped = await stores(engine).sessions.swap("s1", "n1", "n2", "c2")
        assert swapped == SessionRecord(id="s1", identity=ANN, nonce="n2", client="c2")
        assert await stores(engine).sessions.take_ticket("t1") == ANN
    async with opened(path, clock) as engine:
        assert await stores(engine).sessions.swap("s1", "n1", "n3", "c3") is None
        assert await stores(engine).sessions.take_ticket("t1") is None


async def test_who_may_come_back_survives(path: Path, clock: FakeClock) -> None:
    """What users were in when the process was stopped is known to the next one, for the time left."""
    async with opened(path, clock) as engine:
        await stores(engine).sessions.put_returns("ann", (ROOM,), 60.0)
        await stores(engine).sessions.put_returns("bob", (ROOM, LIVE), 600.0)
    clock.advance(61)
    async with opened(path, clock) as engine:
        assert await stores(engine).sessions.take_returns("ann", (ROOM,)) == frozenset()
        assert await stores(engine).sessions.take_returns("bob", (LIVE,)) == {LIVE}
    async with opened(path, clock) as engine:
        assert await stores(engine).sessions.take_returns("bob", (ROOM, LIVE)) == {ROOM}


async def test_revocations_survive(path: Path, clock: FakeClock) -> None:
    """What was taken back stays taken back."""
    revocation = Revocation(RevocationKind.SUBJECT, "ann", at=100.0, until=4e9)
    async with opened(path, clock) as engine:
        await stores(engine).revocations.add(revocation)
    async with opened(path, clock) as engine:
        assert await stores(engine).revocations.is_revoked(ANN, None)
        assert await stores(engine).revocations.since(0.0) == (revocation,)


async def test_approvals_survive(path: Path, clock: FakeClock) -> None:
    """Requests still wait, and those that were decided still are."""
    fields: dict[str, Any] = {
        "channel": ROOM, "title": "?", "data": [1], "created_at": 1.0, "expires_at": 4e9,
    }  # fmt: skip
    verdict = Verdict(decision=Decision.APPROVE, user="ann", at=2.0, comment=None)
    async with opened(path, clock) as engine:
        for name in ("a1", "a2"):
            await stores(engine).approvals.add(Approval(id=name, **fields))
        await stores(engine).approvals.decide(Approval(id="a1", **fields), verdict)
    async with opened(path, clock) as engine:
        assert await stores(engine).approvals.pending(ROOM) == (Approval(id="a2", **fields),)
        assert await stores(engine).approvals.get("a1") == Approval(
            id="a1", verdict=verdict, **fields
        )


async def test_shared_values_survive(path: Path, clock: FakeClock) -> None:
    """Versions go on where they were."""
    async with opened(path, clock) as engine:
        await stores(engine).user_state.put("ann", "k", {"a": [1]}, None, 60.0)
    async with opened(path, clock) as engine:
        assert await stores(engine).user_state.put("ann", "k", 2, 7, 60.0) == (
            SharedValue(1, {"a": [1]}),
            False,
        )
        assert (await stores(engine).user_state.put("ann", "k", 2, 1, 60.0))[1]


async def test_counters_survive(path: Path, clock: FakeClock) -> None:
    """A budget that was used is used, until its time is over."""
    async with opened(path, clock) as engine:
        await engine.counters.add("tokens", 5, 60.0)
    clock.advance(59)
    async with opened(path, clock) as engine:
        assert await engine.counters.add("tokens", 1, 60.0) == 6
        clock.advance(2)
        assert await engine.counters.add("tokens", 0, 60.0) == 0


async def test_texts_survive(path: Path, clock: FakeClock) -> None:
    """A text is kept under its key until another replaces it; keys are not empty."""
    async with opened(path, clock) as engine:
        assert await engine.kv.get(Key("chain")) is None
        await engine.kv.put(Key("chain"), b"one")
        await engine.kv.put(Key("chain"), b"two")
        with pytest.raises(ValueError, match="empty"):
            await engine.kv.put(Key(""), b"x")
    async with opened(path, clock) as engine:
        assert await engine.kv.get(Key("chain")) == b"two"


async def test_presence_ends_with_the_process(path: Path, clock: FakeClock) -> None:
    """Nobody is in a channel after a restart, because every connection is gone."""
    async with opened(path, clock) as engine:
        await engine.presence.enter(ROOM, Member("c1", "ann"))
    async with opened(path, clock) as engine:
        assert await engine.presence.members(ROOM) == ()


async def test_an_engine_starts_again(path: Path, clock: FakeClock) -> None:
    """The same engine can be stopped, stopped again, and started."""
    async with opened(path, clock) as engine:
        await engine.streams.publish(ROOM, draft(), KEPT, None)
        await engine.stop()
        await engine.stop()
        await engine.start(Recorder())
        with pytest.raises(RuntimeError, match="open already"):
            await engine.start(Recorder())
        stored = await engine.streams.publish(ROOM, draft(), KEPT, None)
        assert stored.position.offset == 2


async def test_listeners_have_time_to_come_back(path: Path, clock: FakeClock) -> None:
    """An empty stream that was in use is not dropped before its listeners can be back."""
    async with opened(path, clock) as engine:
        await engine.streams.subscribe(LIVE)
        first = await engine.streams.publish(LIVE, draft(), BY_KEY, None)
        clock.advance(1000)
        await engine.sweep()
        clock.advance(250)
    async with opened(path, clock) as engine:
        clock.advance(299)
        await engine.sweep()
        page = await engine.streams.history(LIVE, HistoryQuery(limit=0), BY_KEY)
        assert page.position == first.position
        clock.advance(1000)
        await engine.sweep()
        assert await engine.streams.channels() == ()
