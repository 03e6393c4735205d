import pytest

from portward.model.limits import LimitName, Rate
from portward.settings.endpoint import AuthMode
from portward.settings.errors import SettingsError
from portward.settings.layers import Written
from portward.settings.legacy_env import from_aliases
from portward.settings.resolve import resolve
from portward.settings.secret import Secret
from tests.settings.reading import loaded

SECRET = "hunter2-hunter2-hunter2-hunter2-hunter2"


def test_older_names_are_read_when_not_empty() -> None:
    """One secret is one secret, whatever signs it has; an empty text counts as not set."""
    written = Written()
    from_aliases(written, {"JWT_SECRET": "a,b", "ALLOWED_ORIGINS": "x,y", "PORT": ""})
    found = {path: (given.raw, given.source) for path, given in written.values.items()}
    assert found == {
        ("tokens", "secrets"): (["a,b"], "alias JWT_SECRET"),
        ("gate", "allowed_origins"): ("x,y", "alias ALLOWED_ORIGINS"),
    }


@pytest.mark.parametrize(
    ("name", "text", "key", "raw"),
    [
        ("ALERT_SERVER_HOST", "0.0.0.0", "server.host", "0.0.0.0"),
        ("ALERT_SERVER_PORT", "3002", "server.port", "3002"),
        ("ALERT_AUTH_DISABLED", "true", "endpoints.alerts.auth", "none"),
        ("LIVE_WS_HOST", "::", "server.host", "::"),
        ("LIVE_WS_PORT", "4000", "server.port", "4000"),
        ("LIVE_WS_PING_INTERVAL_MS", "15000", "endpoints.live.ping_interval", 15.0),
        ("LIVE_WS_DRAIN_TIMEOUT_MS", "10000", "server.drain_timeout", 10.0),
        (
            "LIVE_WS_BACKPRESSURE_THRESHOLD_BYTES",
            "2048",
            "endpoints.live.backpressure_threshold",
            "2048",
        ),
        ("INSTANCE_ID", "node-1", "server.instance_id", "node-1"),
        ("ENABLE_WS_PROXY", "true", "endpoints.realtime.enabled", True),
        ("ENABLE_WS_PROXY", "false", "endpoints.realtime.enabled", False),
        ("OPENAI_API_KEY", "sk-a,b", "upstream.api_key", "sk-a,b"),
        ("MAX_CONNECTIONS_PER_IP", "2", "endpoints.realtime.limits.connections.max", "2"),
        (
            "DIRECTUS_BASE_URL",
            "http://directus:8055",
            "identity_provider.url",
            "http://directus:8055",
        ),
    ],
)
def test_every_older_name_says_its_part(name: str, text: str, key: str, raw: object) -> None:
    """In the unit of its key, with its own name as the source."""
    written = Written()
    from_aliases(written, {name: text})
    found = {path: (given.raw, given.source) for path, given in written.values.items()}
    assert found == {tuple(key.split(".")): (raw, f"alias {name}")}


