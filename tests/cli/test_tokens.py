import asyncio
import base64
import hmac
import io
import sys
from typing import Any

import pytest

from portward.cli import tokens
from portward.cli.terminal import UsageError
from portward.cli.tokens import REASONS, seconds
from portward.identity.jwks import KeysUnavailable
from portward.identity.verifier import TokenVerifier
from portward.security.jws import sign
from portward.security.tokens import TokenReason
from tests.cli.console import Console

SECRET = "tQ0v5C7nM2xK9wR4eJ8yB1zL6hF3sD0aPqUgXiVo"


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> str:
    """The configured secret."""
    monkeypatch.setenv("PORTWARD_TOKENS__SECRETS", SECRET)
    return SECRET


def test_token_is_the_only_line(portward: Console) -> None:
    """The token, and nothing else, is on standard output; the gateway takes it."""
    outcome = portward("token", "--sub", "ann")
    assert (outcome.code, outcome.err, len(outcome.lines)) == (0, "", 1)
    assert portward("inspect", outcome.lines[0]).code == 0


def test_all_options(portward: Console) -> None:
    """Everything a token can say can be asked for."""
    options = (
        ("--sub", "ann"), ("--role", "user"), ("--role", "admin"), ("--workspace", "w1"),
        ("--permission", "room.create"), ("--email", "a@x.org"), ("--ttl", "5m"),
        ("--claim", 'x={"a":[1]}'), ("--claim", "y=text"),
    )  # fmt: skip
    made = portward("token", *(word for option in options for word in option)).lines[0]
    outcome = portward("inspect", made)
    said = dict(each.split(maxsplit=1) for each in outcome.lines)
    assert said["sub"] == '"ann"'
    assert said["roles"] == '["user", "admin"]'
    assert (said["x"], said["y"], said["workspaceId"]) == ('{"a": [1]}', '"text"', '"w1"')
    assert (said["permissions"], said["email"]) == ('["room.create"]', '"a@x.org"')
    assert said["signed"] == "with  HS256"
    assert said["exp"].endswith(" UTC)")
    assert said["accepted:"].startswith("ann, for another ")


@pytest.mark.parametrize(
    ("options", "roles"), [((), ["user"]), (("--no-role",), None), (("--role", "x"), ["x"])]
)
def test_role(portward: Console, options: tuple[str, ...], roles: list[str] | None) -> None:
    """The role is `user` unless another or none is asked for."""
    outcome = portward("inspect", portward("token", "--sub", "ann", *options).lines[0])
    said = [each for each in outcome.lines if each.startswith("roles")]
    assert bool(said) is (roles is not None)
    assert all(each in said[0] for each in roles or ())


@pytest.mark.parametrize(
    "options", [("--ttl", "soon"), ("--ttl", "0s"), ("--claim", "x"), ("--claim", "=1")]
)
def test_options_that_make_no_sense(portward: Console, options: tuple[str, str]) -> None:
    """An option that cannot be read is exit code 2."""
    outcome = portward("token", "--sub", "ann", *options)
    assert (outcome.code, outcome.out, len(outcome.err.splitlines())) == (2, "", 1)


def test_token_that_would_be_refused(portward: Console) -> None:
    """A token of no use is made, and its maker told so."""
    outcome = portward("token", "--sub", "ann", "--claim", "nbf=9000000000")
    assert outcome.code == 0
    assert "would refuse this token: it is not valid yet (nbf)" in outcome.err


