"""The Redis engine keeps the engine contract."""

from collections.abc import AsyncIterator

import pytest

from portward.engines.port import Engine
from portward.engines.redis import RedisEngine, parse_url
from portward.model.channel import Channel
from portward.model.room import Room
from portward.node.clock import LoopClock
from portward.testing.engine_contract import EngineContract, Recorder
from tests.engines.redis_servers import Server


class TestRedisEngine(EngineContract):
    """Everything the contract says, in Redis."""

    @pytest.fixture
    async def engine(self, redis: Server, sink: Recorder) -> AsyncIterator[Engine]:
        """A started engine."""
        engine = RedisEngine(parse_url(redis.url), LoopClock(), max_rooms=2)
        await engine.start(sink)
        yield engine
        await engine.stop()

    async def test_rooms_are_bounded(self, engine: Engine) -> None:
        """A full directory refuses another room, until one is removed."""
        channels = [Channel.parse(f"rooms:{n}") for n in range(3)]
        save = engine.directory.save_room
        saved = [await save(channel, Room(id="x"), 60.0, new=True) for channel in channels]
        assert saved == [True, True, False]
        assert await engine.directory.remove_room(channels[0])
        assert await save(channels[2], Room(id="x"), 60.0, new=True)
