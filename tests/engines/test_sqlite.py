"""The SQLite engine keeps the engine contract."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from portward.engines.port import Engine
from portward.engines.sqlite import SqliteEngine
from portward.testing.clock import FakeClock
from portward.testing.engine_contract import EngineContract, Recorder
from portward.testing.rooms_contract import ROOMS_BOUND


class TestSqliteEngine(EngineContract):
    """Everything the contract says, in a file."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        """The engine's time."""
        return FakeClock()

    @pytest.fixture
    def leap(self, clock: FakeClock) -> Callable[[float], None]:
        """Move the engine's time."""
        return clock.advance

    @pytest.fixture
    def unix(self, clock: FakeClock) -> Callable[[], float]:
        """The engine's Unix time."""
        return clock.time

    @pytest.fixture
    async def engine(
        self, tmp_path: Path, clock: FakeClock, sink: Recorder
    ) -> AsyncIterator[Engine]:
        """A started engine."""
        engine = SqliteEngine(str(tmp_path / "engine.db"), clock, max_rooms=ROOMS_BOUND)
        await engine.start(sink)
        yield engine
        await engine.stop()