def test_public_keys_make_no_tokens(portward: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only public keys are configured no token can be made: exit code 1."""
    monkeypatch.setenv("PORTWARD_TOKENS__JWKS_URL", "https://issuer.example.org/keys")
    outcome = portward("token", "--sub", "ann")
    assert (outcome.code, outcome.out) == (1, "")
    assert "public keys" in outcome.err


def test_every_reason_has_words() -> None:
    """Whatever a token is refused for can be said."""
    assert set(REASONS) == set(TokenReason)


@pytest.mark.parametrize(
    ("token", "text"),
    [
        ("abc", "the token is refused: it is not a signed token in compact form"),
        (sign({"sub": "ann", "exp": 1}, SECRET), "it has expired (exp)"),
        (sign({"sub": "ann", "exp": 9e9}, "x" * 40), "its signature is not by any configured key"),
        (
            sign({"exp": 9_000_000_000}, SECRET),
            "a claim is missing or is not what it must be (sub)",
        ),
        (sign({"sub": "ann", "exp": 1e300}, SECRET), "what it must be (exp)"),
    ],
)
def test_refused_tokens(portward: Console, secret: str, token: str, text: str) -> None:
    """A token the gateway would refuse is exit code 1, with the reason."""
    outcome = portward("inspect", token)
    assert outcome.code == 1
    [said] = outcome.err.splitlines()
    assert said.endswith(text)


def test_token_from_standard_input(
    portward: Console, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token need not be on the command line, where others see it."""
    token = sign({"sub": "ann", "exp": 9_000_000_000}, SECRET)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{token}\n"))
    assert portward("inspect", "-").code == 0


def test_claims_are_fit_to_show(portward: Console, secret: str) -> None:
    """What a token says of itself moves no cursor."""
    token = sign({"sub": "ann", "exp": 9_000_000_000, "x\x1b": "\x1b[2J\x9b", "iat": "now"}, SECRET)
    outcome = portward("inspect", token)
    assert outcome.code == 1
    assert "\x1b" not in outcome.out
    assert "\x9b" not in outcome.out


def test_no_key_configured(portward: Console) -> None:
    """Where nothing is configured no token can be verified, and the text says so."""
    outcome = portward("inspect", sign({"sub": "ann", "exp": 9_000_000_000}, SECRET))
    assert outcome.code == 1
    assert "no key is configured" in outcome.err


def test_key_set_out_of_reach(
    portward: Console, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the issuer cannot be asked, that is the reason."""

    async def unavailable(*_: object) -> None:
        await asyncio.sleep(0)
        raise KeysUnavailable(1.0)

    monkeypatch.setattr(TokenVerifier, "identify", unavailable)
    outcome = portward("inspect", "a.b.c")
    assert (outcome.code, outcome.err) == (1, "portward: the issuer's key set cannot be fetched\n")


def test_unusable_key(portward: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configured key that is none is told before any token is judged."""
    monkeypatch.setenv("PORTWARD_TOKENS__PUBLIC_KEYS", "nonsense")
    outcome = portward("inspect", "a.b.c")
    assert outcome.code == 1
    assert "no token can be verified" in outcome.err


def test_what_is_read_of_a_token(
    portward: Console, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An accepted token is shown as the gateway reads it, and a configured claim that it lacks is named."""
    monkeypatch.setenv("PORTWARD_TOKENS__CLAIMS__ROLES", "realm_access.roles")
    monkeypatch.setenv("PORTWARD_TOKENS__CLAIMS__PERMISSIONS", "scope")
    monkeypatch.setenv("PORTWARD_TOKENS__CLAIMS__SPLIT", "permissions")
    claims = {"sub": "ann", "exp": 9_000_000_000, "scope": "write read", "jti": "j1"}
    outcome = portward("inspect", sign({**claims, "realm_access": {"roles": ["b", "a"]}}, SECRET))
    assert (outcome.code, outcome.err) == (0, "")
    read = [each.split(maxsplit=1)[1] for each in outcome.lines if each.startswith("reads ")]
    assert read == ["roles a, b", "permissions read, write", "jti j1"]
    outcome = portward("inspect", sign(claims, SECRET))
    assert outcome.code == 0
    assert "no claim realm_access.roles, which tokens.claims names" in outcome.err


def test_tokens_are_made_as_they_are_read(
    portward: Console, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `token` makes has each claim at its configured place, and what the settings require."""
    monkeypatch.setenv("PORTWARD_TOKENS__CLAIMS__ROLES", "realm_access.roles")
    monkeypatch.setenv("PORTWARD_TOKENS__CLAIMS__SPLIT", "roles")
    monkeypatch.setenv("PORTWARD_TOKENS__REQUIRE", '{"token_use": "access", "act.n": 5}')
    made = portward("token", "--sub", "ann", "--role", "a", "--role", "b")
    assert (made.code, made.err) == (0, "")
    outcome = portward("inspect", made.lines[0])
    assert outcome.code == 0
    assert "roles a, b" in outcome.out


def test_key_brought_along(portward: Console, secret: str) -> None:
    """A token that brings its own key is told of, and judged without it."""
    head = '{"alg":"HS256","jwk":{}}'
    outcome = portward("inspect", _signed(head, '{"sub":"ann","exp":9000000000}'))
    assert outcome.code == 0
    assert "ignored: jwk" in outcome.err


def test_named_key(portward: Console, secret: str) -> None:
    """The key a token names is shown with its algorithm."""
    outcome = portward("inspect", _signed('{"alg":"HS256","kid":"k1"}', '{"sub":"a","exp":9e9}'))
    assert outcome.lines[0] == "signed with  HS256, key k1"


def _signed(head: str, payload: str) -> str:
    parts = [base64.urlsafe_b64encode(each.encode()).rstrip(b"=") for each in (head, payload)]
    signed = b".".join(parts)
    code = hmac.digest(SECRET.encode(), signed, "sha256")
    return (signed + b"." + base64.urlsafe_b64encode(code).rstrip(b"=")).decode()


@pytest.mark.parametrize(("text", "value"), [("90s", 90.0), ("1h", 3600.0), ("2", 2.0)])
def test_durations(text: str, value: float) -> None:
    """A life is written as durations are in the settings."""
    assert seconds(text) == value


def test_duration_of_nothing() -> None:
    """A life of nothing is none."""
    with pytest.raises(UsageError):
        seconds("0s")


def test_moment_of_a_wild_claim() -> None:
    """A time that is none is shown as the number it is."""
    wild: list[Any] = [1e300, "now"]
    assert [tokens._moment("exp", each) for each in wild] == ["", ""]
    assert tokens._moment("x", 1) == ""
