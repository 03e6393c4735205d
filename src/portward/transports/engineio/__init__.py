"""Engine.IO, protocol 4: long-polling over HTTP, WebSocket, and the upgrade from one to the other."""

from portward.transports.engineio.engine_path import EnginePath, engine_handlers
from portward.transports.engineio.server import EngineServer

__all__ = ["EnginePath", "EngineServer", "engine_handlers"]
