"""The alerts protocol: supervisors follow calls; a call-analysis engine reports to the gateway."""

from portward.node.protocol_service import ProtocolRegistration
from portward.protocols.alerts import admin
from portward.protocols.alerts.protocol import AlertsProtocol

PROTOCOL = ProtocolRegistration(
    name="alerts",
    make=lambda endpoint, _: AlertsProtocol(endpoint.namespace or endpoint.dialect),
    admin_methods=(admin,),
)
