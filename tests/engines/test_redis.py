"""The Redis engine keeps the engine contract."""

from collections.abc import AsyncIterator

import pytest

from portward.engines.port import Engine
from portward.engines.redis import RedisEngine, parse_url
from portward.node.sessions.clock import LoopClock
from portward.testing.engine_contract import EngineContract, Recorder
from portward.testing.rooms_contract import ROOMS_BOUND
from tests.engines.redis_fixtures import RealTime
from tests.engines.redis_servers import Server


class TestRedisEngine(RealTime, EngineContract):
    """Everything the contract says, in Redis."""

    @pytest.fixture
    async def engine(self, redis: Server, sink: Recorder) -> AsyncIterator[Engine]:
        """A started engine."""
        engine = RedisEngine(parse_url(redis.url), LoopClock(), max_rooms=ROOMS_BOUND)
        await engine.start(sink)
        yield engine
        await engine.stop()
