"""Older names of `portward.protocols` and its modules, for one release."""

import sys
from types import ModuleType
from typing import Any, Final

from portward.model.renamed import older_names

_HOME: Final = "portward.protocols"
_MODULES: Final = {
    "port": {"Dialect": f"{_HOME}.base.ClientProtocol"},
    "base": {"Dialect": f"{_HOME}.base.ClientProtocol"},
    "alerts": {"AlertsDialect": f"{_HOME}.alerts.protocol.AlertsProtocol"},
    "echo": {"EchoDialect": f"{_HOME}.echo.EchoProtocol"},
    "live": {"LiveDialect": f"{_HOME}.live.protocol.LiveProtocol"},
    "relay": {"RelayDialect": f"{_HOME}.relay.protocol.RelayProtocol"},
    "rooms": {"RoomsDialect": f"{_HOME}.rooms.protocol.RoomsProtocol"},
    "socketio": {"SocketIoDialect": f"{_HOME}.workspaces.protocol.WorkspacesProtocol"},
    "strict_json": {"parse": "portward.security.strict_json.parse"},
}
"""The public names of each older module, and their places now."""


def _older_module(name: str, names: dict[str, str]) -> ModuleType:
    module: Any = ModuleType(name, "Older names, for one release.")
    module.__getattr__ = older_names(name, names)
    return module  # type: ignore[no-any-return]


for _name, _names in _MODULES.items():
    sys.modules[f"{__name__}.{_name}"] = _older_module(f"{__name__}.{_name}", _names)
