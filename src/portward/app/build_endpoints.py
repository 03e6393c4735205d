"""Construction of endpoints from settings: protocol, rules and limits of each endpoint."""

from portward.hub.encoder import Encoder
from portward.model.clock import Clock
from portward.model.limits import LimitName
from portward.node.ports import Hooks
from portward.node.sessions import ActiveEndpoint, Limiter
from portward.protocols.alerts.protocol import AlertsProtocol
from portward.protocols.base import ClientProtocol, Ranking
from portward.protocols.echo import EchoProtocol
from portward.protocols.live.protocol import LiveProtocol
from portward.protocols.relay.protocol import RelayProtocol
from portward.protocols.rooms.protocol import RoomsProtocol
from portward.protocols.socketio import SocketIoProtocol
from portward.security.origin import OriginPolicy
from portward.settings.endpoint import Refuse
from portward.settings.presets import unknown_when_off
from portward.settings.resolve import Endpoint, ResolvedSettings
from portward.telemetry import Telemetry
from portward.wire import message as wire


def make_dialect(endpoint: Endpoint, hooks: Hooks) -> ClientProtocol:
    """Make the protocol of an endpoint."""
    namespace = endpoint.namespace or endpoint.dialect
    match endpoint.dialect:
        case "alerts":
            return AlertsProtocol(namespace)
        case "live":
            return LiveProtocol(namespace, lambda: namespace in hooks.takeover)
        case "relay":
            return RelayProtocol()
        case "socketio":
            return SocketIoProtocol(
                namespace,
                endpoint.room_kinds,
                tells_error=endpoint.refuse is Refuse.CONNECT_ERROR,
            )
        case "rooms":
            return RoomsProtocol(namespace, expose_email=endpoint.expose_email)
        case _:
            return EchoProtocol()


def make_endpoints(
    settings: ResolvedSettings, telemetry: Telemetry, clock: Clock, hooks: Hooks
) -> dict[str, ActiveEndpoint]:
    """Make the endpoints by path. Any other path is answered with 404."""

    def now() -> int:
        return int(clock.time() * 1000)

    limits = make_limits(settings, telemetry)
    made = {}
    for name, given in settings.endpoints.items():
        if not given.enabled and unknown_when_off(name, given):
            continue
        dialect = make_dialect(given, hooks)
        framing = wire.ENGINE if given.steady_ping else wire.PLAIN
        made[given.path] = ActiveEndpoint(
            rules=given,
            protocol=dialect,
            namespace=settings.namespaces.get(given.namespace),
            origins=OriginPolicy(given.allowed_origins, production=settings.production),
            limits=limits[name],
            framing=framing,
            plain=Encoder(name, dialect, framing.text, now, late=isinstance(dialect, Ranking)),
            deflated=Encoder(
                name, dialect, framing.deflated, now, late=isinstance(dialect, Ranking)
            ),
        )
    return made


def make_limits(
    settings: ResolvedSettings, telemetry: Telemetry
) -> dict[str, dict[LimitName, Limiter]]:
    """Make the limits by endpoint. An endpoint with its own limit counts alone, all others together."""
    general = settings.rates
    shared = {name: Limiter(name, rate, telemetry) for name, rate in general.items()}
    return {
        endpoint.name: {
            name: shared[name]
            if rate == general[name]
            else Limiter(name, rate, telemetry, endpoint.name)
            for name, rate in endpoint.rates.items()
        }
        for endpoint in settings.endpoints.values()
    }
