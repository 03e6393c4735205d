"""The composition root: builds a gateway from the concrete classes of all other packages."""

import sys
from types import ModuleType
from typing import Any, Final

from portward.app.gateway import Gateway
from portward.model.renamed import older_names

__all__ = ["Gateway"]

_PLACES: Final = {
    "alerts": {"Alerts": "portward.protocols.alerts.api.Alerts"},
    "analysis": {
        "EngineConnection": "portward.protocols.alerts.engine_connection.EngineConnection"
    },
    "live": {"Live": "portward.protocols.live.api.Live"},
    "rooms": {
        "Rooms": "portward.protocols.rooms.api.Rooms",
        "RoomStats": "portward.protocols.rooms.api.RoomStats",
    },
    "workspaces": {
        "SocketNamespace": "portward.protocols.workspaces.api.SocketNamespace",
        "Workspaces": "portward.protocols.workspaces.api.Workspaces",
    },
}
"""Older modules with their public names and the places of these now; they work for one release."""


def _older_module(name: str, names: dict[str, str]) -> ModuleType:
    module: Any = ModuleType(name, "Older names, for one release.")
    module.__getattr__ = older_names(name, names)
    return module  # type: ignore[no-any-return]


for _name, _names in _PLACES.items():
    sys.modules[f"{__name__}.{_name}"] = _older_module(f"{__name__}.{_name}", _names)
