"""Where verdicts are posted to, and whether who is posted to can trust them."""

import pytest

from portward.settings.checks.rule import CheckLevel
from tests.settings.checks.judging import GOOD, OTHER, findings, levels

OK, WARN, FAIL = CheckLevel.OK, CheckLevel.WARN, CheckLevel.FAIL
GRAVE = (WARN, FAIL, False)
ALWAYS = (FAIL, FAIL, True)
FINE = (OK, OK, False)
WARNED = (WARN, WARN, False)
KEY = "endpoints.workspaces.approval_webhook"
Levels = tuple[CheckLevel, CheckLevel, bool]


def hook(url: str, *, secret: str = GOOD, endpoint: str = "workspaces") -> str:
    """Settings with such an address, and a key."""
    table = f'[endpoints.{endpoint}]\napproval_webhook = "{url}"\n'
    return f'{table}approval_webhook_secret = "{secret}"\n' if secret else table


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://app.example.com/approvals?key=hunter2", ""),
        ("http://127.0.0.1:3000/approvals", ""),
        ("", ""),
        ("app.example.com", "does not begin with https:// or http://"),
        ("ftp://app.example.com", "does not begin with https:// or http://"),
        ("https://", "has no host"),
        ("https://user:hunter2@app.example.com", "has a user name or a password in it"),
        ("https://app.example.com/#hunter2", "has a fragment"),
        ("https://app.example.com/ hunter2", "has a blank"),
        ("https://app.example.com:0", "has a port that is no number"),
    ],
)
def test_the_address_is_judged(url: str, why: str) -> None:
    """What nothing could be posted to stops any start, and is not repeated."""
    assert levels(hook(url), "webhook-form") == (ALWAYS if why else FINE)
    (found,) = findings(hook(url), "webhook-form")
    assert found.what.startswith(f"{KEY} {why}") or not why
    assert "hunter2" not in repr(found)
    assert found.change == (f'{KEY} = "https://…"' if why else "")


def test_an_endpoint_without_approvals() -> None:
    """An address where nobody is asked anything is a mistake, and a harmless one."""
    assert levels(hook("https://a.example", endpoint="rooms"), "webhook-form") == WARNED


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://app.example.com", FINE),
        ("http://127.0.0.1:3000", FINE),
        ("http://localhost:3000", FINE),
        ("http://[::1]:3000", FINE),
        ("http://app.example.com", GRAVE),
        ("HTTP://app.example.com", GRAVE),
        ("http://10.0.0.7", GRAVE),
        ("http://app.internal", GRAVE),
        ("http://user@app.example.com", FINE),
    ],
)
def test_verdicts_travel_encrypted(url: str, expected: Levels) -> None:
    """In production over https, but for this machine; what is no address is told of elsewhere."""
    assert levels(hook(url), "webhook-plain") == expected


def test_an_endpoint_that_is_off_posts_nothing() -> None:
    """Its address is not looked at."""
    text = hook("http://app.example.com", secret="") + "enabled = false\n"
    for rule in ("webhook-form", "webhook-plain", "webhook-unsigned"):
        assert levels(text, rule) == FINE


@pytest.mark.parametrize(
    ("secret", "more", "expected", "words"),
    [
        (GOOD, "", FINE, ""),
        ("", "", GRAVE, "is not set"),
        ("short", "", GRAVE, "bytes"),
        ("changeme" * 8, "", GRAVE, "placeholder"),
        (GOOD, f'[tokens]\nsecrets = ["{GOOD}"]', (FAIL, FAIL, False), "tokens are signed with"),
        (GOOD, f'[tokens]\nsession_secret = "{GOOD}"', (FAIL, FAIL, False), "tokens are signed"),
        (GOOD, f'[tokens]\nsecrets = ["{OTHER}"]', FINE, ""),
    ],
)
def test_verdicts_are_signed(secret: str, more: str, expected: Levels, words: str) -> None:
    """With a key that is long, random and used for nothing else; it is shown in no finding."""
    text = hook("https://app.example.com", secret=secret) + more
    assert levels(text, "webhook-unsigned") == expected
    (found,) = findings(text, "webhook-unsigned")
    assert words in found.what
    assert not secret or secret not in repr(found)


def test_nothing_is_posted_by_default() -> None:
    """Without an address every rule is met."""
    for rule in ("webhook-form", "webhook-plain", "webhook-unsigned"):
        assert levels("", rule) == FINE
