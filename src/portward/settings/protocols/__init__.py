"""The settings of each protocol: one module, and a line here."""

from typing import Final

from portward.settings.protocols import alerts, echo, live, relay, rooms, socketio
from portward.settings.protocols.preset import ProtocolPreset

PRESETS: Final[tuple[ProtocolPreset, ...]] = (
    alerts.PRESET,
    live.PRESET,
    rooms.PRESET,
    relay.PRESET,
    socketio.PRESET,
    echo.PRESET,
)

__all__ = ["PRESETS", "ProtocolPreset"]
