from pathlib import Path

import pytest

from portward.cli.config import admin_key, read, with_new_secrets, with_secrets, with_stored_secrets
from portward.cli.state import development_state, state_file
from portward.settings import SettingsError

PRODUCTION = 'environment = "production"\n'


def test_variables_of_commands_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token and an API key in the environment are for commands, and stop no reading."""
    monkeypatch.setenv("PORTWARD_TOKEN", "t")
    monkeypatch.setenv("PORTWARD_API_KEY", "k")
    monkeypatch.setenv("PORTWARD_SERVER__PORT", "9000")
    assert read(None).settings.server.port == 9000
    monkeypatch.setenv("PORTWARD_TOKENS", "t")
    with pytest.raises(SettingsError, match="PORTWARD_TOKENS"):
        read(None)


def test_file_and_flags(home: Path) -> None:
    """Flags win over the file that was named."""
    (home / "my.toml").write_text("[server]\nport = 1\nadmin_port = 2\n")
    server = read(Path("my.toml"), {"server.port": 3, "server.admin_port": None}).settings.server
    assert (server.port, server.admin_port) == (3, 2)


def test_development_is_completed() -> None:
    """In development missing secrets and the admin key come from the state file, named as such."""
    loaded, state = with_secrets(read(None)), development_state()
    tokens = loaded.settings.tokens
    assert [each.reveal() for each in tokens.secrets] == [state.token_secret]
    assert tokens.session_secret.reveal() == state.session_secret
    assert admin_key(loaded) == state.admin_key
    keys = ("tokens.secrets", "tokens.session_secret", "admin.api_keys")
    assert {loaded.sources[key] for key in keys} == {f"state {state_file()}"}


def test_what_is_configured_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is configured is replaced."""
    monkeypatch.setenv("PORTWARD_TOKENS__SECRETS", "a" * 40)
    monkeypatch.setenv("PORTWARD_TOKENS__SESSION_SECRET", "b" * 40)
    monkeypatch.setenv("PORTWARD_ADMIN__API_KEYS", "c" * 40)
    loaded = read(None)
    assert with_secrets(loaded) == loaded
    assert admin_key(loaded) is None


def test_public_keys_need_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where tokens are verified with public keys no secret is put beside them."""
    monkeypatch.setenv("PORTWARD_TOKENS__JWKS_URL", "https://issuer.example.org/keys")
    monkeypatch.setenv("PORTWARD_ADMIN__ENABLED", "false")
    settings = with_secrets(read(None)).settings
    assert settings.tokens.secrets == ()
    assert settings.tokens.session_secret
    assert settings.admin.api_keys == ()


def test_production_is_left(home: Path) -> None:
    """Production is given nothing, and no file is made for it."""
    (home / "portward.toml").write_text(PRODUCTION)
    loaded = read(None)
    assert with_secrets(loaded) == with_stored_secrets(loaded) == with_new_secrets(loaded) == loaded
    assert not state_file().exists()


def test_known_makes_nothing() -> None:
    """What is only looked at is not made; once it is there, it is filled in."""
    loaded = read(None)
    assert with_stored_secrets(loaded) == loaded
    assert not state_file().exists()
    state = development_state()
    assert admin_key(with_stored_secrets(loaded)) == state.admin_key


def test_secrets_for_one_run() -> None:
    """Secrets that cannot be kept are made up, and told as such."""
    loaded = with_new_secrets(read(None))
    assert loaded.settings.tokens.secrets
    assert loaded.sources["tokens.secrets"] == "made up"
    assert admin_key(loaded)
    assert not state_file().exists()
