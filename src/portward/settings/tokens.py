"""How tokens are verified, and where in them is what is read."""

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from portward.model.limits import KIB, MAX_TOKEN, TOKEN
from portward.settings.about import About, Claim, Seconds
from portward.settings.claim_forms import PLAIN
from portward.settings.secret import Secret
from portward.settings.values import SIZE


class Claims(Struct, frozen=True, kw_only=True):
    """Where in a token is what is read from it: the name of a claim, or a path."""

    sub: Annotated[Claim, About("the user's id", reload=True)] = "sub"
    email: Annotated[Claim, About("the e-mail address", reload=True)] = "email"
    roles: Annotated[Claim, About("the roles", reload=True)] = "roles"
    permissions: Annotated[Claim, About("the permissions", reload=True)] = "permissions"
    workspace: Annotated[Claim, About("the workspace", reload=True)] = "workspaceId"
    jti: Annotated[Claim, About("the token's id", reload=True)] = "jti"
    sid: Annotated[Claim, About("the session's id", reload=True)] = "sid"
    channels: Annotated[Claim, About("the rights per channel", reload=True)] = "channels"
    split: Annotated[
        tuple[Literal["roles", "permissions"], ...],
        About(
            "which of them are one text with blanks between its parts, as in `scope`", reload=True
        ),
    ] = ()


class Tokens(Struct, frozen=True, kw_only=True):
    """How tokens are verified: with shared secrets, or with the issuer's public keys."""

    secrets: Annotated[
        tuple[Secret, ...],
        About("HMAC secrets, at least 32 bytes: all verify, the first signs", reload=True),
    ] = ()
    secrets_file: Annotated[str, About("file with `secrets`, one per line", reload=True)] = ""
    session_secret: Annotated[
        Secret,
        About(
            "signs the tokens with which a client resumes its session; made at start when not set",
            reload=True,
        ),
    ] = Secret()
    session_secret_file: Annotated[str, About("file with `session_secret`", reload=True)] = ""
    jwks_url: Annotated[str, About("address of the issuer's key set", reload=True)] = ""
    public_keys: Annotated[
        tuple[str, ...], About("public keys of the issuer, each in PEM", reload=True)
    ] = ()
    public_keys_file: Annotated[
        str, About("file with `public_keys`, one PEM block after another", reload=True)
    ] = ""
    issuer: Annotated[str, About("`iss` a token must carry; empty: any", reload=True)] = ""
    audience: Annotated[str, About("`aud` a token must carry; empty: any", reload=True)] = ""
    leeway: Annotated[
        Seconds,
        Meta(le=60),
        About("difference of clocks that is forgiven, at most 60s", reload=True),
    ] = 30.0
    max_lifetime: Annotated[
        Seconds, About("longest life of a token from `iat` to `exp`; 0 for any", reload=True)
    ] = 0.0
    max_size: Annotated[
        int,
        Meta(ge=KIB, le=MAX_TOKEN),
        SIZE,
        About(
            "longest token, at most 32KiB; over 8KiB request heads and first messages may be larger by"
            " as much as a token"
        ),
    ] = TOKEN
    require: Annotated[
        Mapping[
            str,
            Annotated[
                tuple[str | float | bool, ...],
                PLAIN,
                About("what this claim must be, or a list of what it may be", reload=True),
            ],
        ],
        About("Claims that a token must carry, by name or path."),
    ] = field(default_factory=dict)
    claims: Annotated[Claims, About("Claim of the token.")] = Claims()
