"""For the tests of applications that use Portward.

A clock that leaps, a gateway without sockets, and the contract every engine must keep.
"""

from portward.testing.clock import FakeClock
from portward.testing.engine_contract import EngineContract
from portward.testing.gateway import MemoryClient, connect, memory_gateway

__all__ = ["EngineContract", "FakeClock", "MemoryClient", "connect", "memory_gateway"]
