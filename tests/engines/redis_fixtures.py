"""What the tests of the Redis engine share: engines with short times, and a checker of what they told."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import pytest

from portward.engines.port import Engine, EngineUnavailable
from portward.engines.redis import RedisEngine, Timing, parse_url
from portward.model.channel import Channel
from portward.model.namespace import Namespace
from portward.model.publication import Draft, HistoryQuery, Publication
from portward.node.sessions.clock import LoopClock
from portward.testing.engine_contract import Recorder
from portward.testing.rooms_contract import Elapse
from tests.stores import stores

ROOM = Channel.parse("rooms:general")
OTHER = Channel.parse("rooms:other")
KEPT = Namespace(name="rooms", history_size=100_000, history_ttl=600.0, idle_ttl=300.0)
LIMIT = 30.0
"""Seconds anything here may take on a slow machine."""
QUICK = Timing(
    connect=8.0,
    command=10.0,
    probe=0.1,
    pubsub_probe=0.2,
    silence=20.0,
    pause=0.2,
    linger=0.05,
    echo=5.0,
)
"""Looks often, and is patient with a slow machine."""
HASTY = Timing(
    connect=2.0,
    command=1.5,
    probe=0.1,
    pubsub_probe=0.2,
    silence=1.5,
    pause=0.2,
    linger=0.05,
    echo=1.0,
)
"""For what does not answer at all."""


T = TypeVar("T")


class RealTime:
    """For contract suites: short times that really pass, for a server's cannot be made to leap."""

    @pytest.fixture
    def tick(self) -> float:
        """A short time."""
        return 0.1

    @pytest.fixture
    def elapse(self, tick: float) -> Elapse:
        """Let it pass."""
        return lambda ticks: asyncio.sleep(ticks * tick)


class Restorer(Recorder):
    """Writes revocations again when an engine reports that they may be lost, as a node does."""

    def __init__(self) -> None:
        super().__init__()
        self.engine: Engine | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def on_interrupted(self) -> None:
        """Remember it."""
        super().on_interrupted()
        self._restore()

    def on_health_changed(self, up: bool) -> None:
        """Remember it."""
        super().on_health_changed(up)
        if up:
            self._restore()

    def on_keys_dropped(self) -> None:
        """Remember it."""
        super().on_keys_dropped()
        self._restore()

    def _restore(self) -> None:
        if self.engine is not None:
            task = asyncio.get_running_loop().create_task(self._write(self.engine))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _write(self, engine: Engine) -> None:
        with suppress(EngineUnavailable):
            await stores(engine).revocations.restore()


class Witness(Restorer):
    """A sink that also remembers in which order things were told."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[tuple[str, int, object] | None] = []
        """Epoch, offset and data of publications; None where something may have been lost."""

    def on_publication(
        self, channel: Channel, publication: Publication, epoch: str, exclude: str | None
    ) -> None:
        """Remember a publication."""
        super().on_publication(channel, publication, epoch, exclude)
        self.log.append((epoch, publication.offset, publication.data))

    def on_interrupted(self) -> None:
        """Remember that something may be lost."""
        super().on_interrupted()
        self.log.append(None)

    def check_order(self) -> None:
        """No publication came twice or out of order, and none is missing without a word."""
        last: dict[str, int] = {}
        excused = True
        epoch: str | None = None
        for entry in self.log:
            if entry is None:
                excused = True
                continue
            before = last.get(entry[0])
            assert before is None or entry[1] > before, "told twice, or out of order"
            new_epoch, epoch = entry[0] != epoch, entry[0]
            if before is not None and not excused and not new_epoch:
                assert entry[1] == before + 1, "a silent gap"
            excused = False
            last[entry[0]] = entry[1]


def draft(data: object, **more: object) -> Draft:
    """A publication on its way."""
    return Draft(id="0" * 32, time=1, data=data, **more)  # type: ignore[arg-type]


@asynccontextmanager
async def engine_at(
    url: str, sink: Recorder | None = None, timing: Timing = QUICK, **more: object
) -> AsyncIterator[RedisEngine]:
    """A started engine."""
    engine = RedisEngine(parse_url(url), LoopClock(), timing=timing, **more)  # type: ignore[arg-type]
    sink = sink if sink is not None else Restorer()
    if isinstance(sink, Restorer):
        sink.engine = engine
    await engine.start(sink)
    try:
        yield engine
    finally:
        await engine.stop()


async def eventually(condition: Callable[[], bool], limit: float = LIMIT) -> None:
    """Wait until something is so.

    Raises:
        TimeoutError: it never was.
    """
    async with asyncio.timeout(limit):
        while not condition():  # noqa: ASYNC110 - servers and sinks set no event
            await asyncio.sleep(0.01)


async def at_last(action: Callable[[], Awaitable[T]], limit: float = LIMIT) -> T:
    """Try until the store answers; returns what it said."""
    async with asyncio.timeout(limit):
        while True:
            try:
                return await action()
            except EngineUnavailable:
                await asyncio.sleep(0.05)


class Publisher:
    """Publishes numbers one after the other, and remembers which were acknowledged, and as what."""

    def __init__(self, engine: Engine, channel: Channel = ROOM, name: str = "p") -> None:
        self.acknowledged: list[tuple[str, int, object]] = []
        self.refused = 0
        self._engine = engine
        self._channel = channel
        self._name = name
        self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        for number in itertools.count():
            data = f"{self._name}{number}"
            try:
                stored = await self._engine.streams.publish(self._channel, draft(data), KEPT, None)
            except EngineUnavailable:
                self.refused += 1
            else:
                position = stored.position
                self.acknowledged.append((position.epoch, position.offset, data))
            await asyncio.sleep(0.002)

    async def more(self, count: int = 20) -> None:
        """Wait until so many more were acknowledged."""
        goal = len(self.acknowledged) + count
        await eventually(lambda: len(self.acknowledged) >= goal or self._task.done())
        assert not self._task.done()

    async def stop(self) -> None:
        """Publish no more."""
        self._task.cancel()
        await asyncio.wait((self._task,))


async def check_books(engine: Engine, *publishers: Publisher, channel: Channel = ROOM) -> None:
    """What was acknowledged in the epoch of now is there, and every position means one publication."""
    query = HistoryQuery(limit=10**6)
    page = await at_last(lambda: engine.streams.history(channel, query, KEPT))
    kept = {each.offset: each.data for each in page.publications}
    offsets = sorted(kept)
    assert offsets == list(range(offsets[0], offsets[-1] + 1) if offsets else ())
    said: dict[tuple[str, int], object] = {}
    for publisher in publishers:
        for epoch, offset, data in publisher.acknowledged:
            assert said.setdefault((epoch, offset), data) == data, "a position means two things"
            if epoch == page.position.epoch:
                assert kept[offset] == data, "acknowledged, and vanished"
