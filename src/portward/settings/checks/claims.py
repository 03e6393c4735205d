"""Rules about the claims from which the gateway reads a user's rights."""

import re
from collections.abc import Iterator
from typing import Final

from portward.model.claim_path import ClaimPath
from portward.model.token_class import CLASS_CLAIMS, OTHER_CLASSES
from portward.settings.checks.rule import CheckLevel, CheckProblem, CheckRule, Context
from portward.settings.tokens import Claims

_SIGNS: Final = re.compile(r"[^a-z0-9]+")
_MARKS: Final = re.compile(r"[/:#]")
_USER_WRITTEN: Final = frozenset(
    {
        *("usermetadata", "unsafemetadata", "rawusermetadata", "usermeta", "clientmetadata"),
        *("userattributes", "customuserdata", "userdata", "traits"),
    }
)
"""Objects that users can edit themselves at Supabase, Auth0, Clerk, Cognito, Kratos and others."""
_PROFILE: Final = frozenset(
    {
        *("name", "givenname", "familyname", "middlename", "nickname", "preferredusername"),
        *("profile", "picture", "website", "gender", "birthdate", "zoneinfo", "locale"),
        *("phonenumber", "address", "displayname", "username", "email", "bio"),
    }
)
"""Claims of OpenID Connect Core 5.1 and similar ones, which users can set themselves."""
_OWN: Final = "custom:"
"""The prefix of custom attributes in Cognito; by default users can set them."""
_RIGHTS: Final = ("sub", "roles", "permissions", "workspace", "jti", "sid", "channels")
"""The claims that determine identity or rights, or whether a revocation applies to the token."""


def _paths(context: Context) -> Iterator[tuple[str, ClaimPath]]:
    """Yield the settings keys that determine rights by a claim, each with its claim."""
    tokens = context.settings.tokens
    for name in _RIGHTS:
        yield f"tokens.claims.{name}", _read(getattr(tokens.claims, name))
    for place in tokens.require:
        yield f"tokens.require: {place}", _read(place)


def _read(place: str | tuple[str, ...]) -> ClaimPath:
    """Parse a claim path; an invalid one gives an empty path, and another rule reports it."""
    try:
        return ClaimPath.parse(place)
    except ValueError:
        return ClaimPath(())


def _words(path: ClaimPath) -> list[str]:
    """Return every part of the keys without signs: `https://x.example/user_metadata` has `usermetadata`."""
    parts = (part for key in path.keys for part in _MARKS.split(key))
    return [_SIGNS.sub("", part.lower()) for part in parts]


def _user_written(context: Context) -> Iterator[CheckProblem]:
    for key, path in _paths(context):
        words = _words(path)
        change = f"{key.partition(': ')[0]}  # a claim that only the issuer or your backend writes"
        if not _USER_WRITTEN.isdisjoint(words):
            what = f"{key} reads {path}, which users write themselves: anybody can have any right"
            yield CheckProblem(CheckLevel.FAIL, what, change)
        elif len(words) == 1 and words[0] in _PROFILE:
            is_sub = key == "tokens.claims.sub"
            what = f"{key} reads {path}, which users may change themselves at most issuers"
            yield CheckProblem(CheckLevel.WARN if is_sub else CheckLevel.FAIL, what, change)
        elif path.keys and path.keys[0].lower().startswith(_OWN):
            what = (
                f"{key} reads {path}: see that no client of the user pool may write the attribute"
            )
            yield CheckProblem(CheckLevel.WARN, what, change)


def _form(context: Context) -> Iterator[CheckProblem]:
    tokens = context.settings.tokens
    if not _read(tokens.claims.sub).keys:
        what = "tokens.claims.sub names no claim: no token says whose it is, and none is accepted"
        yield CheckProblem(CheckLevel.FAIL, what, f'tokens.claims.sub = "{Claims().sub}"')
    for name in _RIGHTS[1:]:
        place = getattr(tokens.claims, name)
        if place and not _read(place).keys:
            what = f"tokens.claims.{name} is no name, path or list of keys"
            yield CheckProblem(CheckLevel.FAIL, what, f'tokens.claims.{name} = "{name}"')
    for place in tokens.require:
        if not _read(place).keys:
            what = f"tokens.require: {place!r} is no name, path or list of keys"
            yield CheckProblem(CheckLevel.FAIL, what, '[tokens.require]  # token_use = "access"')


def _contradiction(context: Context) -> Iterator[CheckProblem]:
    for name, values in context.settings.tokens.require.items():
        asked = {each.lower() if isinstance(each, str) else "" for each in values}
        if name in CLASS_CLAIMS and asked <= OTHER_CLASSES:
            what = f"tokens.require asks for a {name} that marks no access token: none is accepted"
            yield CheckProblem(CheckLevel.FAIL, what, f'tokens.require.{name} = "access"')


CLAIM_RULES: Final = (
    CheckRule("claim-form", "each claim that is read has a name", _form, always=True),
    CheckRule("claim-user-written", "no right is read from what users write", _user_written),
    CheckRule(
        "claim-required", "the claims asked for can be those of an access token", _contradiction
    ),
)
