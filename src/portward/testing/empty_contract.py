"""The part of the engines' contract about channels that have no stream, and positions given for them."""

from collections.abc import Callable

from portward.engines.port import Engine
from portward.model.channel import Channel
from portward.model.namespace import Namespace
from portward.model.position import Position
from portward.model.publication import Draft, HistoryQuery

_ROOM = Channel.parse("rooms:general")
_OTHER = Channel.parse("rooms:other")
_KEPT = Namespace(name="rooms", history_size=5, history_ttl=60.0, idle_ttl=30.0)
_READS = (
    HistoryQuery(limit=0),
    HistoryQuery(limit=9, reverse=True, latest=True),
    HistoryQuery(limit=9, since=Position(0, "unknown")),
    HistoryQuery(limit=9, since=Position(7, "unknown")),
    HistoryQuery(limit=9, before=4),
)


class EmptyContract:
    """Inherited by `EngineContract`."""

    async def test_reading_an_unused_channel_makes_no_stream(self, engine: Engine) -> None:
        """Listening to and reading a channel without a publication makes no stream of it."""
        await engine.streams.subscribe(_ROOM)
        for query in _READS:
            for channel in (_ROOM, _OTHER):
                page = await engine.streams.history(channel, query, _KEPT)
                assert (page.publications, page.latest, page.position.offset) == ((), (), 0)
        await engine.streams.unsubscribe(_ROOM)
        await engine.sweep()
        assert await engine.streams.channels() == ()
        assert not await engine.streams.is_readable(_ROOM)

    async def test_an_empty_channel_has_one_epoch(self, engine: Engine) -> None:
        """Each reader of a channel without a stream gets the same position, each channel has its own."""
        positions = {await _position(engine, _ROOM) for _ in range(3)}
        assert len(positions) == 1
        assert await _position(engine, _OTHER) not in positions

    async def test_a_stream_has_the_epoch_of_the_empty_channel(self, engine: Engine) -> None:
        """What is read after the position of the empty channel is everything published since."""
        start = await _position(engine)
        assert await _since(engine, start) == []
        for number in range(3):
            stored = await _publish(engine, number)
            assert stored == Position(number + 1, start.epoch)
        assert await _since(engine, start) == [1, 2, 3]
        assert await _since(engine, Position(2, start.epoch)) == [3]

    async def test_an_empty_position_is_lost_with_what_was_trimmed(self, engine: Engine) -> None:
        """Where publications after the empty position are no longer kept, the page says so."""
        start = await _position(engine)
        for number in range(6):
            await _publish(engine, number)
        assert await _since(engine, start) is None

    async def test_other_epochs_are_unknown(self, engine: Engine) -> None:
        """A position that was not given for this channel cannot be continued."""
        unknown = [await _position(engine, _OTHER)]
        unknown += [Position(0, epoch) for epoch in ("~", "0", "0" * 16, "f" * 8, "\u00e9 }{*")]
        for position in unknown:
            assert await _since(engine, position) is None
        await _publish(engine)
        for position in unknown:
            assert await _since(engine, position) is None

    async def test_offsets_of_an_empty_channel_are_unknown(self, engine: Engine) -> None:
        """An offset above 0 was never given in a channel without a stream."""
        start = await _position(engine)
        page = await engine.streams.history(
            _ROOM, HistoryQuery(limit=9, since=Position(3, start.epoch)), _KEPT
        )
        assert (page.publications, page.complete) == ((), False)

    async def test_each_stream_has_another_epoch(self, engine: Engine) -> None:
        """After a removal no position is valid that was given before it, with or without a new stream."""
        old = []
        for number in range(4):
            old.append(await _position(engine))
            old += [await _publish(engine, number), await _publish(engine, number)]
            await engine.streams.remove(_ROOM)
            for position in old:
                assert await _since(engine, position) is None
            start = await _position(engine)
            for _ in range(3):
                await _publish(engine)
            for position in old:
                assert await _since(engine, position) is None
            assert await _since(engine, start) == [1, 2, 3]
            await engine.streams.remove(_ROOM)

    async def test_removing_an_empty_channel_changes_nothing(self, engine: Engine) -> None:
        """Without a stream there is nothing to remove: the position stays valid."""
        start = await _position(engine)
        await engine.streams.remove(_ROOM)
        await _publish(engine)
        assert await _since(engine, start) == [1]

    async def test_an_empty_position_ends_with_a_stream_that_ran_out(
        self, engine: Engine, leap: Callable[[float], None]
    ) -> None:
        """After a stream was dropped because it was not used, older positions are not valid."""
        start = await _position(engine)
        stored = await _publish(engine)
        leap(2000)
        await engine.sweep()
        assert _ROOM not in await engine.streams.channels()
        for _ in range(2):
            assert await _since(engine, start) is None
            assert await _since(engine, stored) is None
            await _publish(engine)

    async def test_an_empty_position_lasts(
        self, engine: Engine, leap: Callable[[float], None]
    ) -> None:
        """However long nothing is published, the position stays valid."""
        start = await _position(engine)
        for _ in range(3):
            leap(100_000)
            await engine.sweep()
            assert await _since(engine, start) == []
        await _publish(engine)
        assert await _since(engine, start) == [1]


async def _position(engine: Engine, channel: Channel = _ROOM) -> Position:
    return (await engine.streams.history(channel, HistoryQuery(limit=0), _KEPT)).position


async def _publish(engine: Engine, data: object = "hello") -> Position:
    draft = Draft(id="0" * 32, time=1, data=data)
    return (await engine.streams.publish(_ROOM, draft, _KEPT, None)).position


async def _since(engine: Engine, position: Position) -> list[int] | None:
    """The offsets after a position; None when a reader cannot know whether they are all."""
    page = await engine.streams.history(_ROOM, HistoryQuery(limit=10, since=position), _KEPT)
    if position.epoch != page.position.epoch or not page.complete:
        return None
    offsets = [each.offset for each in page.publications]
    return offsets if len(offsets) == page.position.offset - position.offset else None
