"""The memory engine keeps the engine contract."""

from collections.abc import AsyncIterator, Callable

import pytest

from portward.engines.memory import MemoryEngine
from portward.engines.port import Engine
from portward.model.channel import Channel
from portward.model.room import Room
from portward.testing.clock import FakeClock
from portward.testing.engine_contract import EngineContract, Recorder


class TestMemoryEngine(EngineContract):
    """Everything the contract says, in memory."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        """The engine's time."""
        return FakeClock()

    @pytest.fixture
    def leap(self, clock: FakeClock) -> Callable[[float], None]:
        """Move the engine's time."""
        return clock.advance

    @pytest.fixture
    async def engine(self, clock: FakeClock, sink: Recorder) -> AsyncIterator[Engine]:
        """A started engine."""
        engine = MemoryEngine(clock, max_rooms=2)
        await engine.start(sink)
        yield engine
        await engine.stop()

    async def test_rooms_are_bounded(self, engine: Engine) -> None:
        """A full directory refuses another room."""
        channels = [Channel.parse(f"rooms:{n}") for n in range(3)]
        saved = [
            await engine.directory.save_room(channel, Room(id="x"), 60.0, new=True)
            for channel in channels
        ]
        assert saved == [True, True, False]
