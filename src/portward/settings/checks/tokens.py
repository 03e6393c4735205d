"""Rules about tokens: their secrets and keys, and the claims from which a user's rights are read."""

import re
from collections.abc import Iterator
from typing import Final

from portward.model.claim_path import ClaimPath
from portward.model.limits import KIB, MAX_TOKEN
from portward.model.token_class import CLASS_CLAIMS, OTHER_CLASSES
from portward.settings.checks.rule import FAIL, WARN, Context, Problems, RuleTable
from portward.settings.checks.secrets import disguise, weakness
from portward.settings.checks.unused import (
    HMAC_SECRET,
    JWKS,
    PUBLIC_KEYS,
    SESSION_SECRET,
    SIGNING,
    TOKEN_KEYS,
    TOKEN_SECRETS,
)
from portward.settings.endpoint import AuthMode, CredentialSource, EndpointSettings
from portward.settings.formats import show_size
from portward.settings.tokens import MAX_LEEWAY, Claims

_FOR_CLIENT: Final = frozenset({"client_id", "azp", "appid", "cid"})
_AROUND: Final = KIB
"""Bytes of a message in addition to the token in it."""
_FRESH: Final = "the output of `openssl rand -base64 48`"
_SECRETS: Final = f'tokens.secrets = ["…"]  # {_FRESH}'
_SESSION: Final = f'tokens.session_secret = "…"  # {_FRESH}'
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
RULES: Final = RuleTable()


@RULES.rule("token-key-missing", "there is a key to verify tokens with")
def _missing(context: Context) -> Problems:
    if not TOKEN_KEYS.used(context) and any(map(_takes_tokens, context.served.values())):
        what = "no secret and no public key is set, so no token from outside can be verified"
        yield context.grave, what, _SECRETS


def _takes_tokens(endpoint: EndpointSettings) -> bool:
    """Return whether an endpoint accepts tokens or tickets, and not only cookies."""
    return endpoint.auth is AuthMode.TOKEN and endpoint.credentials != (CredentialSource.COOKIE,)


@RULES.rule("token-secret-empty", "no token secret is empty", TOKEN_SECRETS, always=True)
def _empty(context: Context) -> Problems:
    if not all(context.settings.tokens.secrets):
        yield FAIL, "tokens.secrets has an empty entry", _SECRETS


@RULES.rule("token-secret-weak", "token secrets are long and random", TOKEN_SECRETS)
def _weak(context: Context) -> Problems:
    for number, secret in enumerate(context.settings.tokens.secrets, start=1):
        why = weakness(secret.reveal())
        if why:
            yield context.grave, f"tokens.secrets entry {number} {why}", _SECRETS


@RULES.rule(
    "secret-is-a-key", "no HMAC secret looks like another kind of key", HMAC_SECRET, always=True
)
def _disguised(context: Context) -> Problems:
    tokens = context.settings.tokens
    held = [(f"tokens.secrets entry {n}", secret) for n, secret in enumerate(tokens.secrets, 1)]
    for where, secret in [*held, ("tokens.session_secret", tokens.session_secret)]:
        kind = disguise(secret.reveal())
        if kind:
            what = f"{where} looks like a key in {kind} form, which is no HMAC secret"
            yield FAIL, what, 'tokens.public_keys = ["…"]  # if it is a public key'


@RULES.rule("session-secret-missing", "sessions can be resumed after a restart")
def _session_missing(context: Context) -> Problems:
    if not context.settings.tokens.session_secret:
        what = "tokens.session_secret is not set: sessions cannot be resumed after a restart"
        yield WARN, what, _SESSION


@RULES.rule("session-secret-weak", "the session secret is long and random", SESSION_SECRET)
def _session_weak(context: Context) -> Problems:
    why = weakness(context.settings.tokens.session_secret.reveal())
    if why:
        yield context.grave, f"tokens.session_secret {why}", _SESSION


@RULES.rule(
    "session-secret-reused", "the session secret serves nothing else", SESSION_SECRET, always=True
)
def _session_reused(context: Context) -> Problems:
    tokens = context.settings.tokens
    if tokens.session_secret in tokens.secrets:
        what = "tokens.session_secret is also a token secret, so one kind of token passes as"
        yield FAIL, f"{what} another", _SESSION


@RULES.rule("keys-mixed", "the issuer has one kind of key", TOKEN_KEYS, always=True)
def _mixed(context: Context) -> Problems:
    tokens = context.settings.tokens
    if tokens.secrets and (tokens.jwks_url or tokens.public_keys):
        what = "the one issuer has shared secrets and public keys, which invites confusing the two"
        yield FAIL, what, "tokens.secrets = []  # or remove the public keys"


@RULES.rule("jwks-not-https", "the key set is fetched over https", JWKS)
def _jwks(context: Context) -> Problems:
    if not context.settings.tokens.jwks_url.startswith("https://"):
        what = "tokens.jwks_url is not https: whoever is on the way can hand in keys"
        yield context.grave, what, 'tokens.jwks_url = "https://…"'


@RULES.rule("public-key-form", "public keys are in PEM", PUBLIC_KEYS, always=True)
def _public(context: Context) -> Problems:
    for number, key in enumerate(context.settings.tokens.public_keys, start=1):
        if "-----BEGIN" not in key:
            what = f"tokens.public_keys entry {number} is not in PEM"
            yield FAIL, what, 'tokens.public_keys = ["-----BEGIN PUBLIC KEY-----…"]'


