import pytest

from portward.settings import SettingsError
from portward.settings.endpoint import AuthMode, CredentialSource
from portward.settings.secret import Secret
from tests.settings.reading import loaded

SECRET = "hunter2-hunter2-hunter2-hunter2-hunter2"


def test_each_layer_wins_over_the_one_below() -> None:
    """File < older names < environment < flags, with the source of the winner."""
    text, key = "server.port = 1", "server.port"
    alias = {"PORT": "2"}
    both = {**alias, "PORTWARD_SERVER__PORT": "3"}
    cases = [
        (loaded(""), 8080, "default"),
        (loaded(text), 1, "file portward.toml"),
        (loaded(text, alias), 2, "alias PORT"),
        (loaded(text, both), 3, "env PORTWARD_SERVER__PORT"),
        (loaded(text, both, flags={key: 4}), 4, "flag --port"),
        (loaded(text, both, flags={key: None}), 3, "env PORTWARD_SERVER__PORT"),
    ]
    for found, port, source in cases:
        assert (found.settings.server.port, found.sources[key]) == (port, source)


def test_the_file_in_the_folder_is_optional() -> None:
    """Without it the defaults hold; with a name it must be there."""
    assert loaded(None).settings.server.port == 8080
    with pytest.raises(SettingsError, match=r"cannot read other\.toml: No such file"):
        loaded(None, path="other.toml")


def test_the_environment_can_name_the_file() -> None:
    """`PORTWARD_CONFIG` stands for the flag, which wins over it; empty it counts as not set."""
    files = {"a.toml": "server.port = 1", "b.toml": "server.port = 2"}
    environ = {"PORTWARD_CONFIG": "a.toml"}
    assert loaded(None, environ, files=files).sources["server.port"] == "file a.toml"
    assert loaded(None, environ, path="b.toml", files=files).settings.server.port == 2
    assert loaded(None, {"PORTWARD_CONFIG": ""}).settings.server.port == 8080


def test_every_key_has_a_source() -> None:
    """Endpoints and namespaces that were added have theirs as well."""
    found = loaded('[endpoints.chat]\ndialect = "rooms"\n[roles]\nagent = []')
    assert found.sources["endpoints.chat.dialect"] == "file portward.toml"
    assert found.sources["endpoints.chat.limits.auth.rate"] == "default"
    assert found.sources["roles.agent"] == "file portward.toml"
    assert found.sources["namespaces.rooms.authorize"] == "default"


def test_two_older_servers_move_in() -> None:
    """Their environments side by side come to one gateway, in its own units."""
    environ = {
        "ALERT_SERVER_PORT": "3002",
        "ALERT_AUTH_DISABLED": "yes",
        "LIVE_WS_PORT": "3002",
        "LIVE_WS_PING_INTERVAL_MS": "15000",
        "LIVE_WS_DRAIN_TIMEOUT_MS": "500",
        "LIVE_WS_BACKPRESSURE_THRESHOLD_BYTES": "65536",
        "INSTANCE_ID": "node-1",
        "DIRECTUS_BASE_URL": "http://directus:8055",
    }
    found = loaded('[endpoints.live]\nping_interval = "5s"', environ)
    settings = found.settings
    live = settings.endpoints["live"]
    assert (settings.server.port, settings.server.drain_timeout) == (3002, 0.5)
    assert settings.endpoints["alerts"].auth is AuthMode.NONE
    assert (live.ping_interval, live.backpressure_threshold) == (15.0, 65536)
    assert (live.path, live.credentials) == ("/live", (CredentialSource.COOKIE,))
    assert settings.server.instance_id == "node-1"
    assert settings.identity_provider.url == "http://directus:8055"
    assert found.sources["endpoints.alerts.auth"] == "alias ALERT_AUTH_DISABLED"
    assert found.sources["endpoints.live.ping_interval"] == "alias LIVE_WS_PING_INTERVAL_MS"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("MAX_CONNECTIONS_PER_IP", "-1", "endpoints.realtime.limits.connections.max: expected"),
        ("LIVE_WS_PORT", "http", "server.port: expected a whole number, got a text"),
        ("ALERT_SERVER_PORT", "70000", "server.port: expected a whole number <= 65535"),
        (
            "LIVE_WS_BACKPRESSURE_THRESHOLD_BYTES",
            "much",
            'endpoints.live.backpressure_threshold: expected a size such as "64KiB"',
        ),
        (
            "LIVE_WS_BACKPRESSURE_THRESHOLD_BYTES",
            "1",
            "endpoints.live.backpressure_threshold: expected a whole number >= 1024",
        ),
        (
            "LIVE_WS_DRAIN_TIMEOUT_MS",
            "9" * 15,
            'server.drain_timeout: expected a duration such as "25s"',
        ),
    ],
)
def test_an_older_number_that_does_not_fit_is_told(name: str, text: str, message: str) -> None:
    """With its key and the variable it stands in."""
    with pytest.raises(SettingsError) as caught:
        loaded("", {name: text})
    assert str(caught.value).startswith(message)
    assert str(caught.value).endswith(f"(alias {name})")


def test_several_secrets_come_in_one_variable() -> None:
    """With commas, or as JSON when a secret has one."""
    for text in ("a,b", '["a", "b"]'):
        secrets = loaded("", {"PORTWARD_TOKENS__SECRETS": text}).settings.tokens.secrets
        assert secrets == (Secret("a"), Secret("b"))


def test_what_was_loaded_shows_no_secret() -> None:
    """Neither the tree nor its sources print one."""
    text = f'tokens.session_secret = "{SECRET}"\nadmin.api_keys = ["{SECRET}"]'
    found = loaded(text, {"JWT_SECRET": SECRET, "OPENAI_API_KEY": SECRET})
    assert found.settings.upstream.api_key == Secret(SECRET)
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    "text",
    [
        f'tokens.secrets = "{SECRET}"',
        f'tokens.secret = ["{SECRET}"]',
        f'tokens = "{SECRET}"',
        f'[tokens]\nsecrets = ["{SECRET}',
        f'tokens.secrets = ["{SECRET}", 3]',
        f'upstream.api_key = ["{SECRET}"]',
        f'upstream.api_keys = "{SECRET}"',
        f'upstream = "{SECRET}"',
        f'upstream.pin.tools = [{{ authorization = "{SECRET}", since = 2024-01-01 }}]',
        f'tokens.leeway = "{SECRET}"',
        f'server.trusted_proxies = ["{SECRET}"]',
        f'admin.api_keys = [{{ keys = "{SECRET}" }}]',
    ],
)
def test_no_error_shows_a_secret(text: str) -> None:
    """Whatever is wrong around it."""
    with pytest.raises(SettingsError) as caught:
        loaded(text)
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
