"""Settings become endpoints, with everything decided."""

from msgspec.structs import replace

from portward.app import build_endpoints
from portward.model.limits import DEFAULT_RATES, LimitName, Rate
from portward.node.sessions import Hooks
from portward.protocols.alerts.protocol import AlertsProtocol
from portward.protocols.echo import EchoProtocol
from portward.protocols.live.protocol import LiveProtocol
from portward.protocols.registry import PROTOCOLS
from portward.protocols.relay.protocol import RelayProtocol
from portward.protocols.rooms.protocol import RoomsProtocol
from portward.protocols.workspaces.protocol import WorkspacesProtocol
from portward.settings import Settings, resolve
from portward.settings.limits import Limits, RateLimit
from portward.settings.presets import ENDPOINTS
from portward.telemetry import Telemetry
from portward.testing import FakeClock
from tests.running_gateway import settings

CLOCK = FakeClock()


def test_dialects() -> None:
    """An endpoint speaks the dialect its settings name."""
    given = resolve(Settings())
    spoken = {
        "alerts": AlertsProtocol,
        "live": LiveProtocol,
        "rooms": RoomsProtocol,
        "realtime": RelayProtocol,
        "workspaces": WorkspacesProtocol,
        "echo": EchoProtocol,
    }
    assert spoken.keys() == given.endpoints.keys()
    registrations = {each.name: each for each in PROTOCOLS}
    for name, kind in spoken.items():
        endpoint = given.endpoints[name]
        assert isinstance(registrations[endpoint.dialect].make(endpoint, Hooks()), kind)


def test_limits_are_shared(telemetry: Telemetry) -> None:
    """A limit with the general rate is counted over all endpoints, one of its own alone."""
    own = Limits(messages=RateLimit(rate=Rate(600, 60.0, 600)))
    made = build_endpoints.make_limits(resolve(settings(rooms={"limits": own})), telemetry)
    assert made["rooms"][LimitName.AUTH] is made["echo"][LimitName.AUTH]
    assert made["rooms"][LimitName.MESSAGES] is not made["echo"][LimitName.MESSAGES]
    assert made["rooms"][LimitName.MESSAGES].rate.count == 600
    assert set(made["rooms"]) == set(DEFAULT_RATES)


def test_endpoints_by_path(telemetry: Telemetry) -> None:
    """Every endpoint that is switched on is found by its path."""
    given = settings(echo={"enabled": True})
    made = build_endpoints.make_endpoints(resolve(given), telemetry, CLOCK, Hooks())
    assert {path: endpoint.name for path, endpoint in made.items()} == {
        "/alerts": "alerts",
        "/live": "live",
        "/rooms": "rooms",
        "/realtime": "realtime",
        "/socket.io/": "workspaces",
        "/echo": "echo",
    }
    assert made["/rooms"].by_message
    assert not made["/echo"].by_message
    assert made["/echo"].namespace is None
    assert made["/rooms"].plain is not made["/rooms"].deflated


def test_what_is_switched_off_keeps_its_path_where_clients_know_it(telemetry: Telemetry) -> None:
    """Off, the presets of older servers stay (503); echo, added and renamed endpoints go (404)."""
    off = {name: replace(endpoint, enabled=False) for name, endpoint in ENDPOINTS.items()}
    added = {
        "chat": replace(ENDPOINTS["rooms"], enabled=False, path="/chat"),
        "calls": replace(ENDPOINTS["alerts"], enabled=False, path="/calls"),
        "board": replace(ENDPOINTS["workspaces"], enabled=False, path="/board/"),
        "voice": replace(ENDPOINTS["realtime"], enabled=False, path="/voice"),
    }
    moved = {"live": replace(ENDPOINTS["live"], enabled=False, path="/v2/live")}
    changed = {"rooms": replace(ENDPOINTS["alerts"], enabled=False, path="/rooms")}
    given = Settings(endpoints={**off, **added, **moved, **changed})
    made = build_endpoints.make_endpoints(resolve(given), telemetry, CLOCK, Hooks())
    assert set(made) == {"/alerts", "/v2/live", "/realtime", "/socket.io/"}