@RULES.rule("token-claims", "issuer and audience are checked")
def _issuer(context: Context) -> Problems:
    tokens = context.settings.tokens
    for name in ("issuer", "audience"):
        # Issuers without `aud` name the client of a token in another claim.
        named = name == "audience" and not _FOR_CLIENT.isdisjoint(tokens.require)
        if not getattr(tokens, name) and not named:
            what = f"tokens.{name} is empty: tokens meant for others who use this key pass as well"
            yield WARN, what, f'tokens.{name} = "…"'


@RULES.rule("token-size", "a token fits where it may be sent", always=True)
def _size(context: Context) -> Problems:
    size = context.settings.tokens.max_size
    if not KIB <= size <= MAX_TOKEN:
        what = "tokens.max_size is not within 1 and 32 KiB"
        yield FAIL, what, 'tokens.max_size = "8KiB"'
        return
    needed = size + _AROUND
    for name, endpoint in context.served.items():
        if CredentialSource.MESSAGE in endpoint.credentials and endpoint.max_message < needed:
            what = (
                f"endpoint {name} takes tokens in messages of at most {show_size(endpoint.max_message)},"
                f" where one of tokens.max_size does not fit"
            )
            yield WARN, what, f'endpoints.{name}.max_message = "{show_size(needed)}"'


@RULES.rule("leeway", "clocks are forgiven at most a minute", always=True)
def _leeway(context: Context) -> Problems:
    if not 0 <= context.settings.tokens.leeway <= MAX_LEEWAY:
        yield FAIL, "tokens.leeway is more than a minute", 'tokens.leeway = "30s"'


@RULES.endpoints(
    "sign-secret", "signed messages have a good secret of their own", SIGNING, always=True
)
def _signing(context: Context, name: str, endpoint: EndpointSettings) -> Problems:
    tokens, key = context.settings.tokens, f"endpoints.{name}.sign_secret"
    if not endpoint.sign_messages:
        return
    why = weakness(endpoint.sign_secret.reveal())
    if not endpoint.sign_secret:
        yield FAIL, f"{key} is not set, and messages are to be signed", f'{key} = "…"'
    elif endpoint.sign_secret in (*tokens.secrets, tokens.session_secret):
        yield FAIL, f"{key} is a secret that tokens are signed with", f'{key} = "…"'
    elif why:
        yield context.grave, f"{key} {why}", f'{key} = "…"'


def _read(place: str | tuple[str, ...]) -> ClaimPath:
    """Parse a claim path; an invalid one gives an empty path, and `claim-form` reports it."""
    try:
        return ClaimPath.parse(place)
    except ValueError:
        return ClaimPath(())


@RULES.rule("claim-form", "each claim that is read has a name", always=True)
def _form(context: Context) -> Problems:
    tokens = context.settings.tokens
    if not _read(tokens.claims.sub).keys:
        what = "tokens.claims.sub names no claim: no token says whose it is, and none is accepted"
        yield FAIL, what, f'tokens.claims.sub = "{Claims().sub}"'
    for name in _RIGHTS[1:]:
        place = getattr(tokens.claims, name)
        if place and not _read(place).keys:
            what = f"tokens.claims.{name} is no name, path or list of keys"
            yield FAIL, what, f'tokens.claims.{name} = "{name}"'
    for place in tokens.require:
        if not _read(place).keys:
            what = f"tokens.require: {place!r} is no name, path or list of keys"
            yield FAIL, what, '[tokens.require]  # token_use = "access"'


def _paths(context: Context) -> Iterator[tuple[str, ClaimPath]]:
    """Yield the settings keys that determine rights by a claim, each with its claim."""
    tokens = context.settings.tokens
    for name in _RIGHTS:
        yield f"tokens.claims.{name}", _read(getattr(tokens.claims, name))
    for place in tokens.require:
        yield f"tokens.require: {place}", _read(place)


@RULES.rule("claim-user-written", "no right is read from what users write")
def _user_written(context: Context) -> Problems:
    for key, path in _paths(context):
        # Every part of the keys without signs: `https://x.example/user_metadata` has `usermetadata`.
        parts = (part for each in path.keys for part in _MARKS.split(each))
        words = [_SIGNS.sub("", part.lower()) for part in parts]
        change = f"{key.partition(': ')[0]}  # a claim that only the issuer or your backend writes"
        if not _USER_WRITTEN.isdisjoint(words):
            what = f"{key} reads {path}, which users write themselves: anybody can have any right"
            yield FAIL, what, change
        elif len(words) == 1 and words[0] in _PROFILE:
            what = f"{key} reads {path}, which users may change themselves at most issuers"
            yield WARN if key == "tokens.claims.sub" else FAIL, what, change
        elif path.keys and path.keys[0].lower().startswith(_OWN):
            what = f"{key} reads {path}: see that no client of the user pool may write the"
            yield WARN, f"{what} attribute", change


@RULES.rule("claim-required", "the claims asked for can be those of an access token")
def _contradiction(context: Context) -> Problems:
    for name, values in context.settings.tokens.require.items():
        asked = {each.lower() if isinstance(each, str) else "" for each in values}
        if name in CLASS_CLAIMS and asked <= OTHER_CLASSES:
            what = f"tokens.require asks for a {name} that marks no access token: none is accepted"
            yield FAIL, what, f'tokens.require.{name} = "access"'
