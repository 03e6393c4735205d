from pathlib import Path

import pytest

from tests.cli.console import Console
from tests.cli.settings import SAFE, SECRETS


def test_development_passes(portward: Console) -> None:
    """Out of the box development has warnings and no fail."""
    outcome = portward("check")
    assert outcome.code == 0
    assert outcome.lines[0].split() == ["level", "rule", "finding", "change"]
    assert outcome.lines[-1].endswith("0 fail (judged for development)")


def test_production_fails_out_of_the_box(portward: Console) -> None:
    """Judged for production the same settings fail, each rule with the line to change."""
    outcome = portward("check", "--production")
    assert outcome.code == 1
    [plain] = [each for each in outcome.lines if each.startswith("fail") and "plain-text" in each]
    assert 'server.tls = { cert = "…", key = "…" }' in plain
    assert outcome.lines[-1].endswith("(judged for production)")


def test_safe_production_passes(portward: Console, home: Path) -> None:
    """Settings made for production pass, with the file named."""
    file = home / "safe.toml"
    file.write_text(SAFE.format(*SECRETS))
    outcome = portward("check", "--config", str(file))
    assert (outcome.code, " 0 fail " in outcome.lines[-1]) == (0, True)
    assert not any(secret in outcome.out for secret in SECRETS)


def test_config_shows_values_and_sources(
    portward: Console, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each setting stands with its value and where it came from; secrets are masked."""
    (home / "portward.toml").write_text(SAFE.format(*SECRETS))
    monkeypatch.setenv("PORTWARD_SERVER__PORT", "9000")
    outcome = portward("config")
    rows = {each.split()[0]: each.split()[1:] for each in outcome.lines}
    assert rows["server.port"] == ["9000", "env", "PORTWARD_SERVER__PORT"]
    assert rows["server.admin_port"] == ["8081", "default"]
    assert rows["tokens.secrets"] == ["[***]", "file", "portward.toml"]
    assert not any(secret in outcome.out for secret in SECRETS)


def test_config_masks_the_key_of_verdicts(portward: Console, home: Path) -> None:
    """What posted verdicts are signed with is masked, wherever it is written."""
    first, second, _ = SECRETS
    (home / "key").write_text(f"{second}\n")
    (home / "portward.toml").write_text(f"""
        [endpoints.workspaces]
        approval_webhook = "https://app.example.com/hooks"
        approval_webhook_secret = "{first}"
        [endpoints.second]
        dialect = "socketio"
        approval_webhook_secret_file = "{home / "key"}"
    """)
    outcome = portward("config", "--changed")
    rows = {each.split()[0]: each.split()[1:] for each in outcome.lines}
    assert rows["endpoints.workspaces.approval_webhook"][0] == "https://app.example.com/hooks"
    for name in ("workspaces", "second"):
        assert rows[f"endpoints.{name}.approval_webhook_secret"][0] == "***"
    assert first not in outcome.out
    assert second not in outcome.out


def test_config_shows_what_changed(portward: Console, home: Path) -> None:
    """On request only what is not at its default is shown."""
    (home / "portward.toml").write_text("[server]\nport = 1\n")
    assert [each.split()[0] for each in portward("config", "--changed").lines[1:]] == [
        "server.port"
    ]


def test_config_shows_what_development_made(portward: Console) -> None:
    """Secrets that development made up are named as such, masked, and not made by looking."""
    assert "state " not in portward("config").out
    portward("token", "--sub", "ann")
    outcome = portward("config", "--changed")
    assert [each.split()[0] for each in outcome.lines[1:]] == [
        "tokens.secrets",
        "tokens.session_secret",
        "admin.api_keys",
    ]
    assert outcome.out.count("development.json") == 3
