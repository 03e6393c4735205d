"""The stores of an engine that has no node."""

from weakref import WeakKeyDictionary

from portward.engines.port import Engine
from portward.node.sessions import LoopClock
from portward.node.stores import Stores

_MADE: WeakKeyDictionary[Engine, Stores] = WeakKeyDictionary()


def stores(engine: Engine) -> Stores:
    """The stores of an engine, always the same, in the engine's own time; they have loaded nothing."""
    if engine not in _MADE:
        _MADE[engine] = Stores(engine, getattr(engine.kv, "_clock", None) or LoopClock())
    return _MADE[engine]
