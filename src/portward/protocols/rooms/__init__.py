"""The rooms protocol: users talk in rooms that have records with rights."""

from portward.node.protocol_service import ProtocolRegistration
from portward.protocols.rooms.protocol import RoomsProtocol

PROTOCOL = ProtocolRegistration(
    name="rooms",
    make=lambda endpoint, _: RoomsProtocol(
        endpoint.namespace or endpoint.dialect, expose_email=endpoint.expose_email
    ),
)
