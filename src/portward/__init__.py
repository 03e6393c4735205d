"""Portward: a real-time WebSocket gateway whose first concern is who comes in."""

from typing import TYPE_CHECKING, Any

from portward.version import __version__

if TYPE_CHECKING:
    from portward.app.gateway import Gateway
    from portward.engines.port import EngineUnavailable
    from portward.model.alert import Alert, Severity
    from portward.model.channel import Channel
    from portward.model.faults import Fault, FaultKind
    from portward.model.position import Position
    from portward.node.handle import ConnectionHandle
    from portward.node.ports import ConnectionInfo
    from portward.settings import Settings

__all__ = [
    "Alert",
    "Channel",
    "ConnectionHandle",
    "ConnectionInfo",
    "EngineUnavailable",
    "Fault",
    "FaultKind",
    "Gateway",
    "Position",
    "Settings",
    "Severity",
    "__version__",
]

_HOMES = {
    "Alert": "portward.model.alert",
    "Channel": "portward.model.channel",
    "ConnectionHandle": "portward.node.handle",
    "ConnectionInfo": "portward.node.ports",
    "EngineUnavailable": "portward.engines.port",
    "Fault": "portward.model.faults",
    "FaultKind": "portward.model.faults",
    "Gateway": "portward.app.gateway",
    "Position": "portward.model.position",
    "Settings": "portward.settings",
    "Severity": "portward.model.alert",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: the client needs none of the server."""
    if name not in _HOMES:
        raise AttributeError(f"module 'portward' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - only when needed

    return getattr(import_module(_HOMES[name]), name)
