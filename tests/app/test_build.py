"""From settings to the parts of a node."""

from collections.abc import Iterator
from io import StringIO

import pytest
from msgspec.structs import replace

from portward.app import build
from portward.app.tell import make_telemetry
from portward.dialects.echo import EchoDialect
from portward.dialects.rooms import RoomsDialect
from portward.engines.memory import MemoryEngine
from portward.identity.jwks import JwksSource
from portward.model.limits import DEFAULT_RATES, LimitMode, LimitName, Rate
from portward.security.tokens import KeySet, TokenRefused
from portward.settings import Secret, Settings
from portward.settings.endpoint import AuthMode
from portward.settings.limits import ConnectionLimit, Limits, RateLimit
from portward.settings.sections import Claims, Engine, Environment, Gate, Server, Tokens
from portward.telemetry import Telemetry
from portward.telemetry.events import Event
from portward.testing import FakeClock
from tests.house import settings
from tests.security.forge import SECRET, ec_key, forge, pem

CLOCK = FakeClock()


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    """Where the parts tell what they do."""
    telemetry = make_telemetry(Settings(), CLOCK, StringIO())
    yield telemetry
    telemetry.close()


def test_engines() -> None:
    """The engine is the one the address names, and an unknown address is a mistake."""
    assert isinstance(build.make_engine(Settings(), CLOCK), MemoryEngine)
    with pytest.raises(ValueError, match="abacus"):
        build.make_engine(settings(engine=Engine(url="abacus://")), CLOCK)


def test_keys() -> None:
    """Secrets and public keys are held, a key set is fetched, and a bad key is a mistake."""
    assert isinstance(build.make_keys(Tokens(secrets=(Secret(SECRET),)), CLOCK), KeySet)
    public = Tokens(public_keys=(pem(ec_key()).decode(),), issuer="me")
    keys = build.make_keys(public, CLOCK)
    assert isinstance(keys, KeySet)
    assert keys.issuer == "me"
    remote = build.make_keys(Tokens(jwks_url="https://idp.example/keys", issuer="me"), CLOCK)
    assert isinstance(remote, JwksSource)
    with pytest.raises(ValueError, match=r"."):
        build.make_keys(Tokens(public_keys=("nonsense",)), CLOCK)


def test_token_rules() -> None:
    """What a token must say, and under which names, is as it was set."""
    names = Claims(sub="uid", workspace="tenant")
    tokens = Tokens(issuer="me", audience="app", leeway=5.0, max_lifetime=60.0, claims=names)
    rules = build.token_rules(tokens)
    assert (rules.issuer, rules.audience, rules.leeway, rules.max_lifetime) == ("me", "app", 5, 60)
    assert (rules.claims.subject, rules.claims.workspace) == ("uid", "tenant")


async def test_verifier(telemetry: Telemetry) -> None:
    """A token that brings its own key is told of by the name of the header."""
    given = replace(Settings(), tokens=Tokens(secrets=(Secret(SECRET),)))
    verifier = build.make_verifier(given, CLOCK, telemetry)
    token = forge(header={"alg": "HS256", "jku": "https://evil.example"}, exp=4_000_000_000)
    assert (await verifier.identify(token)).subject == "alice"
    [entry] = telemetry.audit.recent()
    assert entry.event == Event.TOKEN_HEADER_IGNORED.value
    assert entry.fields["header"] == "jku"


def test_session_tokens() -> None:
    """Session tokens have a secret of their own, made for the run where none is set."""
    first, second = (build.make_session_tokens(Settings()) for _ in range(2))
    token = first.issue("ann", "s", CLOCK.time(), token_id="j")
    assert first.verify(token, CLOCK.time()).subject == "ann"
    with pytest.raises(TokenRefused):
        second.verify(token, CLOCK.time())
    fixed = replace(Settings(), tokens=Tokens(session_secret=Secret(SECRET)))
    token = build.make_session_tokens(fixed).issue("ann", "s", CLOCK.time(), token_id="j")
    assert build.make_session_tokens(fixed).verify(token, CLOCK.time()).token_id == "j"


def test_dialects() -> None:
    """An endpoint speaks the dialect its settings name."""
    given = Settings()
    assert isinstance(build.make_dialect(given, given.endpoints["rooms"]), RoomsDialect)
    assert isinstance(build.make_dialect(given, given.endpoints["echo"]), EchoDialect)


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
    rules = build.endpoint_rules(given, "rooms", given.endpoints["rooms"])
    assert (rules.name, rules.path, rules.enabled) == ("rooms", "/rooms", True)
    assert (rules.max_connections, rules.auth_timeout, rules.idle_timeout) == (5, 3.0, 4.0)
    assert (rules.max_message, rules.compression, rules.authenticated) == (99, True, False)
    assert (rules.connections_per_address, rules.connections_mode) == (7, LimitMode.OBSERVE)
    assert (rules.sign_secret, rules.allow_missing_origin) == (b"s" * 32, False)
    assert rules.credentials == {"message"}


@pytest.mark.parametrize("environment", list(Environment))
def test_defaults_by_environment(environment: Environment) -> None:
    """Making rooms by joining is for development."""
    given = settings(environment=environment)
    rules = build.endpoint_rules(given, "rooms", given.endpoints["rooms"])
    assert rules.auto_create is (environment is Environment.DEVELOPMENT)


def test_no_signature_without_being_asked() -> None:
    """A secret alone signs nothing."""
    given = settings(rooms={"sign_secret": Secret("s" * 32)})
    assert build.endpoint_rules(given, "rooms", given.endpoints["rooms"]).sign_secret == b""


def test_limits_are_shared(telemetry: Telemetry) -> None:
    """A limit with the general rate is counted over all endpoints, one of its own alone."""
    own = Limits(messages=RateLimit(rate=Rate(600, 60.0, 600)))
    made = build.make_limits(settings(rooms={"limits": own}), telemetry)
    assert made["rooms"][LimitName.AUTH] is made["echo"][LimitName.AUTH]
    assert made["rooms"][LimitName.MESSAGES] is not made["echo"][LimitName.MESSAGES]
    assert made["rooms"][LimitName.MESSAGES].rate.count == 600
    assert set(made["rooms"]) == set(DEFAULT_RATES)


def test_gate_and_node_rules() -> None:
    """The gate's and the node's settings are carried over."""
    given = settings(
        environment=Environment.PRODUCTION,
        server=Server(behind_tls_proxy=True, trusted_proxies=("10.0.0.0/8",)),
        gate=Gate(max_connections=5, max_unauthenticated=3, max_per_user=2),
        tokens=Tokens(leeway=7.0, max_lifetime=60.0),
        roles={"host": ("room.create",)},
    )
    rules = build.node_rules(given)
    assert (rules.gate.max_connections, rules.gate.max_unauthenticated) == (5, 3)
    assert (rules.max_per_user, rules.leeway, rules.revocation_ttl) == (2, 7.0, 60.0)
    assert rules.role_permissions == {"host": {"room.create"}}
    assert rules.gate.require_https
    assert not build.gate_rules(settings(server=given.server)).require_https


def test_endpoints_by_path(telemetry: Telemetry) -> None:
    """Every endpoint is found by its path, switched on or not."""
    made = build.make_endpoints(Settings(), telemetry, CLOCK)
    assert {path: endpoint.name for path, endpoint in made.items()} == {
        "/rooms": "rooms",
        "/echo": "echo",
    }
    assert made["/rooms"].by_message
    assert not made["/echo"].by_message
    assert made["/echo"].namespace is None
    assert made["/rooms"].plain is not made["/rooms"].deflated
