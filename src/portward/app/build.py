"""From settings to a node: every concrete class is named here, and nowhere else."""

import secrets as random
from collections.abc import Mapping
from typing import Final

from portward.dialects.echo import EchoDialect
from portward.dialects.port import Dialect
from portward.dialects.rooms import RoomsDialect
from portward.engines.memory import MemoryEngine
from portward.engines.port import Engine
from portward.hub.voice import Voice
from portward.identity.jwks import JwksSource
from portward.identity.question import HttpQuestion
from portward.identity.verifier import TokenVerifier
from portward.model.clock import Clock
from portward.model.limits import LimitMode, LimitName
from portward.model.namespace import Namespace
from portward.node.admission import GateRules
from portward.node.endpoint import Endpoint, EndpointRules
from portward.node.limits import Limiter
from portward.node.node import Node, NodePorts, NodeRules
from portward.node.operations import REVOCATION_TTL
from portward.node.ports import Hooks
from portward.security.address import AddressRules
from portward.security.hosts import HostPolicy
from portward.security.origin import OriginPolicy
from portward.security.session_tokens import SessionTokens
from portward.security.tokens import ClaimNames, KeySet, TokenRules, public_key, secret_key
from portward.settings import Settings
from portward.settings.endpoint import AuthMode
from portward.settings.endpoint import Endpoint as EndpointSettings
from portward.settings.sections import Tokens
from portward.telemetry import Telemetry
from portward.telemetry.events import Event
from portward.wire import message as wire

RATES: Final = tuple(name for name in LimitName if name is not LimitName.CONNECTIONS)


def make_engine(settings: Settings, clock: Clock) -> Engine:
    """The engine that `engine.url` names.

    Raises:
        ValueError: this version has no such engine.
    """
    scheme = settings.engine.url.partition(":")[0]
    if scheme != "memory":
        raise ValueError(f"engine.url: no engine {scheme!r} in this version; there is memory://")
    return MemoryEngine(clock)


def make_keys(tokens: Tokens, clock: Clock) -> KeySet | JwksSource:
    """What tokens are verified with: shared secrets, public keys, or a key set to be fetched.

    Raises:
        ValueError: a key is unusable, or kinds are mixed.
    """
    if tokens.jwks_url:
        return JwksSource(tokens.jwks_url, clock, issuer=tokens.issuer)
    keys = [secret_key(secret.reveal()) for secret in tokens.secrets]
    keys += [public_key(pem) for pem in tokens.public_keys]
    return KeySet(keys, issuer=tokens.issuer)


def token_rules(tokens: Tokens) -> TokenRules:
    """What a token must say."""
    claims = tokens.claims
    return TokenRules(
        issuer=tokens.issuer,
        audience=tokens.audience,
        leeway=tokens.leeway,
        max_lifetime=tokens.max_lifetime,
        claims=ClaimNames(
            subject=claims.sub,
            email=claims.email,
            roles=claims.roles,
            permissions=claims.permissions,
            workspace=claims.workspace,
            token_id=claims.jti,
            session_id=claims.sid,
            channels=claims.channels,
        ),
    )


def make_verifier(settings: Settings, clock: Clock, telemetry: Telemetry) -> TokenVerifier:
    """The verifier of access tokens."""

    def ignored(headers: tuple[str, ...]) -> None:
        telemetry.record(Event.TOKEN_HEADER_IGNORED, header=",".join(headers))

    keys = make_keys(settings.tokens, clock)
    return TokenVerifier(keys, token_rules(settings.tokens), clock, ignored)


def make_session_tokens(settings: Settings) -> SessionTokens:
    """The signer of session tokens; without a secret of its own one is made for this run."""
    return SessionTokens(settings.tokens.session_secret.reveal() or random.token_hex(32))


def make_dialect(settings: Settings, endpoint: EndpointSettings) -> Dialect:
    """The dialect an endpoint speaks."""
    if endpoint.dialect == "echo":
        return EchoDialect()
    return RoomsDialect(
        endpoint.namespace or "rooms", expose_email=settings.exposes_email(endpoint)
    )


