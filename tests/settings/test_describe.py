import json

import pytest

from portward.settings.describe import rows, shown
from portward.settings.resolve import resolve
from portward.settings.schema import leaf_at
from portward.settings.secret import Secret
from portward.settings.sections import Environment
from portward.settings.tree import Settings
from tests.settings.reading import loaded

SECRET = "hunter2-hunter2-hunter2-hunter2-hunter2"


def show(key: str, value: object) -> str:
    """Show a value as that of a key."""
    leaf = leaf_at(tuple(key.split(".")))
    assert leaf is not None
    return shown(leaf, value)


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("server.host", "::1", "::1"),
        ("server.port", 80, "80"),
        ("server.behind_tls_proxy", True, "true"),
        ("server.drain_timeout", 90.0, "90s"),
        ("server.drain_timeout", None, ""),
        ("server.allowed_hosts", ("a", "b"), "[a, b]"),
        ("server.trusted_proxies", ("::1",), "[::1]"),
        ("environment", Environment.PRODUCTION, "production"),
        ("endpoints.x.max_message", 65536, "64KiB"),
        ("tokens.session_secret", Secret("x"), "***"),
        ("tokens.session_secret", Secret(), ""),
        ("tokens.secrets", (Secret("x"), Secret("y")), "[***, ***]"),
        ("engine.url", "redis://user:pass@host/0", "redis://user:***@host/0"),
        ("engine.url", "redis://:pass@host", "redis://:***@host"),
        ("upstream.url", "wss://a/?model={model}", "wss://a/?model={model}"),
        ("upstream.url", "wss://a/?api-key=x&model=m", "wss://a/?api-key=***&model=m"),
        ("upstream.url", "wss://a/?m=m&Access_Token=x", "wss://a/?m=m&Access_Token=***"),
        ("upstream.api_key", Secret("x"), "***"),
        ("upstream.policy", "strict", "strict"),
        ("upstream.max_bytes", 0, "0"),
        ("upstream.pin.x", "a\nb", r'"a\nb"'),
        ("upstream.pin.x", None, "null"),
        ("upstream.pin.x", 5, "5"),
        ("upstream.pin.x", {"max_output_tokens": [1, True]}, '{"max_output_tokens":[1,true]}'),
        ("tokens.public_keys", ("-----BEGIN X-----\nab\n-----END X-----",), "[-----BEGIN X-----…]"),
        ("tokens.public_keys", ("-----BEGIN X-----\nab",), "[-----BEGIN X-----…"),
    ],
)
def test_values_are_shown_as_they_are_written(key: str, value: object, text: str) -> None:
    """Every form has its own way, and what is secret is masked."""
    assert show(key, value) == text


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hun/ter@127.0.0.1/0", "redis://:hun@ter@127.0.0.1/0", "redis:/ann:hunter@127.0.0.1/0",
        "hunter@127.0.0.1/0", "ann:hunter@127.0.0.1/0", "redis://hun\nter@127.0.0.1/0",
        "redis+sentinel://ann:hunter@127.0.0.1/0",
    ],
)  # fmt: skip
def test_the_password_of_a_store_is_hidden_however_it_is_written(url: str) -> None:
    """What stands before the host is masked, also in an address that nothing could open."""
    row = {r.key: r.value for r in rows(loaded(f"engine.url = {json.dumps(url)}"))}
    assert row["engine.url"].endswith("***@127.0.0.1/0")
    assert "hun" not in row["engine.url"]


def test_what_is_shown_is_what_is_in_force() -> None:
    """The rows show the values that the gateway runs with."""
    for environment in Environment:
        tree = resolve(Settings(environment=environment))
        row = {r.key: r.value for r in rows(loaded(f'environment = "{environment}"'))}
        endpoint = tree.endpoints["rooms"]
        assert row["server.drain_timeout"] == f"{tree.server.drain_timeout:g}s"
        assert row["log.format"] == tree.log.format
        assert row["log.hash_users"] == str(tree.log.hash_users).lower()
        assert row["endpoints.rooms.expose_email"] == str(endpoint.expose_email).lower()
        for name, endpoint in tree.endpoints.items():
            admitted = str(endpoint.allow_missing_origin).lower()
            assert row[f"endpoints.{name}.allow_missing_origin"] == admitted
        assert row["endpoints.rooms.auto_create"] == str(endpoint.auto_create).lower()


