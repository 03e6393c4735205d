"""`portward token` and `portward inspect`: making access tokens, and verifying them."""

import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from portward.app.build import make_keys
from portward.cli.config import ConfigOption, given_token, read, with_secrets, with_stored_secrets
from portward.cli.signing import TokenClaims, mint, objection
from portward.cli.terminal import CommandRefused, UsageError, complain, line, shown
from portward.identity.verifier import TokenVerifier
from portward.model.errors import Unavailable
from portward.model.identity import Identity
from portward.model.limits import MAX_TOKEN
from portward.node.sessions import LoopClock
from portward.security.jwk import DroppedKey
from portward.security.jws import parse_compact, strict_object
from portward.security.tokens import TokenReason, TokenRefused
from portward.settings import Settings
from portward.settings.formats import parse_duration, show_duration
from portward.settings.tokens import token_rules

DEFAULT_ROLE: Final = "user"
_TIMES: Final = frozenset({"exp", "iat", "nbf"})
REASONS: Final = {
    TokenReason.TOO_LONG: "it is longer than tokens.max_size",
    TokenReason.MALFORMED: "it is not a signed token in compact form",
    TokenReason.CRITICAL: "it has a header that must be understood, and is not",
    TokenReason.TYPE: "it is another kind of token",
    TokenReason.ALGORITHM: "its algorithm does not belong to any configured key",
    TokenReason.KEY: "it names a key that is not known",
    TokenReason.SIGNATURE: "its signature is not by any configured key",
    TokenReason.CLAIMS: "a claim is missing or is not what it must be",
    TokenReason.EXPIRED: "it has expired",
    TokenReason.NOT_YET: "it is not valid yet",
    TokenReason.LIFETIME: "its lifetime is longer than tokens.max_lifetime",
    TokenReason.ISSUER: "it is by another issuer",
    TokenReason.AUDIENCE: "it is for another audience",
    TokenReason.REQUIRED: "a claim is not what tokens.require asks for",
}


def seconds(text: str) -> float:
    """Parse a duration such as `90s` or `1h`; a plain number is in seconds.

    Raises:
        UsageError: it is no duration, or is zero.
    """
    try:
        value = parse_duration(float(text) if text.isdecimal() else text)
    except ValueError as error:
        raise UsageError(f"--ttl: {error}") from None
    if value <= 0:
        raise UsageError("--ttl: the lifetime of a token is longer than 0")
    return value


def pairs(entries: Iterable[str]) -> dict[str, Any]:
    """Parse entries `name=value`; a value that is JSON is parsed, any other is a text.

    Raises:
        UsageError: an entry has no name or no `=`.
    """
    claims = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not (name and equals):
            raise UsageError(f"--claim {shown(entry)!r} is not written name=value")
        try:
            claims[name] = json.loads(value)
        except ValueError:
            claims[name] = value
    return claims


def token(
    *,
    sub: Annotated[str, typer.Option(help="The user's id.")],
    config: ConfigOption = None,
    role: Annotated[
        list[str] | None, typer.Option(help="A role; repeat for more. Default: user.")
    ] = None,
    no_role: Annotated[bool, typer.Option("--no-role", help="No role.")] = False,
    workspace: Annotated[str | None, typer.Option(help="The workspace.")] = None,
    permission: Annotated[
        list[str] | None, typer.Option(help="A permission; repeat for more.")
    ] = None,
    email: Annotated[str | None, typer.Option(help="The e-mail address.")] = None,
    ttl: Annotated[str, typer.Option(help="As 90s or 1h.", metavar="DURATION")] = "1h",
    claim: Annotated[list[str] | None, typer.Option(help="Any claim, as name=value.")] = None,
) -> None:
    """Make an access token with the configured secret, and print it."""
    settings = with_secrets(read(config)).settings
    made = mint(
        settings,
        TokenClaims(
            sub=sub,
            roles=() if no_role else tuple(role or [DEFAULT_ROLE]),
            permissions=tuple(permission or ()),
            workspace=workspace,
            email=email,
            ttl=seconds(ttl),
            claims=pairs(claim or ()),
        ),
    )
    refused = objection(settings, made)
    if refused is not None:
        complain(f"portward: the gateway would refuse this token: {_why(refused)}")
    line(made)


