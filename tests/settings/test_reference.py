import pytest

from portward.settings.environment import ALIASES, variable
from portward.settings.reference import kind, meaning, reference
from portward.settings.schema import entries, example, leaf_at

PAGE = reference()
ENTRIES = list(entries(example()))


def test_every_key_is_on_the_page() -> None:
    """With its variable, its meaning, and the sign of what can be reloaded."""
    for entry in ENTRIES:
        (line,) = (line for line in PAGE.splitlines() if line.startswith(f"| `{entry.key}`"))
        assert f"`{variable(entry.path)}`" in line
        assert line.endswith(f"{meaning(entry.path)} |")
        assert ("↻" in line) is entry.leaf.about.reload, line
        assert line.count("|") == 6, line


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("server.host", "text"),
        ("server.port", "number"),
        ("server.behind_tls_proxy", "true or false"),
        ("server.drain_timeout", "duration"),
        ("server.allowed_hosts", "list of texts"),
        ("server.trusted_proxies", "list of networks"),
        ("environment", "`development` or `production`"),
        (
            "endpoints.x.credentials",
            "list of `header` or `query` or `ticket` or `cookie` or `message` or `subprotocol`",
        ),
        ("endpoints.x.max_message", "size"),
        ("tokens.secrets", "list of secrets"),
        ("tokens.session_secret", "secret"),
        ("admin.api_keys", "list of keys"),
        ("limits.auth.rate", "rate"),
        ("identity_provider.topics.x", "text"),
        ("endpoints.x.allow_missing_origin", "true or false"),
        ("upstream.pin.x", "value of JSON"),
        ("upstream.policy", "`open` or `strict`"),
        ("upstream.api_key", "secret"),
        ("upstream.max_bytes", "size"),
    ],
)
def test_what_a_key_takes_is_told(key: str, text: str) -> None:
    """In words an operator knows."""
    leaf = leaf_at(tuple(key.split(".")))
    assert leaf is not None
    assert kind(leaf) == text


@pytest.mark.parametrize(
    "part",
    [
        "| `8080` | `PORTWARD_SERVER__PORT` |",
        "| `5s` in development, `30s` in production |",
        "Handshakes, per address: events per time",
        "| rate | as in `limits` |",
        "| `false` with cookies, and for `alerts` with a list of origins; else `true` |",
        "| `identity_provider.topics.<name>` ↻ | text |  |",
        "| `upstream.pin.<name>` ↻ | value of JSON |  | `PORTWARD_UPSTREAM__PIN__<NAME>` |",
        "| `wss://api.openai.com/v1/realtime?model={model}` | `PORTWARD_UPSTREAM__URL` |",
        "- `realtime`: `path = /realtime`, `dialect = relay`, `credentials = [message, header, subprotocol]`",
        "- `RATE_LIMIT_MAX_REQUESTS` and `RATE_LIMIT_WINDOW_MS` → `endpoints.realtime.limits.attempts`",
        "- `ENABLE_WS_PROXY` → `endpoints.realtime.enabled`: without `JWT_SECRET`",
        "`limits.messages.rate = 600/min`",
        "- `ALERT_AUTH_DISABLED` → `endpoints.alerts.auth`: `true` stands for `none`\n",
        "- `LIVE_WS_DRAIN_TIMEOUT_MS` → `server.drain_timeout`: in milliseconds\n",
        "- `rooms`: `path = /rooms`, `dialect = rooms`, `namespace = rooms`, `idle_timeout = 1m`",
        "- `live`: `snapshot = latest_by_key`, `authorize = identity_provider`",
        "## server\n\nThe listeners and the process.\n\n| key |",
    ],
)
def test_the_page_tells(part: str) -> None:
    """Defaults, what differs by environment, what tables are about, and the presets."""
    assert part in PAGE


def test_older_names_are_on_the_page() -> None:
    """Each with the key it stands for."""
    for alias in ALIASES:
        assert f"- `{alias.name}` → `{'.'.join(alias.path)}`" in PAGE


def test_the_page_is_tidy() -> None:
    """No line ends in a space, and the page ends in one line break."""
    assert all(line == line.rstrip() for line in PAGE.splitlines())
    assert PAGE.endswith(".\n")
    assert "\n\n\n" not in PAGE
