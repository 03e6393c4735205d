"""Application of changed settings to a running node: all of them, or none."""

from portward.app import build, build_endpoints
from portward.app.declared_rooms import DeclaredRooms, declared
from portward.identity.provider import CookieProvider
from portward.identity.verifier import TokenVerifier
from portward.node.node import Node
from portward.node.rules import NodePorts
from portward.security.origin import OriginPolicy
from portward.settings import Settings


def apply(
    old: Settings, settings: Settings, ports: NodePorts, node: Node, rooms: DeclaredRooms
) -> None:
    """Make all new objects first, then replace the old ones together.

    Open sessions keep their identity; their rights are checked again.

    Raises:
        ValueError: a key, an origin or the id of a room is unusable; nothing was replaced.
    """
    verifier = None
    if settings.tokens != old.tokens:
        verifier = build.make_verifier(settings, ports.clock, ports.telemetry)
    endpoints = [
        (
            endpoint,
            build_endpoints.endpoint_rules(
                settings, endpoint.name, settings.endpoints[endpoint.name]
            ),
            OriginPolicy(
                settings.origins(settings.endpoints[endpoint.name]), production=settings.production
            ),
        )
        for endpoint in node.endpoints.values()
    ]
    before = build.upstreams(old)
    clients = {
        name: build.make_upstream(given)
        for name, given in build.upstreams(settings).items()
        if given != before[name]
    }
    limits = build_endpoints.make_limits(settings, ports.telemetry)
    records = declared(settings)
    provider, topics = ports.provider, settings.identity_provider.topics
    if isinstance(provider, CookieProvider):
        provider.adopt(topics)
    secret = settings.tokens.session_secret.reveal()
    if secret:
        ports.session_tokens.use(secret)
    if verifier is not None and isinstance(ports.verifier, TokenVerifier):
        ports.verifier.adopt(verifier)
    for name, upstream in clients.items():
        node.relays.use(name, upstream)
    for endpoint, rules, origins in endpoints:
        endpoint.rules, endpoint.origins = rules, origins
        endpoint.namespace = settings.namespaces.get(settings.endpoints[endpoint.name].namespace)
        endpoint.limits = limits[endpoint.name]
    node.adopt(build.node_rules(settings), build.make_namespaces(settings))
    node.background.run(rooms.declare(records))
