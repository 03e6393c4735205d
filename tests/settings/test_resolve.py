"""Settings with every default applied, as a gateway runs with them."""

import pytest
from msgspec.structs import replace

from portward.model.claim_path import ClaimPath
from portward.model.limits import DEFAULT_RATES, LimitMode, LimitName, Rate
from portward.settings.endpoint import (
    AuthMode,
    CredentialSource,
    EndpointSettings,
    Refuse,
    TransportKind,
)
from portward.settings.limits import ConnectionLimit, Limits, RateLimit
from portward.settings.operation import LogFormat, LogSettings
from portward.settings.presets import ENDPOINTS
from portward.settings.resolve import Endpoint, resolve, with_defaults
from portward.settings.schema import entries
from portward.settings.secret import Secret
from portward.settings.sections import (
    Environment,
    GateSettings,
    IdentityProviderSettings,
    ServerSettings,
)
from portward.settings.tokens import Claims, Tokens
from portward.settings.tree import Settings
from portward.settings.upstream import UpstreamSettings

PRODUCTION = Settings(environment=Environment.PRODUCTION)
LEFT = {"rate", "burst", "mode", "max"}
"""Keys of the limits of one endpoint: unset ones are taken from `limits`, and `rates` has the result."""


def resolved(endpoint: EndpointSettings, settings: Settings | None = None) -> Endpoint:
    """One endpoint among the settings."""
    given = replace(settings or Settings(), endpoints={"x": endpoint})
    return resolve(given).endpoints["x"]


@pytest.mark.parametrize("settings", [Settings(), PRODUCTION])
def test_nothing_with_a_default_is_left_unset(settings: Settings) -> None:
    """Every key has a value, except those for which no value has a meaning of its own."""
    unset = {
        entry.path[-1]
        for entry in entries(resolve(settings))
        if entry.value is None and entry.path[-1] not in LEFT
    }
    assert unset <= {"auth_scheme", "sanitize"}


@pytest.mark.parametrize("settings", [Settings(), PRODUCTION])
def test_settings_are_resolved_once(settings: Settings) -> None:
    """Resolution of resolved settings changes nothing, and the written ones are kept."""
    once = resolve(settings)
    assert once.given is settings
    assert with_defaults(once) == once
    assert with_defaults(with_defaults(settings)) == with_defaults(settings)


@pytest.mark.parametrize(("settings", "seconds"), [(Settings(), 5.0), (PRODUCTION, 30.0)])
def test_the_drain_takes_longer_in_production(settings: Settings, seconds: float) -> None:
    """Unset, the environment decides; set, the setting does."""
    assert resolve(settings).server.drain_timeout == seconds
    own = replace(settings, server=ServerSettings(drain_timeout=0.0))
    assert resolve(own).server.drain_timeout == 0.0


def test_the_log_follows_the_environment() -> None:
    """Lines are for eyes in development; users are hashed in production."""
    here, there = resolve(Settings()).log, resolve(PRODUCTION).log
    assert (here.format, here.hash_users) == (LogFormat.CONSOLE, False)
    assert (there.format, there.hash_users) == (LogFormat.JSON, True)
    own = LogSettings(format=LogFormat.CONSOLE, hash_users=False)
    assert resolve(replace(PRODUCTION, log=own)).log == own


@pytest.mark.parametrize("settings", [Settings(), PRODUCTION])
def test_what_is_open_in_development_is_closed_in_production(settings: Settings) -> None:
    """E-mail and new rooms follow the environment until they are set."""
    rules = resolved(EndpointSettings(), settings)
    assert rules.expose_email is not settings.production
    assert rules.auto_create is not settings.production
    for choice in (True, False):
        own = EndpointSettings(expose_email=choice, auto_create=choice)
        rules = resolved(own, settings)
        assert (rules.expose_email, rules.auto_create) == (choice, choice)


COOKIES = EndpointSettings(credentials=(CredentialSource.COOKIE, CredentialSource.MESSAGE))
ALERTS = EndpointSettings(dialect="alerts")
LISTED = ("https://a.example",)


@pytest.mark.parametrize(
    ("endpoint", "origins", "admitted"),
    [
        (EndpointSettings(), (), True),
        (EndpointSettings(), LISTED, True),
        (ALERTS, (), True),
        (ALERTS, LISTED, False),
        (replace(ALERTS, allowed_origins=LISTED), (), False),
        (replace(ALERTS, allowed_origins=LISTED, allow_missing_origin=True), (), True),
        (COOKIES, (), False),
        (COOKIES, LISTED, False),
        (EndpointSettings(allow_missing_origin=False), (), False),
        (EndpointSettings(allow_missing_origin=True), LISTED, True),
    ],
)
def test_a_missing_origin_counts_by_what_is_at_stake(
    endpoint: EndpointSettings, origins: tuple[str, ...], admitted: bool
) -> None:
    """Cookies always want an origin, alerts where some are listed; a setting says it outright."""
    settings = Settings(gate=GateSettings(allowed_origins=origins))
    rules = resolved(endpoint, settings)
    assert rules.allow_missing_origin is admitted
    assert rules.allowed_origins == (endpoint.allowed_origins or origins)


