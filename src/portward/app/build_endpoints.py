"""Construction of endpoints from settings: protocol, rules and limits of each endpoint."""

from portward.hub.encoder import Encoder
from portward.model.clock import Clock
from portward.model.limits import LimitName
from portward.node.sessions import NO_OBSERVER, ActiveEndpoint, Hooks, Limiter
from portward.protocols.registry import PROTOCOLS
from portward.security.origin import OriginPolicy
from portward.settings.presets import unknown_when_off
from portward.settings.resolve import ResolvedSettings
from portward.telemetry import Telemetry
from portward.wire import message as wire


def make_endpoints(
    settings: ResolvedSettings, telemetry: Telemetry, clock: Clock, hooks: Hooks
) -> dict[str, ActiveEndpoint]:
    """Make the endpoints by path. Any other path is answered with 404."""
    limits = make_limits(settings, telemetry)
    registrations = {each.name: each for each in PROTOCOLS}
    made = {}
    for name, given in settings.endpoints.items():
        if not given.enabled and unknown_when_off(name, given):
            continue
        registration = registrations[given.dialect]
        protocol = registration.make(given, hooks)
        observe = registration.observe
        framing = wire.ENGINE if given.steady_ping else wire.PLAIN
        made[given.path] = ActiveEndpoint(
            rules=given,
            protocol=protocol,
            namespace=settings.namespaces.get(given.namespace),
            origins=OriginPolicy(given.allowed_origins, production=settings.production),
            limits=limits[name],
            framing=framing,
            plain=Encoder(name, protocol, framing.text, clock.time, late=protocol.ranked),
            deflated=Encoder(name, protocol, framing.deflated, clock.time, late=protocol.ranked),
            observer=NO_OBSERVER if observe is None else observe(settings, telemetry),
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
