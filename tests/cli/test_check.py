import io
import json
import sys
from pathlib import Path

import pytest

from portward.security.tokens import sign
from tests.cli.console import Console
from tests.cli.settings import SAFE, SECRETS

QUIET = """
tokens = {{ secrets = ["{}"], session_secret = "{}", issuer = "https://i.example", audience = "a" }}
admin.api_keys = ["{}"]
endpoints.alerts.credentials = ["header", "ticket"]
endpoints.live.enabled = false
endpoints.realtime.enabled = false
"""
"""Settings of development that no rule warns of."""


def test_development_passes(portward: Console) -> None:
    """Out of the box development has warnings and no fail."""
    outcome = portward("check")
    assert outcome.code == 0
    assert outcome.lines[0].split() == ["level", "rule", "finding", "change"]
    assert "0 fail (checked for development" in outcome.lines[-1]


def test_production_fails_out_of_the_box(portward: Console) -> None:
    """Judged for production the same settings fail, each rule with the line to change."""
    outcome = portward("check", "--production")
    assert outcome.code == 1
    [plain] = [each for each in outcome.lines if each.startswith("fail") and "plain-text" in each]
    assert 'server.tls = { cert = "…", key = "…" }' in plain
    assert "(checked for production" in outcome.lines[-1]


def test_safe_production_passes(portward: Console, home: Path) -> None:
    """Settings made for production pass, with the file named."""
    file = home / "safe.toml"
    file.write_text(SAFE.format(*SECRETS))
    file.chmod(0o600)
    outcome = portward("check", "--config", str(file))
    assert (outcome.code, " 0 fail " in outcome.lines[-1]) == (0, True)
    assert not any(secret in outcome.out for secret in SECRETS)


def test_a_settings_file_that_others_can_read_fails(portward: Console, home: Path) -> None:
    """It holds secrets; one that names files with secrets in them may be read."""
    file = home / "portward.toml"
    file.write_text(SAFE.format(*SECRETS))
    file.chmod(0o644)
    outcome = portward("check", "--quiet")
    assert (outcome.code, "chmod o-rwx portward.toml" in outcome.out) == (1, True)
    secret = home / "tokens"
    secret.write_text(f"{SECRETS[0]}\n")
    secret.chmod(0o600)
    file.write_text(f'tokens.secrets_file = "{secret}"\n')
    assert portward("check").code == 0


def test_quiet_shows_what_is_wrong_alone(portward: Console, home: Path) -> None:
    """Nothing at all is printed when nothing is wrong."""
    levels = {each.split()[0] for each in portward("check", "-q").lines[1:]}
    assert levels == {"warn"}
    (home / "portward.toml").write_text(QUIET.format(*SECRETS))
    (home / "portward.toml").chmod(0o600)
    assert portward("check", "-q") == (0, "", "")


def test_json_is_one_object(portward: Console) -> None:
    """Programs read the same findings."""
    outcome = portward("check", "--production", "--json")
    told = json.loads(outcome.out)
    assert (outcome.code, told["judged"], told["ok"]) == (1, "production", False)
    assert {"level": "fail", "rule": "plain-text"}.items() <= next(
        each for each in told["findings"] if each["rule"] == "plain-text"
    ).items()
    assert all(set(each) == {"level", "rule", "finding", "change"} for each in told["findings"])


def test_services_are_asked_on_request(portward: Console, home: Path) -> None:
    """Without `--connect` nobody is asked; with it, a service that is away is a fail."""
    (home / "portward.toml").write_text('engine.url = "redis://127.0.0.1:1"\n')
    assert portward("check").code == 0
    outcome = portward("check", "--connect", "-q")
    assert outcome.code == 1
    assert any(each.split()[:2] == ["fail", "connect-store"] for each in outcome.lines)


def test_what_serve_refuses_check_refuses(portward: Console, home: Path) -> None:
    """A certificate that cannot be loaded is found before a start."""
    for name in ("chain.pem", "key.pem"):
        (home / name).write_text("nothing")
    (home / "portward.toml").write_text('server.tls = { cert = "chain.pem", key = "key.pem" }\n')
    assert portward("check").code == 1
    assert portward("serve").code in {1, 2}


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


MAPPED = f"""
tokens.secrets = ["{SECRETS[0]}"]
tokens.claims.roles = "realm_access.roles"
tokens.claims.workspace = ["a.b", "org"]
tokens.require.token_use = "access"
"""


def judged(portward: Console, home: Path, *options: str) -> dict[str, list[tuple[str, str]]]:
    """What is found about a token with claims elsewhere: level and text by rule."""
    file = home / "portward.toml"
    file.write_text(MAPPED)
    file.chmod(0o600)
    found = json.loads(portward("check", "--json", *options).out)["findings"]
    rules = {each["rule"] for each in found}
    return {
        rule: [(each["level"], each["finding"]) for each in found if each["rule"] == rule]
        for rule in rules & {"token-accepted", "claim-seen"}
    }


def token_with(**claims: object) -> str:
    """A token of the secret that these settings have."""
    made = {"sub": "ann", "exp": 9_000_000_000, "token_use": "access", **claims}
    return sign(made, SECRETS[0])


def test_configured_claims_are_not_looked_for_without_a_token(
    portward: Console, home: Path
) -> None:
    """Nothing is said to hold of claims that could not be looked at."""
    found = judged(portward, home)
    assert [level for level, _ in found.pop("claim-seen")] == ["skip", "skip"]
    assert found == {}


def test_configured_claims_are_looked_for_in_a_token(portward: Console, home: Path) -> None:
    """With a token each configured claim is there, or the warning names it."""
    whole = token_with(realm_access={"roles": []}, **{"a.b": {"org": "w1"}})
    found = judged(portward, home, "--token", whole)
    assert found["token-accepted"] == [("ok", "the token is accepted")]
    assert [level for level, _ in found["claim-seen"]] == ["ok", "ok"]
    found = judged(portward, home, "--token", token_with(realm_access={"roles": ["canary"]}))
    (roles, workspace) = found["claim-seen"]
    assert roles == ("ok", "the token has the claim realm_access.roles")
    assert workspace[0] == "warn"
    assert '["a.b", "org"]' in workspace[1]
    assert "canary" not in str(found)


def test_a_token_from_standard_input(
    portward: Console, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token need not be on the command line, where others see it."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{token_with()}\n"))
    found = judged(portward, home, "--token", "-")
    assert found["token-accepted"][0][0] == "ok"


@pytest.mark.parametrize(
    ("token", "why"),
    [
        (token_with(token_use="other"), "required (token_use)"),
        (token_with(exp=1), "expired (exp)"),
        (token_with(realm_access="canary"), "claims (realm_access.roles)"),
        ("canary", "malformed"),
        (sign({"sub": "canary", "exp": 9e9}, "x" * 40), "signature"),
    ],
)
def test_a_token_that_is_refused_is_a_fail(
    portward: Console, home: Path, token: str, why: str
) -> None:
    """The reason is named with the claim, and nothing of the token is repeated."""
    found = judged(portward, home, "--token", token)
    assert found == {"token-accepted": [("fail", f"the token is refused: {why}")]}
    assert portward("check", "--token", token).code == 1


def test_a_token_without_a_key(portward: Console, home: Path) -> None:
    """Where nothing can verify a token, that is the fail."""
    file = home / "portward.toml"
    file.write_text('environment = "production"\n')
    file.chmod(0o600)
    found = json.loads(portward("check", "--json", "--token", token_with()).out)["findings"]
    (finding,) = [each for each in found if each["rule"] == "token-accepted"]
    assert finding["level"] == "fail"
