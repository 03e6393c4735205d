"""The shared parts of the engine, passed as one value."""

from typing import NamedTuple

from portward.engines.redis.commands import RedisCommands
from portward.engines.redis.keys import Keys
from portward.engines.redis.options import Timing
from portward.engines.redis.topology import Topology
from portward.model.clock import Clock


class RedisContext(NamedTuple):
    """What the ports need. `uid` is the id of this run of the node."""

    commands: RedisCommands
    topology: Topology
    keys: Keys
    uid: str
    timing: Timing
    clock: Clock
