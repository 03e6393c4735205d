"""All protocols. A new one is a folder with a registration, and a line here."""

from typing import Final

from portward.node.protocol_service import ProtocolRegistration
from portward.protocols.alerts import PROTOCOL as ALERTS
from portward.protocols.echo import PROTOCOL as ECHO
from portward.protocols.live import PROTOCOL as LIVE
from portward.protocols.relay import PROTOCOL as RELAY
from portward.protocols.rooms import PROTOCOL as ROOMS
from portward.protocols.workspaces import PROTOCOL as SOCKETIO

PROTOCOLS: Final[tuple[ProtocolRegistration, ...]] = (
    ALERTS,
    LIVE,
    ROOMS,
    RELAY,
    SOCKETIO,
    ECHO,
)
