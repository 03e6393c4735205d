import time
from collections.abc import Mapping

import pytest

from portward.cli.config import with_new_secrets
from portward.cli.demo import tokens
from portward.demo.info import AGENT, SUPERVISOR, VICTOR, WENDY, DemoInfo
from portward.demo.provider import StandInProvider
from portward.model.channel import Channel
from portward.model.identity import Identity
from portward.model.rights import Right
from portward.security.policy import NO_FACTS, rights
from portward.security.tokens import KeySet, secret_key, verify
from portward.settings import Settings, load
from portward.settings.tokens import token_rules
from portward.testing.clock import FakeClock


@pytest.fixture
def settings() -> Settings:
    """Development settings with secrets."""
    return with_new_secrets(load({}, read=_none)).settings


def _none(path: str) -> str:
    raise FileNotFoundError(path)


@pytest.fixture
def info(settings: Settings) -> DemoInfo:
    """The info of a gateway."""
    return DemoInfo(
        settings=settings,
        address="ws://127.0.0.1:8080",
        admin="http://127.0.0.1:8081",
        page="http://127.0.0.1:8082",
        users=StandInProvider(settings, FakeClock()).users,
        tokens=tokens(settings),
    )


def who(settings: Settings, token: str) -> Identity:
    """Whom the gateway takes the bearer of a token for."""
    keys = KeySet([secret_key(settings.tokens.secrets[0].reveal())])
    return verify(token, keys, token_rules(settings.tokens), time.time()).identity


def hears(settings: Settings, identity: Identity, channel: str) -> bool:
    """Whether somebody may hear and read back a channel of the alerts."""
    namespace = settings.namespaces["alerts"]
    found = rights(identity, Channel(channel), namespace, NO_FACTS)
    return Right.SUBSCRIBE in found and Right.HISTORY in found


def test_tokens(settings: Settings) -> None:
    """Every token is good for a day, and for what its page is about."""
    made = tokens(settings)
    assert {name: list(bearers) for name, bearers in made.items()} == {
        "chat": ["alice", "bob"],
        "realtime": ["rita"],
        "alerts": [SUPERVISOR, AGENT],
        "workspaces": [WENDY, VICTOR],
    }
    for user in ("alice", "bob"):
        identity = who(settings, made["chat"][user])
        assert identity.subject == user
        assert identity.roles == {"user"}
        assert identity.expires_at is not None
        assert identity.issued_at is not None
        assert identity.expires_at - identity.issued_at == 86_400


def test_supervisor_hears_everything(settings: Settings) -> None:
    """The supervisor may hear each call and all of them together."""
    sue = who(settings, tokens(settings)["alerts"][SUPERVISOR])
    everything = Channel.combined("alerts")
    assert all(
        hears(settings, sue, each) for each in ("alerts:call-1042", "alerts:call-2042", everything)
    )


def test_agent_hears_one_team(settings: Settings) -> None:
    """The agent may hear the calls of one team, not the other's, and not all together."""
    andy = who(settings, tokens(settings)["alerts"][AGENT])
    assert hears(settings, andy, "alerts:call-1042")
    assert not hears(settings, andy, "alerts:call-2042")
    assert not hears(settings, andy, Channel.combined("alerts"))


def test_wendy_and_victor_are_of_one_workspace(settings: Settings) -> None:
    """One of them as an agent, who has rights, the other as a viewer, who has none."""
    made = tokens(settings)["workspaces"]
    wendy, victor = who(settings, made[WENDY]), who(settings, made[VICTOR])
    assert wendy.workspace == victor.workspace == "w1"
    assert wendy.roles == {"agent"}
    assert victor.roles == {"viewer"}


def test_addresses_share_a_host(info: DemoInfo) -> None:
    """Every address that a page or a person is given names the same host, for the cookie's sake."""
    told = info.pages()
    assert told["chat"]["address"] == "ws://127.0.0.1:8080/rooms"
    assert told["alerts"]["address"] == "ws://127.0.0.1:8080/alerts"
    assert told["live"]["address"] == "ws://127.0.0.1:8080/live"
    assert told["workspaces"]["address"] == "ws://127.0.0.1:8080/socket.io/"
    assert dict(info.lines())["socket.io"] == "http://127.0.0.1:8080, path /socket.io/"
    assert not any("localhost" in text for _, text in info.lines())


def test_lines(info: DemoInfo) -> None:
    """Printed are the accounts, all tokens, and commands that use them."""
    lines = list(info.lines())
    texts = [text for _, text in lines]
    for user in info.users:
        assert any(user.email in text and user.password in text for text in texts)
    for name, bearers in info.tokens.items():
        for token in bearers.values():
            assert any(text.endswith(token) for text in texts), name
    publish = dict(lines)["publish"]
    assert " publish live:event:42 " in publish
    assert publish.endswith("--admin http://127.0.0.1:8081")


def test_pages_are_told_no_more_than_they_need(info: DemoInfo, settings: Settings) -> None:
    """The live page gets the accounts and no token; no page gets a secret of the gateway."""
    told = info.pages()
    assert isinstance(told["live"], Mapping)
    assert told["live"].keys() == {"address", "boards", "revalidate", "users"}
    assert [user["may"] for user in told["live"]["users"]] == [
        "may watch everything",
        "may watch the public event alone",
    ]
    secrets = [settings.tokens.secrets[0].reveal(), settings.tokens.session_secret.reveal()]
    assert not any(secret in repr(told) for secret in secrets)


@pytest.mark.parametrize(
    ("found", "expected"), [("/usr/bin/portward", "portward"), (None, ".venv/bin/portward")]
)
def test_the_program_of_the_commands(
    info: DemoInfo, monkeypatch: pytest.MonkeyPatch, found: str | None, expected: str
) -> None:
    """Commands are printed so that they work where the demo was started."""
    monkeypatch.setattr("shutil.which", lambda _: found)
    monkeypatch.setattr("sys.argv", [".venv/bin/portward", "demo"])
    assert dict(info.lines())["rita talks"].startswith(f"{expected} connect ")
