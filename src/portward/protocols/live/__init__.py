"""The live protocol: web pages follow topics, authenticated by the cookie of their site."""

from portward.node.protocol_service import ProtocolRegistration
from portward.node.sessions import Hooks
from portward.protocols.live.protocol import LiveProtocol
from portward.protocols.live.service import TAKEOVER, LiveService
from portward.settings.resolve import Endpoint


def _make(endpoint: Endpoint, hooks: Hooks) -> LiveProtocol:
    namespace = endpoint.namespace or endpoint.dialect
    return LiveProtocol(namespace, lambda: (TAKEOVER, namespace) in hooks.handlers)


PROTOCOL = ProtocolRegistration(name="live", make=_make, service=LiveService)
