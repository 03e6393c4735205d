import pytest
from msgspec.structs import replace

from portward.model.limits import LimitMode, LimitName, Rate
from portward.settings.endpoint import CredentialSource, EndpointSettings
from portward.settings.limits import ConnectionLimit, Limits, RateLimit
from portward.settings.operation import LogFormat, LogSettings
from portward.settings.sections import Environment, GateSettings, ServerSettings
from portward.settings.tree import Settings

PRODUCTION = Settings(environment=Environment.PRODUCTION)


def test_nothing_set_is_development_on_this_machine() -> None:
    """The bare tree listens on the loopback address alone."""
    settings = Settings()
    assert not settings.production
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8080)
    assert (settings.server.admin_host, settings.server.admin_port) == ("127.0.0.1", 8081)
    assert (settings.engine.url, settings.engine_url) == (None, "memory://")


@pytest.mark.parametrize(("settings", "seconds"), [(Settings(), 5.0), (PRODUCTION, 30.0)])
def test_the_drain_takes_longer_in_production(settings: Settings, seconds: float) -> None:
    """Unset, the environment decides; set, the setting does."""
    assert settings.drain_timeout == seconds
    assert replace(settings, server=ServerSettings(drain_timeout=0.0)).drain_timeout == 0.0


def test_the_log_follows_the_environment() -> None:
    """Lines are for eyes in development; users are hashed in production."""
    assert (Settings().log_format, Settings().hash_users) == (LogFormat.CONSOLE, False)
    assert (PRODUCTION.log_format, PRODUCTION.hash_users) == (LogFormat.JSON, True)
    own = replace(PRODUCTION, log=LogSettings(format=LogFormat.CONSOLE, hash_users=False))
    assert (own.log_format, own.hash_users) == (LogFormat.CONSOLE, False)


@pytest.mark.parametrize("settings", [Settings(), PRODUCTION])
def test_what_is_open_in_development_is_closed_in_production(settings: Settings) -> None:
    """E-mail and new rooms follow the environment until they are set."""
    assert settings.exposes_email(EndpointSettings()) is not settings.production
    assert settings.creates_rooms(EndpointSettings()) is not settings.production
    for choice in (True, False):
        assert settings.exposes_email(EndpointSettings(expose_email=choice)) is choice
        assert settings.creates_rooms(EndpointSettings(auto_create=choice)) is choice


def test_origins_come_from_the_nearest_list() -> None:
    """The endpoint's own list, else the gate's."""
    own, bare = EndpointSettings(allowed_origins=("https://a.example",)), EndpointSettings()
    general = Settings(gate=GateSettings(allowed_origins=("https://b.example",)))
    assert general.origins(own) == ("https://a.example",)
    assert general.origins(bare) == ("https://b.example",)
    assert Settings().origins(bare) == ()


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
    assert settings.admits_missing_origin(endpoint) is admitted


def test_limits_are_asked_for_by_endpoint() -> None:
    """An endpoint's own tables are laid over the general ones."""
    own = Limits(messages=RateLimit(rate=Rate(600, 60.0, 600)), connections=ConnectionLimit(max=3))
    endpoint = EndpointSettings(limits=own)
    assert Settings().rate(LimitName.MESSAGES, endpoint) == Rate(600, 60.0, 600)
    assert Settings().rate(LimitName.AUTH, endpoint) == Rate(100, 60.0, 10)
    assert Settings().connection_limit(endpoint) == ConnectionLimit(max=3, mode=LimitMode.ENFORCE)


def test_two_bare_trees_share_no_tables() -> None:
    """The mappings of one tree are not those of another."""
    assert Settings().endpoints is not Settings().endpoints
    assert Settings().namespaces is not Settings().namespaces
    assert Settings().identity_provider.topics is not Settings().identity_provider.topics
    assert Settings().upstream.pin is not Settings().upstream.pin
