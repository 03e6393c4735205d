"""What the module of a protocol imports of the node."""

from portward.node.protocol_service import ProtocolRegistration, ProtocolService
from portward.node.sessions import ClientProtocol, ProtocolViolation

__all__ = ["ClientProtocol", "ProtocolRegistration", "ProtocolService", "ProtocolViolation"]