def test_limits_of_an_endpoint() -> None:
    """An endpoint's own tables are laid over the general ones."""
    own = Limits(
        messages=RateLimit(rate=Rate(600, 60.0, 600)),
        connections=ConnectionLimit(max=7, mode=LimitMode.OBSERVE),
    )
    rules = resolved(EndpointSettings(limits=own))
    assert rules.rates == DEFAULT_RATES | {LimitName.MESSAGES: Rate(600, 60.0, 600)}
    assert (rules.connections_per_address, rules.connections_mode) == (7, LimitMode.OBSERVE)
    assert resolve(Settings()).rates == DEFAULT_RATES


def test_every_key_of_an_endpoint_is_kept() -> None:
    """What was written is what the gateway runs with, whatever the key."""
    given = EndpointSettings(
        max_connections=5,
        auth_timeout=3.0,
        idle_timeout=4.0,
        max_message=99,
        compression=True,
        auth=AuthMode.NONE,
        backpressure_threshold=4096,
        farewell=5.0,
        reconnect_url="wss://a.example",
    )
    rules = resolved(given)
    different = {
        name
        for name in EndpointSettings.__struct_fields__
        if getattr(rules, name) != getattr(given, name)
    }
    assert different == {"allow_missing_origin", "expose_email", "auto_create"}
    assert (rules.name, rules.authenticated) == ("x", False)


def test_cookies_are_named_where_they_are_taken() -> None:
    """Their names come from the table of the identity provider."""
    settings = Settings(identity_provider=IdentityProviderSettings(cookies=("sid",)))
    assert resolved(COOKIES, settings).cookies == ("sid",)
    assert resolved(ALERTS, settings).cookies == ()


def test_no_signature_without_being_asked() -> None:
    """A secret alone signs nothing; of an endpoint that is off and unknown, none signs."""
    secret = Secret("s" * 32)
    silent = EndpointSettings(sign_secret=secret, namespace="rooms")
    assert resolved(silent).sign_key == Secret()
    signing = replace(silent, sign_messages=True)
    assert resolved(signing).sign_key == Secret("s" * 32)
    given = Settings(endpoints={"x": signing})
    assert resolve(given).signing == {"rooms": Secret("s" * 32)}
    assert "sss" not in repr(resolve(given))
    off = Settings(endpoints={"x": replace(signing, enabled=False)})
    assert resolve(off).signing == {}


def test_facts_of_the_protocol_and_the_transport() -> None:
    """What several keys say together is computed once."""
    workspaces, realtime, rooms = (
        resolved(ENDPOINTS[name]) for name in ("workspaces", "realtime", "rooms")
    )
    assert workspaces.steady_ping
    assert not realtime.steady_ping
    assert realtime.subprotocols == {"realtime"}
    assert not rooms.subprotocols
    assert realtime.parameters == {"intent", "call_id"}
    assert resolved(replace(ENDPOINTS["rooms"], refuse=Refuse.CLOSE)).refuses_by_close
    assert not rooms.refuses_by_close
    polled = replace(ENDPOINTS["rooms"], transport=TransportKind.ENGINE_IO)
    assert resolved(polled).steady_ping


def test_upstreams_by_name() -> None:
    """The one without a name is that of the table `upstream`."""
    azure = UpstreamSettings(url="wss://azure.example")
    given = resolve(Settings(upstreams={"azure": azure}))
    assert given.relays == {"": UpstreamSettings(), "azure": azure}
    with pytest.raises(KeyError):
        resolved(replace(ENDPOINTS["realtime"], upstream="missing"))


def test_tokens() -> None:
    """Where a claim stands is parsed, and one in another place than the usual one is watched."""
    claims = Claims(sub="uid", workspace="a.b", email="")
    tokens = Tokens(issuer="me", leeway=5.0, claims=claims, require={"use": ("access",)})
    rules = resolve(Settings(tokens=tokens)).tokens
    assert (rules.issuer, rules.leeway) == ("me", 5.0)
    at = ClaimPath.parse
    assert (rules.paths["sub"], rules.paths["workspace"]) == (at("uid"), at("a.b"))
    assert rules.paths["jti"] == at("jti")
    assert rules.watched == (at("uid"), at("a.b"))
    assert rules.required == ((at("use"), ("access",)),)
    with pytest.raises(ValueError, match="leeway"):
        resolve(Settings(tokens=Tokens(leeway=61.0)))