def test_whether_an_origin_may_be_missing_follows_other_keys() -> None:
    """The row says what came of them, and a setting shows as it was set."""
    text = 'gate.allowed_origins = ["https://a.example"]\n'
    for more, shows in (("", "false"), ("endpoints.alerts.allow_missing_origin = true", "true")):
        found = {row.key: row for row in rows(loaded(text + more))}
        assert found["endpoints.alerts.allow_missing_origin"].value == shows
        assert found["endpoints.live.allow_missing_origin"].value == "false"
        assert found["endpoints.rooms.allow_missing_origin"].value == "true"


def test_the_identity_provider_is_shown() -> None:
    """Nothing of it is secret but a password that has no place in its address."""
    environ = {"DIRECTUS_BASE_URL": "https://u:hunter2@directus.example", "INSTANCE_ID": "node-1"}
    text = '[identity_provider.topics]\n"event:{id}" = "/items/events/{id}"'
    found = {row.key: row[1:] for row in rows(loaded(text, environ))}
    assert found["identity_provider.topics.event:{id}"] == (
        "/items/events/{id}",
        "file portward.toml",
    )
    assert found["identity_provider.url"] == (
        "https://u:***@directus.example",
        "alias DIRECTUS_BASE_URL",
    )
    assert found["identity_provider.revalidate"] == ("1m", "default")
    assert found["server.instance_id"] == ("node-1", "alias INSTANCE_ID")
    assert found["endpoints.live.credentials"] == ("[cookie]", "default")
    assert found["endpoints.live.backpressure_threshold"] == ("1MiB", "default")
    assert found["namespaces.alerts.combined"] == ("true", "default")


def test_credentials_in_pinned_fields_are_masked() -> None:
    """A tool of the upstream may have a server of its own, with a key."""
    tool = {
        "type": "mcp",
        "server_url": f"https://u:{SECRET}@tool.example/?api_key={SECRET}",
        "authorization": SECRET,
        "headers": {"X-Key": SECRET},
        "inner": [{"apiKey": SECRET, "access_token": SECRET, "client_secret": [SECRET]}],
    }
    text = show("upstream.pin.tools", [tool])
    assert SECRET not in text
    assert '"type":"mcp","server_url":"https://u:***@tool.example/?api_key=***"' in text


def test_the_upstream_is_shown() -> None:
    """With where each value came from; its key is masked."""
    text = '[upstream.pin]\ninstructions = "Be kind."'
    found = {row.key: row[1:] for row in rows(loaded(text, {"OPENAI_API_KEY": SECRET}))}
    assert SECRET not in repr(found)
    assert found["upstream.api_key"] == ("***", "alias OPENAI_API_KEY")
    assert found["upstream.pin.instructions"] == ('"Be kind."', "file portward.toml")
    assert found["upstream.models"] == ("[gpt-realtime]", "default")
    assert found["upstream.max_duration"] == ("1h", "default")
    assert found["endpoints.realtime.limits.messages.rate"] == ("none", "default")


def test_rows_show_no_secret() -> None:
    """Wherever a secret may stand, it is masked, and its source is named."""
    text = f"""
        [tokens]
        session_secret = "{SECRET}"
        [admin]
        api_keys = [{{ key = "{SECRET}", scopes = ["read"] }}]
        [endpoints.rooms]
        sign_secret = "{SECRET}"
    """
    found = rows(loaded(text, {"JWT_SECRET": SECRET}))
    assert SECRET not in repr(found)
    by_key = {row.key: row for row in found}
    assert by_key["tokens.secrets"][1:] == ("[***]", "alias JWT_SECRET")
    assert by_key["admin.api_keys"].value == "[*** (read)]"
    assert by_key["server.port"][1:] == ("8080", "default")
