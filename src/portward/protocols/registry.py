"""All protocols. A new one is a folder with a registration, and a line here."""

from typing import Final

from portward.node.protocol_service import ProtocolRegistration
from portward.protocols import alerts, echo, live, relay, rooms, workspaces

PROTOCOLS: Final[tuple[ProtocolRegistration, ...]] = (
    alerts.PROTOCOL,
    live.PROTOCOL,
    rooms.PROTOCOL,
    relay.PROTOCOL,
    workspaces.PROTOCOL,
    echo.PROTOCOL,
)
