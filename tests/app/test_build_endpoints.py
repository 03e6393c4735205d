"""Settings become front doors, with everything decided."""

import pytest
from msgspec.structs import replace

from portward.app import build_endpoints
from portward.model.limits import DEFAULT_RATES, LimitMode, LimitName, Rate
from portward.node.ports import Hooks
from portward.protocols.alerts import AlertsDialect
from portward.protocols.echo import EchoDialect
from portward.protocols.live import LiveDialect
from portward.protocols.relay import RelayDialect
from portward.protocols.rooms import RoomsDialect
from portward.protocols.socketio import SocketIoDialect
from portward.settings import Secret, Settings
from portward.settings.endpoint import AuthMode
from portward.settings.limits import ConnectionLimit, Limits, RateLimit
from portward.settings.presets import ENDPOINTS
from portward.settings.sections import Environment, IdentityProviderSettings
from portward.telemetry import Telemetry
from portward.testing import FakeClock
from tests.house import settings

CLOCK = FakeClock()


def test_dialects() -> None:
    """An endpoint speaks the dialect its settings name."""
    given = Settings()
    spoken = {
        "alerts": AlertsDialect,
        "live": LiveDialect,
        "rooms": RoomsDialect,
        "realtime": RelayDialect,
        "workspaces": SocketIoDialect,
        "echo": EchoDialect,
    }
    assert spoken.keys() == given.endpoints.keys()
    for name, kind in spoken.items():
        assert isinstance(build_endpoints.make_dialect(given, given.endpoints[name], Hooks()), kind)


def test_rules_of_an_endpoint() -> None:
    """An endpoint's rules leave nothing to decide."""
    limits = Limits(connections=ConnectionLimit(max=7, mode=LimitMode.OBSERVE))
    given = settings(
        rooms={
            "max_connections": 5, "auth_timeout": 3.0, "idle_timeout": 4.0, "max_message": 99,
            "compression": True, "auth": AuthMode.NONE, "limits": limits, "sign_messages": True,
            "sign_secret": Secret("s" * 32), "allow_missing_origin": False,
        }
    )  # fmt: skip
    rules = build_endpoints.endpoint_rules(given, "rooms", given.endpoints["rooms"])
    assert (rules.name, rules.path, rules.enabled) == ("rooms", "/rooms", True)
    assert (rules.max_connections, rules.auth_timeout, rules.idle_timeout) == (5, 3.0, 4.0)
    assert (rules.max_message, rules.compression, rules.authenticated) == (99, True, False)
    assert (rules.connections_per_address, rules.connections_mode) == (7, LimitMode.OBSERVE)
    assert (rules.sign_secret, rules.allow_missing_origin) == (b"s" * 32, False)
    assert rules.credentials == {"message"}
    assert (rules.cookies, rules.max_unsent, rules.farewell) == ((), 1024 * 1024, 0.0)


def test_rules_of_the_other_endpoints() -> None:
    """Cookies are named where they are taken; what a close waits for, and where to, is carried over."""
    live = replace(ENDPOINTS["live"], backpressure_threshold=4096)
    alerts = replace(ENDPOINTS["alerts"], reconnect_url="wss://a.example")
    provider = IdentityProviderSettings(cookies=("sid",))
    given = Settings(endpoints={"live": live, "alerts": alerts}, identity_provider=provider)
    rules = build_endpoints.endpoint_rules(given, "live", live)
    assert (rules.cookies, rules.max_unsent, rules.allow_missing_origin) == (("sid",), 4096, False)
    rules = build_endpoints.endpoint_rules(given, "alerts", alerts)
    assert (rules.cookies, rules.farewell, rules.reconnect_url) == ((), 5.0, "wss://a.example")
    assert rules.allow_missing_origin


@pytest.mark.parametrize("environment", list(Environment))
def test_defaults_by_environment(environment: Environment) -> None:
    """Making rooms by joining is for development."""
    given = settings(environment=environment)
    rules = build_endpoints.endpoint_rules(given, "rooms", given.endpoints["rooms"])
    assert rules.auto_create is (environment is Environment.DEVELOPMENT)


def test_no_signature_without_being_asked() -> None:
    """A secret alone signs nothing."""
    given = settings(rooms={"sign_secret": Secret("s" * 32)})
    assert (
        build_endpoints.endpoint_rules(given, "rooms", given.endpoints["rooms"]).sign_secret == b""
    )


def test_limits_are_shared(telemetry: Telemetry) -> None:
    """A limit with the general rate is counted over all endpoints, one of its own alone."""
    own = Limits(messages=RateLimit(rate=Rate(600, 60.0, 600)))
    made = build_endpoints.make_limits(settings(rooms={"limits": own}), telemetry)
    assert made["rooms"][LimitName.AUTH] is made["echo"][LimitName.AUTH]
    assert made["rooms"][LimitName.MESSAGES] is not made["echo"][LimitName.MESSAGES]
    assert made["rooms"][LimitName.MESSAGES].rate.count == 600
    assert set(made["rooms"]) == set(DEFAULT_RATES)


def test_endpoints_by_path(telemetry: Telemetry) -> None:
    """Every endpoint that is switched on is found by its path."""
    given = settings(echo={"enabled": True})
    made = build_endpoints.make_endpoints(given, telemetry, CLOCK, Hooks())
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
    made = build_endpoints.make_endpoints(given, telemetry, CLOCK, Hooks())
    assert set(made) == {"/alerts", "/v2/live", "/realtime", "/socket.io/"}