@pytest.mark.parametrize("text", ["", "false", "0", "no"])
def test_authentication_that_is_not_disabled_is_not_mentioned(text: str) -> None:
    """The older name switches off, and never on what the file has switched off."""
    written = Written()
    from_aliases(written, {"ALERT_AUTH_DISABLED": text})
    assert written.values == {}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "ALERT_AUTH_DISABLED",
            "maybe",
            'endpoints.alerts.auth: expected "true" or "false" (alias ALERT_AUTH_DISABLED)',
        ),
        (
            "ENABLE_WS_PROXY",
            "on",
            'endpoints.realtime.enabled: expected "true" or "false" (alias ENABLE_WS_PROXY)',
        ),
        (
            "RATE_LIMIT_WINDOW_MS",
            "1m",
            "endpoints.realtime.limits.attempts.rate: expected a positive whole number such as"
            ' "10" (alias RATE_LIMIT_WINDOW_MS)',
        ),
        (
            "LIVE_WS_PING_INTERVAL_MS",
            "25s",
            'endpoints.live.ping_interval: expected a number of milliseconds such as "25000"'
            " (alias LIVE_WS_PING_INTERVAL_MS)",
        ),
    ],
)
def test_an_older_name_that_cannot_be_read_is_told(name: str, text: str, message: str) -> None:
    """The line has the variable to correct."""
    with pytest.raises(SettingsError) as caught:
        from_aliases(Written(), {name: text})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {"ALERT_SERVER_PORT": "1", "LIVE_WS_PORT": "2"},
            "server.port: ALERT_SERVER_PORT and LIVE_WS_PORT differ; set one of them",
        ),
        (
            {"LIVE_WS_PORT": "2", "PORT": "1"},
            "server.port: PORT and LIVE_WS_PORT differ; set one of them",
        ),
        (
            {"PORT": "1", "ALERT_SERVER_PORT": "1", "LIVE_WS_PORT": "2"},
            "server.port: PORT and LIVE_WS_PORT differ; set one of them",
        ),
        (
            {"ALERT_SERVER_HOST": "::", "LIVE_WS_HOST": "::1"},
            "server.host: ALERT_SERVER_HOST and LIVE_WS_HOST differ; set one of them",
        ),
    ],
)
def test_older_names_do_not_contradict_each_other(environ: dict[str, str], message: str) -> None:
    """Two servers became one, which has one address: both names are told."""
    with pytest.raises(SettingsError) as caught:
        from_aliases(Written(), environ)
    assert str(caught.value) == message


def test_older_names_may_agree() -> None:
    """The same said twice, or by one of them nothing, is no contradiction."""
    written = Written()
    environ = {"PORT": "", "ALERT_SERVER_PORT": "80", "LIVE_WS_PORT": "80"}
    from_aliases(written, environ)
    assert written.values["server", "port"].raw == "80"
    assert written.values["server", "port"].source == "alias ALERT_SERVER_PORT"


RELAY = {
    "ENABLE_WS_PROXY": "true",
    "PORT": "8081",
    "OPENAI_API_KEY": SECRET,
    "JWT_SECRET": SECRET,
    "ALLOWED_ORIGINS": "https://a.example,https://b.example",
    "RATE_LIMIT_MAX_REQUESTS": "5",
    "RATE_LIMIT_WINDOW_MS": "30000",
    "MAX_CONNECTIONS_PER_IP": "2",
}
AUTH = "endpoints.realtime.auth"


def test_an_older_relay_server_moves_in() -> None:
    """Every name it read has its place, and is told as the source."""
    found = loaded("[endpoints.realtime.limits.attempts]\nrate = '9/s'\nburst = 99", RELAY)
    settings, endpoint = found.settings, found.settings.endpoints["realtime"]
    assert (endpoint.enabled, endpoint.auth, settings.server.port) == (True, AuthMode.TOKEN, 8081)
    endpoints = resolve(settings).endpoints
    assert endpoints["realtime"].rates[LimitName.ATTEMPTS] == Rate(5, 30.0, 5)
    assert endpoints["rooms"].rates[LimitName.ATTEMPTS].count == 600
    assert endpoints["realtime"].connections_per_address == 2
    assert settings.upstream.api_key == Secret(SECRET)
    assert settings.origins(endpoint) == ("https://a.example", "https://b.example")
    limit = "endpoints.realtime.limits.attempts"
    both = "alias RATE_LIMIT_MAX_REQUESTS and RATE_LIMIT_WINDOW_MS"
    assert found.sources[f"{limit}.rate"] == found.sources[f"{limit}.burst"] == both
    assert (
        not loaded("", {**RELAY, "ENABLE_WS_PROXY": "false"}).settings.endpoints["realtime"].enabled
    )


def test_a_newer_rate_wins_over_the_older_names() -> None:
    """It brings its own burst, and nothing of the older one is left."""
    name = "PORTWARD_ENDPOINTS__REALTIME__LIMITS__ATTEMPTS__RATE"
    settings = loaded("", {**RELAY, name: "100/min"}).settings
    realtime = resolve(settings).endpoints["realtime"]
    assert realtime.rates[LimitName.ATTEMPTS] == Rate(100, 60.0, 100)


