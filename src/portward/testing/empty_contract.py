"""The part of the engine's contract about what is not kept, and what is for whoever comes back."""

from collections.abc import Callable

from portward.engines.port import Engine
from portward.model.channel import Channel
from portward.model.namespace import Namespace
from portward.model.position import Position
from portward.model.publication import Draft, HistoryQuery

ROOM = Channel.parse("rooms:general")
OTHER = Channel.parse("rooms:other")
KEPT = Namespace(name="rooms", history_size=5, history_ttl=60.0, idle_ttl=30.0)


def draft(data: object = "hello") -> Draft:
    """A publication on its way to an engine."""
    return Draft(id="0" * 32, time=1, data=data)


class EmptyContract:
    """Inherited by `EngineContract`."""

    # -- channels in which nothing was published

    async def test_reading_an_unused_channel_writes_nothing(self, engine: Engine) -> None:
        """Listening to and reading a channel nobody published in makes no record of it."""
        await engine.broker.listen(ROOM)
        for query in (HistoryQuery(limit=0), HistoryQuery(limit=9, reverse=True, latest=True)):
            await engine.broker.history(ROOM, query, KEPT)
        await engine.broker.ignore(ROOM)
        await engine.broker.history(OTHER, HistoryQuery(limit=1), KEPT)
        await engine.sweep()
        assert await engine.broker.channels() == ()
        assert not await engine.broker.keeps(ROOM)

    async def test_an_empty_position_is_continued(self, engine: Engine) -> None:
        """Whoever stood before the first publication reads everything since, and knows it to be all."""
        start = (await engine.broker.history(ROOM, HistoryQuery(limit=0), KEPT)).position
        assert await _since(engine, start) == []
        for number in range(3):
            await engine.broker.publish(ROOM, draft(number), KEPT, None)
        assert await _since(engine, start) == [1, 2, 3]
        assert await _since(engine, Position(2, start.epoch)) == [3]

    async def test_an_empty_position_is_not_taken_for_another(self, engine: Engine) -> None:
        """An empty position that this store has not handed out is answered as unknown."""
        for epoch in ("~", "~ffffffff", "~a-1-b"):
            assert await _since(engine, Position(0, epoch)) is None
        await engine.broker.publish(ROOM, draft(), KEPT, None)
        for epoch in ("~", "~ffffffff", "~a-1-b"):
            assert await _since(engine, Position(0, epoch)) is None

    async def test_an_empty_position_ends_with_the_life_after_it(self, engine: Engine) -> None:
        """After a removal nobody who stood before the first life takes the second for all there was."""
        start = (await engine.broker.history(ROOM, HistoryQuery(limit=0), KEPT)).position
        first = await engine.broker.publish(ROOM, draft(), KEPT, None)
        await engine.broker.remove(ROOM)
        assert await _since(engine, start) is None
        again = (await engine.broker.history(ROOM, HistoryQuery(limit=0), KEPT)).position
        assert again.epoch != start.epoch
        second = await engine.broker.publish(ROOM, draft(), KEPT, None)
        assert second.position.epoch != first.position.epoch
        assert await _since(engine, start) is None
        assert await _since(engine, first.position) is None
        assert await _since(engine, again) == [1]

    async def test_an_empty_position_ends_with_a_life_that_ran_out(
        self, engine: Engine, leap: Callable[[float], None]
    ) -> None:
        """So it is after a life that was dropped because nobody used it."""
        start = (await engine.broker.history(ROOM, HistoryQuery(limit=0), KEPT)).position
        await engine.broker.publish(ROOM, draft(), KEPT, None)
        leap(2000)
        await engine.sweep()
        assert ROOM not in await engine.broker.channels()
        assert await _since(engine, start) is None
        await engine.broker.publish(ROOM, draft(), KEPT, None)
        assert await _since(engine, start) is None

    async def test_an_epoch_has_other_names(self, engine: Engine) -> None:
        """Epochs that were handed out for the empty channel can be taken for names of its first one."""
        start = (await engine.broker.history(ROOM, HistoryQuery(limit=0), KEPT)).position
        stored = [await engine.broker.publish(ROOM, draft(n), KEPT, None) for n in range(3)]
        epoch = stored[0].position.epoch
        await engine.broker.name_epoch(ROOM, "another", frozenset({start.epoch}))
        await engine.broker.name_epoch(ROOM, epoch, frozenset({start.epoch}))
        assert await _since(engine, Position(1, start.epoch)) == [2, 3]
        await engine.broker.remove(ROOM)
        await engine.broker.name_epoch(ROOM, epoch, frozenset({start.epoch}))
        assert await engine.broker.channels() == ()
        await engine.broker.publish(ROOM, draft(), KEPT, None)
        assert await _since(engine, Position(1, start.epoch)) is None

    # -- coming back

    async def test_returns_are_taken_once(self, engine: Engine) -> None:
        """What a user was in is taken back once, each channel apart, and by nobody else."""
        put, take = engine.sessions.put_returns, engine.sessions.take_returns
        await put("ann", (ROOM, OTHER), 60.0)
        await put("ann", (ROOM,), 60.0)
        await put("cyd", (), 60.0)
        assert await take("bob", (ROOM,)) == frozenset()
        assert await take("ann", (ROOM, Channel.parse("rooms:third"))) == {ROOM}
        assert await take("ann", (ROOM, OTHER)) == {OTHER}
        assert await take("ann", (ROOM, OTHER)) == frozenset()

    async def test_returns_run_out(self, engine: Engine, leap: Callable[[float], None]) -> None:
        """What a user was in is forgotten after its time."""
        await engine.sessions.put_returns("ann", (ROOM,), 60.0)
        leap(30)
        await engine.sessions.put_returns("ann", (OTHER,), 60.0)
        leap(31)
        await engine.sweep()
        assert await engine.sessions.take_returns("ann", (ROOM, OTHER)) == {OTHER}


async def _since(engine: Engine, position: Position) -> list[int] | None:
    """The offsets after a position; None when not all that came since can be read."""
    query = HistoryQuery(limit=10, since=position)
    page = await engine.broker.history(ROOM, query, KEPT)
    if position.epoch not in {page.position.epoch, page.known_as} or not page.complete:
        return None
    offsets = [each.offset for each in page.publications]
    return offsets if len(offsets) == page.position.offset - position.offset else None
