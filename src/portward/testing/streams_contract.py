"""The part of the engine's contract about streams, history and the bus; and what its tests use."""

from collections.abc import Callable

import pytest

from portward.engines.port import Engine
from portward.model.channel import Channel
from portward.model.events import BusEvent, RightsChanged, UserJoined
from portward.model.namespace import Namespace
from portward.model.position import Position
from portward.model.publication import Draft, HistoryQuery, Publication

ROOM = Channel.parse("rooms:general")
OTHER = Channel.parse("rooms:other")
KEPT = Namespace(name="rooms", history_size=5, history_ttl=60.0, idle_ttl=30.0)


class Recorder:
    """Implements `engines.port.EngineEvents`, and remembers all calls."""

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


class StreamsContract:
    """Inherited by :class:`EngineContract`."""

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

    async def test_attachments_are_kept(self, engine: Engine, sink: Recorder) -> None:
        """Bytes beside the data of a publication come back as they were, live and from history."""
        await engine.streams.subscribe(ROOM)
        bytes_kept = (b"\x00\xff", b"")
        await engine.streams.publish(ROOM, draft([1], attachments=bytes_kept), KEPT, None)
        page = await engine.streams.history(ROOM, HistoryQuery(limit=5), KEPT)
        assert [each.attachments for each in page.publications] == [bytes_kept]
        assert [each.attachments for _, each, _, _ in sink.publications] == [bytes_kept]

    async def test_books_are_kept_of_what_is_heard(self, engine: Engine) -> None:
        """A channel that is listened to and published in is in the books of its namespace."""
        await engine.streams.subscribe(ROOM)
        await engine.streams.publish(ROOM, draft(), KEPT, None)
        assert engine.streams.stream_counts()["rooms"] == 1
