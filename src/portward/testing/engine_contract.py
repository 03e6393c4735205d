"""The contract of `portward.engines.port`, as a suite: inherit it, make `engine` a fixture, run it.

    class TestMyEngine(EngineContract):
        @pytest.fixture
        async def engine(self): ...

The engine must be started with `Recorder` as its sink, whose instance is the fixture `sink`. Where an
engine's time can be made to leap, `leap` does it; elsewhere the tests about expiry skip themselves.
"""

from collections.abc import Callable

import pytest

from portward.engines.port import Engine
from portward.testing.empty_contract import EmptyContract
from portward.testing.kv_contract import KeyValueContract
from portward.testing.presence_contract import CountersContract, PresenceContract
from portward.testing.rooms_contract import RoomsContract
from portward.testing.stores_contract import StoresContract
from portward.testing.streams_contract import Recorder, StreamsContract

__all__ = ["EngineContract", "Recorder"]


class EngineContract(
    StreamsContract,
    EmptyContract,
    RoomsContract,
    PresenceContract,
    CountersContract,
    KeyValueContract,
    StoresContract,
):
    """What every engine must do: one suite for each port, and the stores over it.

    Each test is one sentence of the contract.
    """

    @pytest.fixture
    def sink(self) -> Recorder:
        """Where the engine announces."""
        return Recorder()

    @pytest.fixture
    def leap(self) -> Callable[[float], None]:
        """Move the engine's time. Override it where that is possible."""
        pytest.skip("this engine's time cannot leap")

    async def test_engine_is_healthy(self, engine: Engine) -> None:
        """A started engine says that it answers, and its meter lets a first event pass."""
        assert engine.healthy
        assert await engine.counters.take("key", 1.0, 5) == 0.0
