"""The relay protocol: clients use a realtime API through the gateway, which keeps its key."""

from portward.node.protocol_service import ProtocolRegistration
from portward.protocols.relay.legacy_events import LegacyRelayEvents
from portward.protocols.relay.protocol import RelayProtocol
from portward.protocols.relay.service import RelayService

PROTOCOL = ProtocolRegistration(
    name="relay",
    make=lambda _, __: RelayProtocol(),
    service=RelayService,
    observe=lambda settings, telemetry: LegacyRelayEvents(
        telemetry, exact=settings.log.older_names
    ),
)
