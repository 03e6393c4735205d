"""Access tokens made with the configured secret."""

import secrets as random
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from portward.cli.terminal import CommandRefused
from portward.model.claim_path import ClaimPath
from portward.security.tokens import KeySet, TokenRefused, secret_key, sign, verify
from portward.settings import Settings
from portward.settings.tokens import token_rules

HOUR = 3600.0


class TokenClaims(msgspec.Struct, frozen=True, kw_only=True):
    """The claims of a token. `ttl` is in seconds; `claims` are added to the other ones."""

    sub: str
    roles: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    workspace: str | None = None
    email: str | None = None
    ttl: float = HOUR
    claims: Mapping[str, Any] = msgspec.field(default_factory=dict)


def mint(settings: Settings, bearer: TokenClaims) -> str:
    """Make a token with the configured names of claims, issuer and audience.

    Raises:
        CommandRefused: there is no secret, or there are public keys instead.
    """
    tokens = settings.tokens
    if tokens.jwks_url or tokens.public_keys:
        raise CommandRefused(
            "tokens are verified with public keys here: only their issuer, who has the private"
            " one, can make them"
        )
    if not tokens.secrets:
        raise CommandRefused("tokens.secrets is not set: there is nothing to sign a token with")
    return sign(_claims(settings, bearer), tokens.secrets[0].reveal())


def _claims(settings: Settings, bearer: TokenClaims) -> dict[str, Any]:
    tokens, names, now = settings.tokens, settings.tokens.claims, time.time()
    claims: dict[str, Any] = {"iat": int(now), "exp": int(now + bearer.ttl)}
    registered = {"iss": tokens.issuer, "aud": tokens.audience}
    claims |= {name: value for name, value in registered.items() if value}
    for name, values in tokens.require.items():
        ClaimPath.parse(name).put(claims, values[0])
    carried: list[tuple[str | tuple[str, ...], Any]] = [
        (names.sub, bearer.sub),
        (names.jti, random.token_hex(8)),
        (names.roles, _several(settings, "roles", bearer.roles)),
        (names.permissions, _several(settings, "permissions", bearer.permissions)),
        (names.workspace, bearer.workspace),
        (names.email, bearer.email),
    ]
    for place, value in carried:
        path = ClaimPath.parse(place)
        if value and path.keys:
            path.put(claims, value)
    return claims | dict(bearer.claims)


def _several(settings: Settings, name: str, values: tuple[str, ...]) -> list[str] | str:
    """Return a list, or one text when the settings split the claim at blanks."""
    return " ".join(values) if name in settings.tokens.claims.split else list(values)


def objection(settings: Settings, token: str) -> TokenRefused | None:
    """Return why the gateway would refuse a token made here; None when it would accept it."""
    tokens = settings.tokens
    keys = KeySet([secret_key(tokens.secrets[0].reveal())], issuer=tokens.issuer)
    try:
        verify(token, keys, token_rules(tokens), time.time())
    except TokenRefused as refused:
        return refused
    return None
