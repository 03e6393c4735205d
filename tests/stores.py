"""The stores of an engine that has no node."""

from portward.engines.port import Engine
from portward.node.sessions import LoopClock
from portward.node.stores import Stores


def stores(engine: Engine) -> Stores:
    """Stores that hold nothing in memory, in the engine's own time."""
    return Stores(engine, getattr(engine.kv, "_clock", None) or LoopClock())
