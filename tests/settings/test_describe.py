import pytest

from portward.settings.describe import effective, rows, shown
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
        ("tokens.public_keys", ("-----BEGIN X-----\nab\n-----END X-----",), "[-----BEGIN X-----…]"),
        ("tokens.public_keys", ("-----BEGIN X-----\nab",), "[-----BEGIN X-----…"),
    ],
)
def test_values_are_shown_as_they_are_written(key: str, value: object, text: str) -> None:
    """Every form has its own way, and what is secret is masked."""
    assert show(key, value) == text


def test_an_unset_value_shows_what_holds() -> None:
    """The environment decides, and the row says what it decided."""
    drain = leaf_at(("server", "drain_timeout"))
    assert drain is not None
    assert effective(drain, None, Settings()) == 5.0
    assert effective(drain, None, Settings(environment=Environment.PRODUCTION)) == 30.0
    assert effective(drain, 1.0, Settings()) == 1.0


def test_what_is_shown_is_what_the_tree_answers() -> None:
    """The rows and the methods of the tree do not tell two stories."""
    for environment in Environment:
        tree = Settings(environment=environment)
        row = {r.key: r.value for r in rows(loaded(f'environment = "{environment}"'))}
        door = tree.endpoints["rooms"]
        assert row["server.drain_timeout"] == f"{tree.drain_timeout:g}s"
        assert row["log.format"] == tree.log_format
        assert row["log.hash_users"] == str(tree.hash_users).lower()
        assert row["endpoints.rooms.expose_email"] == str(tree.exposes_email(door)).lower()
        assert row["endpoints.rooms.auto_create"] == str(tree.creates_rooms(door)).lower()


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
