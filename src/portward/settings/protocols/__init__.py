"""The settings of each protocol: one module, and a line here."""

from typing import Final

from portward.settings.protocols.alerts import PRESET as ALERTS
from portward.settings.protocols.echo import PRESET as ECHO
from portward.settings.protocols.live import PRESET as LIVE
from portward.settings.protocols.preset import ProtocolPreset
from portward.settings.protocols.relay import PRESET as RELAY
from portward.settings.protocols.rooms import PRESET as ROOMS
from portward.settings.protocols.socketio import PRESET as SOCKETIO

PRESETS: Final[tuple[ProtocolPreset, ...]] = (
    ALERTS,
    LIVE,
    ROOMS,
    RELAY,
    SOCKETIO,
    ECHO,
)

__all__ = ["PRESETS", "ProtocolPreset"]