def endpoint_rules(settings: Settings, name: str, endpoint: EndpointSettings) -> EndpointRules:
    """The settings of an endpoint with everything decided."""
    connections = settings.connection_limit(endpoint)
    secret = endpoint.sign_secret.encode() if endpoint.sign_messages else b""
    return EndpointRules(
        name=name,
        path=endpoint.path,
        enabled=endpoint.enabled,
        authenticated=endpoint.auth is not AuthMode.NONE,
        credentials=frozenset(kind.value for kind in endpoint.credentials),
        allow_missing_origin=endpoint.allow_missing_origin,
        max_connections=endpoint.max_connections,
        max_message=endpoint.max_message,
        compression=endpoint.compression,
        auth_timeout=endpoint.auth_timeout,
        idle_timeout=endpoint.idle_timeout,
        ping_interval=endpoint.ping_interval,
        pong_timeout=endpoint.pong_timeout,
        roles=frozenset(endpoint.roles),
        auto_create=settings.creates_rooms(endpoint),
        sign_secret=secret,
        connections_per_address=connections.max or 0,
        connections_mode=connections.mode or LimitMode.ENFORCE,
    )


def make_endpoints(settings: Settings, telemetry: Telemetry, clock: Clock) -> dict[str, Endpoint]:
    """The front doors by path."""

    def now() -> int:
        return int(clock.time() * 1000)

    limits = make_limits(settings, telemetry)
    made = {}
    for name, given in settings.endpoints.items():
        dialect = make_dialect(settings, given)
        made[given.path] = Endpoint(
            rules=endpoint_rules(settings, name, given),
            dialect=dialect,
            namespace=settings.namespaces.get(given.namespace),
            origins=OriginPolicy(settings.origins(given), production=settings.production),
            limits=limits[name],
            plain=Voice(name, dialect, wire.text, now),
            deflated=Voice(name, dialect, wire.deflated, now),
        )
    return made


def make_limits(settings: Settings, telemetry: Telemetry) -> dict[str, dict[LimitName, Limiter]]:
    """The limits by endpoint. One with a limit of its own counts alone, all others together."""
    general = {name: settings.rate(name, EndpointSettings()) for name in RATES}
    shared = {name: Limiter(name, rate, telemetry) for name, rate in general.items()}
    made: dict[str, dict[LimitName, Limiter]] = {}
    for endpoint, given in settings.endpoints.items():
        rates = {name: settings.rate(name, given) for name in RATES}
        made[endpoint] = {
            name: shared[name] if rate == general[name] else Limiter(name, rate, telemetry)
            for name, rate in rates.items()
        }
    return made


def gate_rules(settings: Settings) -> GateRules:
    """The settings of the gate with everything decided."""
    server, gate = settings.server, settings.gate
    return GateRules(
        addresses=AddressRules(server.trusted_proxies, server.forwarded_header),
        hosts=HostPolicy(server.allowed_hosts),
        max_connections=gate.max_connections,
        max_unauthenticated=gate.max_unauthenticated,
        accept_rate=gate.accept_rate,
        require_https=settings.production and server.behind_tls_proxy,
    )


def node_rules(settings: Settings) -> NodeRules:
    """The settings of the node with everything decided."""
    return NodeRules(
        gate=gate_rules(settings),
        leeway=settings.tokens.leeway,
        max_per_user=settings.gate.max_per_user,
        revocation_ttl=settings.tokens.max_lifetime or REVOCATION_TTL,
        role_permissions={name: frozenset(each) for name, each in settings.roles.items()},
    )


def make_namespaces(settings: Settings) -> Mapping[str, Namespace]:
    """The families of channels by name."""
    return dict(settings.namespaces)


def make_ports(
    settings: Settings, engine: Engine | None, clock: Clock, telemetry: Telemetry
) -> NodePorts:
    """What the node is handed."""
    return NodePorts(
        engine=engine or make_engine(settings, clock),
        verifier=make_verifier(settings, clock, telemetry),
        question=HttpQuestion(),
        session_tokens=make_session_tokens(settings),
        telemetry=telemetry,
        clock=clock,
    )


def make_node(settings: Settings, ports: NodePorts, hooks: Hooks) -> Node:
    """The node, not started. The event loop must run."""
    endpoints = make_endpoints(settings, ports.telemetry, ports.clock)
    return Node(node_rules(settings), ports, endpoints, make_namespaces(settings), hooks)
