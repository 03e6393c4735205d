"""The contract of `portward.engines.port`, as a suite: inherit it, make `engine` a fixture, run it.

    class TestMyEngine(EngineContract):
        @pytest.fixture
        async def engine(self): ...

The engine must be started with `Recorder` as its sink, whose instance is the fixture `sink`. Where an
engine's time can be made to leap, `leap` does it; elsewhere the tests about expiry skip themselves.
"""

from collections.abc import Callable

import pytest

from portward.engines.port import (
    Engine,
    Member,
)
from portward.model.channel import Channel
from portward.model.events import BusEvent, RightsChanged, UserJoined
from portward.model.namespace import Namespace
from portward.model.position import Position
from portward.model.publication import Draft, HistoryQuery, Publication
from portward.testing.empty_contract import EmptyContract
from portward.testing.kv_contract import KeyValueContract
from portward.testing.rooms_contract import RoomsContract
from portward.testing.stores_contract import StoresContract

ROOM = Channel.parse("rooms:general")
OTHER = Channel.parse("rooms:other")
KEPT = Namespace(name="rooms", history_size=5, history_ttl=60.0, idle_ttl=30.0)


class Recorder:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.publications: list[tuple[Channel, Publication, str, str | None]] = []
        self.events: list[BusEvent] = []
        self.health: list[bool] = []
        self.evictions: list[bool] = []
        self.interruptions = 0
        self.losses = 0

    def on_publication(
        self, channel: Channel, publication: Publication, epoch: str, exclude: str | None
    ) -> None:
        """Remember a publication."""
        self.publications.append((channel, publication, epoch, exclude))

    def on_control(self, event: BusEvent) -> None:
        """Remember an event."""
        self.events.append(event)

    def on_interrupted(self) -> None:
        """Remember that announcements may have been lost."""
        self.interruptions += 1

    def on_health_changed(self, up: bool) -> None:
        """Remember whether the store answers."""
        self.health.append(up)

    def on_eviction_changed(self, possible: bool) -> None:
        """Remember whether the store may drop keys."""
        self.evictions.append(possible)

    def on_keys_dropped(self) -> None:
        """Remember that keys may have been dropped."""
        self.losses += 1


def draft(data: object = "hello", **more: object) -> Draft:
    """A publication on its way to an engine."""
    return Draft(id="0" * 32, time=1, data=data, **more)  # type: ignore[arg-type]


