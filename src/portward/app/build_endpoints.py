"""Construction of endpoints from settings: protocol, rules and limits of each endpoint."""

from typing import Final

from portward.hub.encoder import Encoder
from portward.model.clock import Clock
from portward.model.limits import LimitMode, LimitName, early_message
from portward.node.ports import Hooks
from portward.node.sessions import ActiveEndpoint, EndpointRules, Limiter
from portward.protocols.alerts import AlertsDialect
from portward.protocols.base import Dialect, Ranking
from portward.protocols.echo import EchoDialect
from portward.protocols.live import LiveDialect
from portward.protocols.relay import RelayDialect
from portward.protocols.rooms import RoomsDialect
from portward.protocols.socketio import SocketIoDialect
from portward.security.origin import OriginPolicy
from portward.security.subprotocols import REALTIME
from portward.settings import Settings
from portward.settings.endpoint import (
    AuthMode,
    CredentialSource,
    EndpointSettings,
    Refuse,
    TransportKind,
)
from portward.settings.presets import unknown_when_off
from portward.telemetry import Telemetry
from portward.wire import message as wire

RATES: Final = tuple(name for name in LimitName if name is not LimitName.CONNECTIONS)


def make_dialect(settings: Settings, endpoint: EndpointSettings, hooks: Hooks) -> Dialect:
    """Make the protocol of an endpoint."""
    namespace = endpoint.namespace or endpoint.dialect
    match endpoint.dialect:
        case "alerts":
            return AlertsDialect(namespace)
        case "live":
            return LiveDialect(namespace, lambda: namespace in hooks.takeover)
        case "relay":
            return RelayDialect()
        case "socketio":
            return SocketIoDialect(
                namespace,
                endpoint.room_kinds,
                tells_error=endpoint.refuse is Refuse.CONNECT_ERROR,
            )
        case "rooms":
            return RoomsDialect(namespace, expose_email=settings.exposes_email(endpoint))
        case _:
            return EchoDialect()


def subprotocols(endpoint: EndpointSettings) -> frozenset[str]:
    """Return the WebSocket subprotocols of an endpoint, with that of the SDKs that send a token in one."""
    known = endpoint.dialect == "relay" or CredentialSource.SUBPROTOCOL in endpoint.credentials
    return frozenset({REALTIME}) if known else frozenset()


def endpoint_rules(settings: Settings, name: str, endpoint: EndpointSettings) -> EndpointRules:
    """Make the rules of an endpoint, with all defaults filled in."""
    connections = settings.connection_limit(endpoint)
    secret = endpoint.sign_secret.encode() if endpoint.sign_messages else b""
    return EndpointRules(
        name=name,
        path=endpoint.path,
        enabled=endpoint.enabled,
        authenticated=endpoint.auth is not AuthMode.NONE,
        credentials=frozenset(kind.value for kind in endpoint.credentials),
        allow_missing_origin=settings.admits_missing_origin(endpoint),
        max_connections=endpoint.max_connections,
        max_message=endpoint.max_message,
        max_early=early_message(settings.tokens.max_size),
        compression=endpoint.compression,
        auth_timeout=endpoint.auth_timeout,
        idle_timeout=endpoint.idle_timeout,
        ping_interval=endpoint.ping_interval,
        pong_timeout=endpoint.pong_timeout,
        roles=frozenset(endpoint.roles),
        auto_create=settings.creates_rooms(endpoint),
        sign_secret=secret,
        cookies=settings.identity_provider.cookies if endpoint.takes_cookies else (),
        max_unsent=endpoint.backpressure_threshold,
        farewell=endpoint.farewell,
        reconnect_url=endpoint.reconnect_url,
        steady_ping=endpoint.transport is TransportKind.ENGINE_IO,
        deferred=endpoint.dialect == "socketio",
        bind_address=endpoint.bind_address,
        relays=endpoint.dialect == "relay",
        refuses_by_close=endpoint.refuse is Refuse.CLOSE,
        allowed_headers=endpoint.allowed_headers,
        subprotocols=subprotocols(endpoint),
        upstream=endpoint.upstream,
        parameters=settings.upstream_of(endpoint).passed,
        auth_attempts=endpoint.auth_attempts,
        connections_per_address=connections.max or 0,
        connections_mode=connections.mode or LimitMode.ENFORCE,
    )


def make_endpoints(
    settings: Settings, telemetry: Telemetry, clock: Clock, hooks: Hooks
) -> dict[str, ActiveEndpoint]:
    """Make the endpoints by path. Any other path is answered with 404."""

    def now() -> int:
        return int(clock.time() * 1000)

    limits = make_limits(settings, telemetry)
    made = {}
    for name, given in settings.endpoints.items():
        if not given.enabled and unknown_when_off(name, given):
            continue
        dialect = make_dialect(settings, given, hooks)
        framing = wire.ENGINE if given.transport is TransportKind.ENGINE_IO else wire.PLAIN
        made[given.path] = ActiveEndpoint(
            rules=endpoint_rules(settings, name, given),
            dialect=dialect,
            namespace=settings.namespaces.get(given.namespace),
            origins=OriginPolicy(settings.origins(given), production=settings.production),
            limits=limits[name],
            framing=framing,
            plain=Encoder(name, dialect, framing.text, now, late=isinstance(dialect, Ranking)),
            deflated=Encoder(
                name, dialect, framing.deflated, now, late=isinstance(dialect, Ranking)
            ),
        )
    return made


def make_limits(settings: Settings, telemetry: Telemetry) -> dict[str, dict[LimitName, Limiter]]:
    """Make the limits by endpoint. An endpoint with its own limit counts alone, all others together."""
    general = {name: settings.rate(name, EndpointSettings()) for name in RATES}
    shared = {name: Limiter(name, rate, telemetry) for name, rate in general.items()}
    made: dict[str, dict[LimitName, Limiter]] = {}
    for endpoint, given in settings.endpoints.items():
        rates = {name: settings.rate(name, given) for name in RATES}
        made[endpoint] = {
            name: shared[name]
            if rate == general[name]
            else Limiter(name, rate, telemetry, endpoint)
            for name, rate in rates.items()
        }
    return made