def inspect(
    token: Annotated[str, typer.Argument(help="The token, or - for standard input.")],
    config: ConfigOption = None,
) -> int:
    """Verify a token as the gateway does; print its claims, and why it is refused.

    It does not show whether the token was revoked: only the running gateway has that.
    """
    settings = with_stored_secrets(read(config)).settings
    text = given_token(token)
    _describe(text)
    keys = settings.tokens
    if not (keys.secrets or keys.jwks_url or keys.public_keys):
        raise CommandRefused("no token can be verified: no key is configured")
    try:
        identity = asyncio.run(_identify(settings, text))
    except TokenRefused as refused:
        raise CommandRefused(f"the token is refused: {_why(refused)}") from None
    except Unavailable:
        raise CommandRefused("the issuer's key set cannot be fetched") from None
    except ValueError as error:
        raise CommandRefused(f"no token can be verified: {error}") from None
    _read_from(settings, text, identity)
    line(f"accepted: {shown(identity.subject)}, for another {_left(identity)}")
    return 0


async def _identify(settings: Settings, token: str) -> Identity:
    clock = LoopClock()
    keys = make_keys(settings.tokens, clock, _dropped)
    verifier = TokenVerifier(keys, token_rules(settings.tokens), clock, _ignored)
    verifier.start()
    try:
        return await verifier.identify(token)
    finally:
        await verifier.aclose()


def _dropped(key: DroppedKey) -> None:
    name = f" {shown(key.kid)}" if key.kid else ""
    complain(f"portward: the key set has an entry{name} that is not used: {key.reason}")


def _ignored(headers: tuple[str, ...]) -> None:
    complain(f"portward: it contains its own key, which is ignored: {', '.join(headers)}")


def _describe(token: str) -> None:
    """Print the header and claims of the token, without verification."""
    try:
        compact = parse_compact(token, MAX_TOKEN)
        claims = strict_object(compact.payload)
    except TokenRefused:
        return
    key = f", key {compact.kid}" if compact.kid else ""
    line(f"{'signed with':<12} {shown(compact.algorithm + key)}")
    for name, value in claims.items():
        said = json.dumps(value, ensure_ascii=False)
        line(f"{shown(name):<12} {shown(said)}{_moment(name, value)}")


def _read_from(settings: Settings, token: str, identity: Identity) -> None:
    """Print what was read from an accepted token, and which configured claims it does not have."""
    read = {
        "email": identity.email,
        "roles": ", ".join(sorted(identity.roles)),
        "permissions": ", ".join(sorted(identity.permissions)),
        "workspace": identity.workspace,
        "jti": identity.token_id,
        "sid": identity.session_id,
    }
    for name, value in read.items():
        if value:
            line(f"{'reads':<12} {name} {shown(value)}")
    claims = strict_object(parse_compact(token, MAX_TOKEN).payload)
    for path in token_rules(settings.tokens).watched:
        if path.find(claims) is None:
            complain(
                f"portward: the token has no claim {shown(str(path))}, which tokens.claims names"
            )


def _moment(name: str, value: object) -> str:
    if name not in _TIMES or not isinstance(value, int | float):
        return ""
    try:
        return f"  ({datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC)"
    except (ValueError, OverflowError, OSError):
        return ""


def _left(identity: Identity) -> str:
    left = (identity.expires_at or 0.0) - datetime.now(UTC).timestamp()
    return show_duration(float(max(0, round(left))))


def _why(refused: TokenRefused) -> str:
    claim = f" ({refused.claim})" if refused.claim else ""
    return REASONS[refused.reason] + claim