def older(**changes: str) -> dict[str, str]:
    """Make the environment of an older relay server without a secret."""
    return {**RELAY, "JWT_SECRET": "", **changes}


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("", {"ENABLE_WS_PROXY": "true"}),
        ("", older()),
        ("tokens.secrets = []", older()),
        ('tokens.session_secret = "x"', older()),
        ("", older(PORTWARD_TOKENS__SECRETS="")),
    ],
)
def test_an_older_relay_server_without_a_secret_let_everyone_in(
    text: str, environ: dict[str, str]
) -> None:
    """So does the endpoint that takes its place, and no other; where that comes from is told."""
    found = loaded(text, environ)
    open_doors = [
        name
        for name, endpoint in found.settings.endpoints.items()
        if endpoint.auth is AuthMode.NONE
    ]
    assert open_doors == ["realtime"]
    assert found.sources[AUTH] == "alias ENABLE_WS_PROXY without JWT_SECRET"


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("", {}),
        ("", older(ENABLE_WS_PROXY="")),
        ("", RELAY),
        ("", {**RELAY, "PORTWARD_TOKENS__SECRETS": ""}),
        (f'{AUTH} = "token"', older()),
        ("", older(PORTWARD_ENDPOINTS__REALTIME__AUTH="token")),
        ('tokens.secrets = ["x"]', older()),
        ('tokens.secrets_file = "/s"', older()),
        ('tokens.jwks_url = "https://issuer.example/keys"', older()),
        ('tokens.public_keys = ["-----BEGIN"]', older()),
        ("", older(PORTWARD_TOKENS__SECRETS="x")),
        ('endpoints.realtime.dialect = "rooms"', older()),
    ],
)
def test_a_secret_anywhere_keeps_the_relay_closed(text: str, environ: dict[str, str]) -> None:
    """So does a word about it, and an endpoint that is something else altogether."""
    found = loaded(text, environ, files={"/s": "x"})
    assert found.settings.endpoints["realtime"].auth is AuthMode.TOKEN
    assert "JWT_SECRET" not in found.sources[AUTH]


def test_a_flag_keeps_the_relay_closed() -> None:
    """Whatever is said outright holds."""
    assert loaded("", older(), flags={AUTH: "token"}).sources[AUTH] == "flag --auth"


SWITCHES = ("log.older_names", "metrics.older_names")


@pytest.mark.parametrize(
    ("environ", "text", "on"),
    [
        ({}, "", [False, False]),
        ({"ENABLE_WS_PROXY": "true"}, "", [True, True]),
        ({"JWT_SECRET": SECRET}, "", [True, True]),
        ({"LIVE_WS_PORT": "8088"}, "", [True, True]),
        ({"RATE_LIMIT_WINDOW_MS": "1000"}, "", [True, True]),
        ({"JWT_SECRET": ""}, "", [False, False]),
        ({"PORTWARD_SERVER__PORT": "1"}, "", [False, False]),
        ({"PORT": "1", "PORTWARD_SERVER__PORT": "1"}, "", [False, False]),
        ({"PORT": "1"}, "log.older_names = false", [False, True]),
        ({"PORT": "1", "PORTWARD_METRICS__OLDER_NAMES": "false"}, "", [True, False]),
        ({}, "metrics.older_names = true", [False, True]),
    ],
)
def test_older_names_are_shown_where_one_is_read(
    environ: dict[str, str], text: str, on: list[bool]
) -> None:
    """A name of an older server in use shows its events and metrics, unless the switches say otherwise."""
    found = loaded(text, environ)
    assert [found.settings.log.older_names, found.settings.metrics.older_names] == on
    for key, value in zip(SWITCHES, on, strict=True):
        by_itself = value and key not in text
        assert found.sources[key].startswith("alias ") is by_itself