class EngineContract(EmptyContract, RoomsContract, KeyValueContract, StoresContract):
    """What every engine must do. Each test is one sentence of the contract."""

    @pytest.fixture
    def sink(self) -> Recorder:
        """Where the engine announces."""
        return Recorder()

    @pytest.fixture
    def leap(self) -> Callable[[float], None]:
        """Move the engine's time. Override it where that is possible."""
        pytest.skip("this engine's time cannot leap")

    # -- streams

    async def test_offsets_are_dense_from_one(self, engine: Engine) -> None:
        """Publications of one channel are numbered 1, 2, 3 in one epoch."""
        stored = [await engine.streams.publish(ROOM, draft(n), KEPT, None) for n in range(3)]
        assert [each.position.offset for each in stored] == [1, 2, 3]
        assert len({each.position.epoch for each in stored}) == 1

    async def test_channels_count_apart(self, engine: Engine) -> None:
        """Each channel has its own offsets and epoch."""
        first = await engine.streams.publish(ROOM, draft(), KEPT, None)
        second = await engine.streams.publish(OTHER, draft(), KEPT, None)
        assert first.position.offset == second.position.offset == 1
        assert first.position.epoch != second.position.epoch

    async def test_publish_announces(self, engine: Engine, sink: Recorder) -> None:
        """What was stored is announced with its offset, epoch and exclusion."""
        await engine.streams.subscribe(ROOM)
        stored = await engine.streams.publish(ROOM, draft({"a": 1}, exclude="c1"), KEPT, None)
        [(channel, publication, epoch, exclude)] = sink.publications
        assert (channel, publication.offset, epoch, exclude) == (
            ROOM,
            1,
            stored.position.epoch,
            "c1",
        )
        assert publication.data == {"a": 1}

    async def test_idempotency_key_repeats_the_first_outcome(
        self, engine: Engine, sink: Recorder
    ) -> None:
        """A repeated key stores and announces nothing and returns the first position."""
        await engine.streams.subscribe(ROOM)
        first = await engine.streams.publish(ROOM, draft(), KEPT, "k")
        again = await engine.streams.publish(ROOM, draft(), KEPT, "k")
        assert (again.position, again.id, again.duplicate) == (first.position, first.id, True)
        assert len(sink.publications) == 1

    async def test_idempotency_key_belongs_to_a_channel(self, engine: Engine) -> None:
        """The same key in another channel is another publication."""
        await engine.streams.publish(ROOM, draft(), KEPT, "k")
        assert not (await engine.streams.publish(OTHER, draft(), KEPT, "k")).duplicate

    async def test_idempotency_key_runs_out(
        self, engine: Engine, leap: Callable[[float], None]
    ) -> None:
        """After five minutes a key is new again."""
        await engine.streams.publish(ROOM, draft(), KEPT, "k")
        leap(301)
        assert not (await engine.streams.publish(ROOM, draft(), KEPT, "k")).duplicate

    # -- history

    async def test_history_of_nothing(self, engine: Engine) -> None:
        """A channel nobody published in is empty and stands at offset 0 of a lasting epoch."""
        page = await engine.streams.history(ROOM, HistoryQuery(limit=10), KEPT)
        stored = await engine.streams.publish(ROOM, draft(), KEPT, None)
        assert (page.publications, page.position.offset) == ((), 0)
        assert stored.position.epoch == page.position.epoch

    @pytest.mark.parametrize(
        ("query", "offsets"),
        [
            (HistoryQuery(limit=10), [1, 2, 3, 4]),
            (HistoryQuery(limit=2), [1, 2]),
            (HistoryQuery(limit=2, reverse=True), [3, 4]),
            (HistoryQuery(limit=2, before=4), [2, 3]),
            (HistoryQuery(limit=9, before=3, reverse=True), [1, 2]),
            (HistoryQuery(limit=0), []),
        ],
    )
    async def test_history_pages(
        self, engine: Engine, query: HistoryQuery, offsets: list[int]
    ) -> None:
        """Limits, directions and borders choose the right publications, oldest first."""
        for n in range(4):
            await engine.streams.publish(ROOM, draft(n), KEPT, None)
        page = await engine.streams.history(ROOM, query, KEPT)
        assert [each.offset for each in page.publications] == offsets
        assert page.position.offset == 4

    async def test_history_since(self, engine: Engine) -> None:
        """Reading since a position gives exactly what came after it."""
        stored = [await engine.streams.publish(ROOM, draft(n), KEPT, None) for n in range(4)]
        query = HistoryQuery(limit=10, since=stored[1].position)
        page = await engine.streams.history(ROOM, query, KEPT)
        assert [each.offset for each in page.publications] == [3, 4]
        assert page.complete

    async def test_history_since_another_epoch(self, engine: Engine) -> None:
        """A position of another epoch is answered with nothing, incomplete."""
        await engine.streams.publish(ROOM, draft(), KEPT, None)
        query = HistoryQuery(limit=10, since=Position(1, "nonsense"))
        page = await engine.streams.history(ROOM, query, KEPT)
        assert (page.publications, page.complete) == ((), False)

    async def test_history_is_trimmed_by_size(self, engine: Engine) -> None:
        """Only the newest are kept, and a reader from before them is told that some are gone."""
        for n in range(8):
            await engine.streams.publish(ROOM, draft(n), KEPT, None)
        page = await engine.streams.history(ROOM, HistoryQuery(limit=10), KEPT)
        assert [each.offset for each in page.publications] == [4, 5, 6, 7, 8]
        query = HistoryQuery(limit=10, since=Position(1, page.position.epoch))
        assert not (await engine.streams.history(ROOM, query, KEPT)).complete

    async def test_history_is_trimmed_by_age(
        self, engine: Engine, leap: Callable[[float], None]
    ) -> None:
        """What is older than the time to live is gone; the offset is not."""
        await engine.streams.publish(ROOM, draft(), KEPT, None)
        leap(61)
        page = await engine.streams.history(ROOM, HistoryQuery(limit=10), KEPT)
        assert (page.publications, page.position.offset) == ((), 1)

    async def test_removed_channel_has_a_new_epoch(self, engine: Engine) -> None:
        """A channel that was removed starts again in another epoch."""
        first = await engine.streams.publish(ROOM, draft(), KEPT, None)
        await engine.streams.remove(ROOM)
        second = await engine.streams.publish(ROOM, draft(), KEPT, None)
        assert second.position.offset == 1
        assert second.position.epoch != first.position.epoch

    async def test_idle_channel_is_swept(
        self, engine: Engine, leap: Callable[[float], None]
    ) -> None:
        """An empty channel nobody listens to leaves no bookkeeping behind."""
        await engine.streams.publish(ROOM, draft(), KEPT, None)
        leap(100)
        await engine.sweep()
        assert ROOM not in await engine.streams.channels()

    async def test_heard_channel_keeps_its_epoch(
        self, engine: Engine, leap: Callable[[float], None]
    ) -> None:
        """A channel somebody listens to is not swept."""
        await engine.streams.subscribe(ROOM)
        first = await engine.streams.publish(ROOM, draft(), KEPT, None)
        leap(1000)
        await engine.sweep()
        second = await engine.streams.publish(ROOM, draft(), KEPT, None)
        assert second.position == Position(2, first.position.epoch)

    async def test_bus(self, engine: Engine, sink: Recorder) -> None:
        """An announced event reaches the sink unchanged."""
        event = UserJoined(channel=ROOM, user="ann", client="c1")
        await engine.streams.subscribe(ROOM)
        await engine.streams.publish_control(event)
        await engine.streams.publish_control(RightsChanged(user="ann"))
        assert sink.events == [event, RightsChanged(user="ann")]

    # -- presence

    async def test_presence_counts_users(self, engine: Engine) -> None:
        """Only a user's first entry and last departure are news."""
        enter, leave = engine.presence.enter, engine.presence.leave
        assert await enter(ROOM, Member("c1", "ann"))
        assert await enter(ROOM, Member("c2", "ann")) == 0
        assert await enter(ROOM, Member("c2", "ann")) == 0
        assert await leave(ROOM, "c1", "ann") == 0
        assert await leave(ROOM, "c1", "ann") == 0
        assert await leave(ROOM, "c2", "ann")
        assert await engine.presence.members(ROOM) == ()

    async def test_presence_numbers_what_happens(self, engine: Engine) -> None:
        """A later coming or going of a user has the larger number."""
        numbers = []
        for number in range(10):
            numbers.append(await engine.presence.enter(ROOM, Member(f"c{number}", "ann")) or 0)
            numbers.append(await engine.presence.leave(ROOM, f"c{number}", "ann"))
        assert numbers[0] > 0
        assert numbers == sorted(set(numbers))

    async def test_presence_lists_connections(self, engine: Engine) -> None:
        """Members are connections with their users, in the order of entering."""
        members = (Member("c1", "ann", "ann@example.com"), Member("c2", "bob"))
        for member in members:
            await engine.presence.enter(ROOM, member)
        await engine.presence.renew([(ROOM, member) for member in members])
        assert await engine.presence.members(ROOM) == members

    async def test_presence_limit_counts_users(self, engine: Engine) -> None:
        """A full channel refuses another user, not another connection of one who is there."""
        await engine.presence.enter(ROOM, Member("c1", "ann"), 1)
        assert await engine.presence.enter(ROOM, Member("c2", "bob"), 1) is None
        assert await engine.presence.enter(ROOM, Member("c3", "ann"), 1) == 0

    async def test_attachments_are_kept(self, engine: Engine, sink: Recorder) -> None:
        """Bytes beside the data of a publication come back as they were, live and from history."""
        await engine.streams.subscribe(ROOM)
        bytes_kept = (b"\x00\xff", b"")
        await engine.streams.publish(ROOM, draft([1], attachments=bytes_kept), KEPT, None)
        page = await engine.streams.history(ROOM, HistoryQuery(limit=5), KEPT)
        assert [each.attachments for each in page.publications] == [bytes_kept]
        assert [each.attachments for _, each, _, _ in sink.publications] == [bytes_kept]

    # -- books

    async def test_books_are_kept_of_what_is_heard(self, engine: Engine) -> None:
        """A channel that is listened to and published in is in the books of its namespace."""
        await engine.streams.subscribe(ROOM)
        await engine.streams.publish(ROOM, draft(), KEPT, None)
        assert engine.streams.stream_counts()["rooms"] == 1

    # -- life

    async def test_engine_is_healthy(self, engine: Engine) -> None:
        """A started engine says that it answers, and its meter lets a first event pass."""
        assert engine.healthy
        assert await engine.counters.take("key", 1.0, 5) == 0.0

    # -- counters

    async def test_a_counter_adds_up(self, engine: Engine) -> None:
        """Every addition returns the sum; adding nothing reads it, and makes no counter."""
        assert await engine.counters.add("a", 0, 60.0) == 0
        assert await engine.counters.add("a", 5, 60.0) == 5
        assert await engine.counters.add("a", 7, 60.0) == 12
        assert await engine.counters.add("a", 0, 60.0) == 12
        assert await engine.counters.add("b", 1, 60.0) == 1

    async def test_a_counter_is_forgotten(
        self, engine: Engine, leap: Callable[[float], None]
    ) -> None:
        """Its time runs from the first addition, whatever is added later."""
        await engine.counters.add("a", 5, 60.0)
        leap(59.0)
        assert await engine.counters.add("a", 1, 60.0) == 6
        leap(2.0)
        assert await engine.counters.add("a", 0, 60.0) == 0
        assert await engine.counters.add("a", 2, 60.0) == 2
