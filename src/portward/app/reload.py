"""Application of changed settings to a running node: all of them, or none."""

from portward.app import build, build_endpoints
from portward.identity.provider import CookieProvider
from portward.identity.verifier import TokenVerifier
from portward.node.node import Node
from portward.node.rules import NodePorts
from portward.protocols.rooms.declared import DeclaredRooms, declared
from portward.security.origin import OriginPolicy
from portward.settings.resolve import ResolvedSettings


def apply(settings: ResolvedSettings, ports: NodePorts, node: Node, rooms: DeclaredRooms) -> None:
    """Make all new objects first, then replace the old ones together.

    Open sessions keep their identity; their rights are checked again.

    Raises:
        ValueError: a key, an origin or the id of a room is unusable; nothing was replaced.
    """
    old = node.settings
    verifier = None
    if settings.tokens != old.tokens:
        verifier = build.make_verifier(settings, ports.clock, ports.telemetry)
    origins = {
        name: OriginPolicy(endpoint.allowed_origins, production=settings.production)
        for name, endpoint in settings.endpoints.items()
    }
    changes = node.protocols.prepare(settings)
    limits = build_endpoints.make_limits(settings, ports.telemetry)
    records = declared(settings)
    if isinstance(ports.provider, CookieProvider):
        ports.provider.adopt(settings.identity_provider.topics)
    secret = settings.tokens.session_secret.reveal()
    if secret:
        ports.session_tokens.use(secret)
    if verifier is not None and isinstance(ports.verifier, TokenVerifier):
        ports.verifier.adopt(verifier)
    for change in changes:
        change()
    for endpoint in node.endpoints.values():
        endpoint.rules = settings.endpoints[endpoint.name]
        endpoint.namespace = settings.namespaces.get(endpoint.rules.namespace)
        endpoint.origins, endpoint.limits = origins[endpoint.name], limits[endpoint.name]
    node.adopt(settings)
    node.background.run(rooms.declare(records))
