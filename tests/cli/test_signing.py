from typing import Any

import pytest
from msgspec.structs import replace

from portward.cli.signing import TokenClaims, mint, objection
from portward.cli.terminal import CommandRefused
from portward.security.jws import parse_compact, strict_object
from portward.settings import Secret, Settings
from portward.settings.tokens import Claims, Tokens

SECRET = "tQ0v5C7nM2xK9wR4eJ8yB1zL6hF3sD0aPqUgXiVo"


def settings(**tokens: Any) -> Settings:
    """Settings with a token secret."""
    return Settings(tokens=Tokens(**{"secrets": (Secret(SECRET),), **tokens}))


def claims(token: str) -> dict[str, Any]:
    """What a token says."""
    return strict_object(parse_compact(token).payload)


def test_least() -> None:
    """A token says for whom, since when, until when, and its own id; nothing that is empty."""
    made = claims(mint(settings(), TokenClaims(sub="ann", ttl=60.0)))
    assert set(made) == {"sub", "iat", "exp", "jti"}
    assert (made["sub"], made["exp"] - made["iat"]) == ("ann", 60)


def test_everything() -> None:
    """Claims stand under their configured names, with issuer and audience."""
    names = Claims(roles="groups", workspace="tenant")
    bearer = TokenClaims(
        sub="ann",
        roles=("user",),
        permissions=("room.create",),
        workspace="w1",
        email="a@x.org",
        claims={"x": 1, "sub": "bob"},
    )
    chosen = settings(claims=names, issuer="https://i", audience="a")
    token = mint(chosen, bearer)
    made = claims(token)
    del made["iat"], made["exp"], made["jti"]
    assert made == {
        "sub": "bob",
        "groups": ["user"],
        "permissions": ["room.create"],
        "tenant": "w1",
        "email": "a@x.org",
        "iss": "https://i",
        "aud": "a",
        "x": 1,
    }
    assert objection(chosen, token) is None


def test_objection() -> None:
    """A token the gateway would refuse is known as such."""
    refused = objection(
        settings(), mint(settings(), TokenClaims(sub="ann", claims={"type": "refresh"}))
    )
    assert refused is not None
    assert refused.claim == "type"


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (Tokens(jwks_url="https://issuer.example.org/keys"), "public keys"),
        (Tokens(public_keys=("-----BEGIN PUBLIC KEY-----",)), "public keys"),
        (Tokens(), r"tokens\.secrets is not set"),
    ],
)
def test_no_secret(tokens: Tokens, text: str) -> None:
    """Without a secret no token can be made, and the text says why."""
    with pytest.raises(CommandRefused, match=text):
        mint(replace(Settings(), tokens=tokens), TokenClaims(sub="ann"))
