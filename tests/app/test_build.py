"""From settings to the parts of a node."""

import pytest
from msgspec.structs import replace

from portward.app import build
from portward.app.engines import make_engine
from portward.engines.memory import MemoryEngine
from portward.identity.jwks import JwksSource
from portward.model.claim_path import ClaimPath
from portward.security.tokens import KeySet, TokenRefused
from portward.settings import Secret, Settings
from portward.settings.sections import (
    EngineSettings,
    Environment,
    GateSettings,
    IdentityProviderSettings,
    ServerSettings,
)
from portward.settings.tokens import Claims, Tokens
from portward.telemetry import Telemetry
from portward.telemetry.events import Event
from portward.testing import FakeClock
from tests.house import settings
from tests.security.forge import SECRET, ec_key, forge, pem

CLOCK = FakeClock()


def test_engines() -> None:
    """The engine is the one the address names, and an unknown address is a mistake."""
    assert isinstance(make_engine(Settings(), CLOCK), MemoryEngine)
    with pytest.raises(ValueError, match="abacus"):
        make_engine(settings(engine=EngineSettings(url="abacus://")), CLOCK)


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
    assert rules.claims.subject == ClaimPath.parse("uid")
    assert rules.claims.workspace == ClaimPath.parse("tenant")
    assert rules.watched == (ClaimPath.parse("uid"), ClaimPath.parse("tenant"))


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


def test_gate_and_node_rules() -> None:
    """The gate's and the node's settings are carried over."""
    given = settings(
        environment=Environment.PRODUCTION,
        server=ServerSettings(behind_tls_proxy=True, trusted_proxies=("10.0.0.0/8",)),
        gate=GateSettings(max_connections=5, max_unauthenticated=3, max_per_user=2),
        tokens=Tokens(leeway=7.0, max_lifetime=60.0),
        roles={"host": ("room.create",)},
    )
    rules = build.node_rules(given)
    assert (rules.gate.max_connections, rules.gate.max_unauthenticated) == (5, 3)
    assert (rules.max_per_user, rules.leeway) == (2, 7.0)
    assert rules.role_permissions == {"host": {"room.create"}}
    assert rules.gate.require_https
    assert not build.gate_rules(settings(server=given.server)).require_https


def test_identity_provider(telemetry: Telemetry) -> None:
    """There is one where its address is set, and a malformed pattern is a mistake."""
    assert build.make_provider(Settings(), CLOCK, telemetry) is None
    given = IdentityProviderSettings(
        url="http://127.0.0.1:1", cookies=("*",), topics={"a:{id}": "/a/{id}"}
    )
    provider = build.make_provider(settings(identity_provider=given), CLOCK, telemetry)
    assert provider is not None
    named = build.make_provider(
        settings(identity_provider=replace(given, cookies=("a",))), CLOCK, telemetry
    )
    assert named is not None
    assert named._takes("a=1")
    assert not named._takes("a=j:1")
    assert provider._takes("a=j:1")
    broken = replace(given, topics={"a:{id": "/a"})
    with pytest.raises(ValueError, match=r"a:\{id"):
        build.make_provider(settings(identity_provider=broken), CLOCK, telemetry)
