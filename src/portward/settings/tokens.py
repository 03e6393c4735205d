"""The tables about the verification of tokens and about their claims."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field
from msgspec.structs import asdict

from portward.model.claim_path import ClaimPath
from portward.model.limits import KIB, MAX_TOKEN, TOKEN
from portward.settings.formats import PLAIN, SIZE
from portward.settings.meta import RELOAD, Claim, FieldMeta, Seconds
from portward.settings.secret import Secret


class Claims(Struct, frozen=True, kw_only=True):
    """The places in a token that the gateway reads: the name of a claim, or a path."""

    sub: Annotated[Claim, RELOAD] = "sub"
    """The user's id."""
    email: Annotated[Claim, RELOAD] = "email"
    """The e-mail address."""
    roles: Annotated[Claim, RELOAD] = "roles"
    """The roles."""
    permissions: Annotated[Claim, RELOAD] = "permissions"
    """The permissions."""
    workspace: Annotated[Claim, RELOAD] = "workspaceId"
    """The workspace."""
    jti: Annotated[Claim, RELOAD] = "jti"
    """The token's id."""
    sid: Annotated[Claim, RELOAD] = "sid"
    """The session's id."""
    channels: Annotated[Claim, RELOAD] = "channels"
    """The rights per channel."""
    split: Annotated[tuple[Literal["roles", "permissions"], ...], RELOAD] = ()
    """Which of them are one text with blanks between its parts, as in `scope`."""


class Tokens(Struct, frozen=True, kw_only=True):
    """The verification of tokens: with shared secrets, or with the issuer's public keys."""

    secrets: Annotated[tuple[Secret, ...], RELOAD] = ()
    """HMAC secrets, at least 32 bytes: all verify, the first signs."""
    secrets_file: Annotated[str, RELOAD] = ""
    """File with `secrets`, one per line."""
    session_secret: Annotated[Secret, RELOAD] = Secret()
    """Signs the tokens with which a client resumes its session; made at start when not set."""
    session_secret_file: Annotated[str, RELOAD] = ""
    """File with `session_secret`."""
    jwks_url: Annotated[str, RELOAD] = ""
    """Address of the issuer's key set."""
    public_keys: Annotated[tuple[str, ...], RELOAD] = ()
    """Public keys of the issuer, each in PEM."""
    public_keys_file: Annotated[str, RELOAD] = ""
    """File with `public_keys`, one PEM block after another."""
    issuer: Annotated[str, RELOAD] = ""
    """`iss` a token must carry; empty: any."""
    audience: Annotated[str, RELOAD] = ""
    """`aud` a token must carry; empty: any."""
    leeway: Annotated[Seconds, Meta(le=60), RELOAD] = 30.0
    """Difference of clocks that is forgiven, at most 60s."""
    max_lifetime: Annotated[Seconds, RELOAD] = 0.0
    """Longest life of a token from `iat` to `exp`; 0 for any."""
    max_size: Annotated[int, Meta(ge=KIB, le=MAX_TOKEN), SIZE] = TOKEN
    """Longest token, at most 32KiB; over 8KiB request heads and first messages may be larger by as
    much as a token.
    """
    require: Mapping[
        str,
        Annotated[
            tuple[str | float | bool, ...],
            PLAIN,
            FieldMeta("what this claim must be, or a list of what it may be", reload=True),
        ],
    ] = field(default_factory=dict)
    """Claims that a token must carry, by name or path."""
    claims: Claims = Claims()
    """Claim of the token."""


MAX_LEEWAY: Final = 60.0


class TokenRules(Tokens, frozen=True, kw_only=True):
    """The verification of tokens with all paths parsed.

    `leeway` applies to `exp`, `nbf` and `iat`. `max_lifetime` limits `exp - iat`; 0 is no limit. An empty
    issuer or audience is not checked.

    Raises:
        ValueError: the leeway is not between 0 and 60, the lifetime is negative, or the size is not
            between 1 and 32 KiB.
    """

    paths: Mapping[str, ClaimPath]
    """The places of the claims that the gateway reads, by their keys under `claims`."""
    required: tuple[tuple[ClaimPath, tuple[str | float | bool, ...]], ...]
    """Claims that must exist, each with its allowed values."""
    watched: tuple[ClaimPath, ...]
    """Claims in other places than the usual ones, whose absence is reported."""

    def __post_init__(self) -> None:
        if not 0 <= self.leeway <= MAX_LEEWAY:
            raise ValueError("leeway is between 0 and 60 seconds")
        if self.max_lifetime < 0:
            raise ValueError("a lifetime is not negative")
        if not 0 < self.max_size <= MAX_TOKEN:
            raise ValueError("a token has at most 32 KiB")


def token_rules(tokens: Tokens) -> TokenRules:
    """Parse the paths of the claims.

    Raises:
        ValueError: a path cannot be parsed, or a value is out of its range.
    """
    usual = asdict(Claims())
    places = {name: each for name, each in asdict(tokens.claims).items() if name != "split"}
    paths = {name: ClaimPath.parse(each) for name, each in places.items()}
    return TokenRules(
        **asdict(tokens),
        paths=paths,
        required=tuple((ClaimPath.parse(path), each) for path, each in tokens.require.items()),
        watched=tuple(paths[name] for name, each in places.items() if each and each != usual[name]),
    )
