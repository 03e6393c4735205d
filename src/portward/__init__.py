"""Portward: a real-time WebSocket gateway with admission, rights, limits and history."""

from portward.version import __version__

TYPE_CHECKING = False
"""As in `typing`, which takes longer to import than everything before the signals are handled may take."""

if TYPE_CHECKING:
    from typing import Any

    from portward.app.gateway import Gateway
    from portward.engines.port import EngineUnavailable
    from portward.model.approval import Approval, Decision, Verdict
    from portward.model.channel import Channel
    from portward.model.errors import CommandError, ErrorKind
    from portward.model.position import Position
    from portward.node.sessions import ConnectionHandle, ConnectionInfo
    from portward.protocols.alerts.record import Alert, Severity
    from portward.protocols.socketio.server import EventError, Socket
    from portward.protocols.workspaces.commands import ActionInfo
    from portward.settings import Settings

__all__ = [
    "ActionInfo",
    "Alert",
    "Approval",
    "Channel",
    "CommandError",
    "ConnectionHandle",
    "ConnectionInfo",
    "Decision",
    "EngineUnavailable",
    "ErrorKind",
    "EventError",
    "Gateway",
    "Position",
    "Settings",
    "Severity",
    "Socket",
    "Verdict",
    "__version__",
]

_HOMES = {
    "ActionInfo": "portward.protocols.workspaces.commands",
    "Approval": "portward.model.approval",
    "Alert": "portward.protocols.alerts.record",
    "Channel": "portward.model.channel",
    "ConnectionHandle": "portward.node.sessions.connection_handle",
    "ConnectionInfo": "portward.node.sessions",
    "Decision": "portward.model.approval",
    "EngineUnavailable": "portward.engines.port",
    "EventError": "portward.protocols.socketio.server",
    "CommandError": "portward.model.errors",
    "ErrorKind": "portward.model.errors",
    "Gateway": "portward.app.gateway",
    "Position": "portward.model.position",
    "Settings": "portward.settings",
    "Severity": "portward.protocols.alerts.record",
    "Socket": "portward.protocols.socketio.server",
    "Verdict": "portward.model.approval",
}


_OLDER = {
    "Fault": "portward.model.errors.CommandError",
    "FaultKind": "portward.model.errors.ErrorKind",
}
"""Older names, which work for one release."""


def __getattr__(name: str) -> "Any":
    """Import a public name when it is first asked for: the client needs none of the server."""
    if name in _OLDER:
        from portward.model.renamed import older_names  # noqa: PLC0415 - only when needed

        return older_names("portward", _OLDER)(name)
    if name not in _HOMES:
        raise AttributeError(f"module 'portward' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - only when needed

    return getattr(import_module(_HOMES[name]), name)
