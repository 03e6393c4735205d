"""Rules about secrets, keys and required claims of tokens."""

from collections.abc import Iterator
from typing import Final

from portward.model.limits import KIB, MAX_TOKEN
from portward.settings.checks import unused
from portward.settings.checks.rule import CheckLevel, CheckProblem, CheckRule, Context
from portward.settings.checks.secrets import disguise, weakness
from portward.settings.endpoint import AuthMode, CredentialSource, EndpointSettings
from portward.settings.formats import show_size

LONGEST_LEEWAY: Final = 60.0
_FOR_CLIENT: Final = frozenset({"client_id", "azp", "appid", "cid"})
_AROUND: Final = KIB
"""Bytes of a message in addition to the token in it."""
_FRESH: Final = "the output of `openssl rand -base64 48`"
_SECRETS: Final = f'tokens.secrets = ["…"]  # {_FRESH}'
_SESSION: Final = f'tokens.session_secret = "…"  # {_FRESH}'


def _missing(context: Context) -> Iterator[CheckProblem]:
    tokens = context.settings.tokens
    if tokens.secrets or tokens.jwks_url or tokens.public_keys:
        return
    if any(map(_takes_tokens, context.served.values())):
        what = "no secret and no public key is set, so no token from outside can be verified"
        yield CheckProblem(context.grave, what, _SECRETS)


def _takes_tokens(endpoint: EndpointSettings) -> bool:
    """Return whether an endpoint accepts tokens or tickets, and not only cookies."""
    return endpoint.auth is AuthMode.TOKEN and endpoint.credentials != (CredentialSource.COOKIE,)


def _empty(context: Context) -> Iterator[CheckProblem]:
    if not all(context.settings.tokens.secrets):
        yield CheckProblem(CheckLevel.FAIL, "tokens.secrets has an empty entry", _SECRETS)


def _weak(context: Context) -> Iterator[CheckProblem]:
    for number, secret in enumerate(context.settings.tokens.secrets, start=1):
        why = weakness(secret.reveal())
        if why:
            yield CheckProblem(context.grave, f"tokens.secrets entry {number} {why}", _SECRETS)


def _disguised(context: Context) -> Iterator[CheckProblem]:
    tokens = context.settings.tokens
    held = [(f"tokens.secrets entry {n}", secret) for n, secret in enumerate(tokens.secrets, 1)]
    for where, secret in [*held, ("tokens.session_secret", tokens.session_secret)]:
        kind = disguise(secret.reveal())
        if kind:
            what = f"{where} looks like a key in {kind} form, which is no HMAC secret"
            yield CheckProblem(
                CheckLevel.FAIL, what, 'tokens.public_keys = ["…"]  # if it is a public key'
            )


def _session_missing(context: Context) -> Iterator[CheckProblem]:
    if not context.settings.tokens.session_secret:
        what = "tokens.session_secret is not set: sessions cannot be resumed after a restart"
        yield CheckProblem(CheckLevel.WARN, what, _SESSION)


def _session_weak(context: Context) -> Iterator[CheckProblem]:
    secret = context.settings.tokens.session_secret
    why = weakness(secret.reveal()) if secret else None
    if why:
        yield CheckProblem(context.grave, f"tokens.session_secret {why}", _SESSION)


def _session_reused(context: Context) -> Iterator[CheckProblem]:
    tokens = context.settings.tokens
    if tokens.session_secret and tokens.session_secret in tokens.secrets:
        what = (
            "tokens.session_secret is also a token secret, so one kind of token passes as another"
        )
        yield CheckProblem(CheckLevel.FAIL, what, _SESSION)


def _mixed(context: Context) -> Iterator[CheckProblem]:
    tokens = context.settings.tokens
    if tokens.secrets and (tokens.jwks_url or tokens.public_keys):
        what = "the one issuer has shared secrets and public keys, which invites confusing the two"
        yield CheckProblem(
            CheckLevel.FAIL, what, "tokens.secrets = []  # or remove the public keys"
        )


def _jwks(context: Context) -> Iterator[CheckProblem]:
    url = context.settings.tokens.jwks_url
    if url and not url.startswith("https://"):
        what = "tokens.jwks_url is not https: whoever is on the way can hand in keys"
        yield CheckProblem(context.grave, what, 'tokens.jwks_url = "https://…"')


def _public(context: Context) -> Iterator[CheckProblem]:
    for number, key in enumerate(context.settings.tokens.public_keys, start=1):
        if "-----BEGIN" not in key:
            what = f"tokens.public_keys entry {number} is not in PEM"
            yield CheckProblem(
                CheckLevel.FAIL, what, 'tokens.public_keys = ["-----BEGIN PUBLIC KEY-----…"]'
            )


def _issuer(context: Context) -> Iterator[CheckProblem]:
    tokens = context.settings.tokens
    for name in ("issuer", "audience"):
        # Issuers without `aud` name the client of a token in another claim.
        named = name == "audience" and not _FOR_CLIENT.isdisjoint(tokens.require)
        if not getattr(tokens, name) and not named:
            what = f"tokens.{name} is empty: tokens meant for others who use this key pass as well"
            yield CheckProblem(CheckLevel.WARN, what, f'tokens.{name} = "…"')


def _leeway(context: Context) -> Iterator[CheckProblem]:
    if not 0 <= context.settings.tokens.leeway <= LONGEST_LEEWAY:
        what = "tokens.leeway is more than a minute"
        yield CheckProblem(CheckLevel.FAIL, what, 'tokens.leeway = "30s"')


def _size(context: Context) -> Iterator[CheckProblem]:
    size = context.settings.tokens.max_size
    if not KIB <= size <= MAX_TOKEN:
        what = "tokens.max_size is not within 1 and 32 KiB"
        yield CheckProblem(CheckLevel.FAIL, what, 'tokens.max_size = "8KiB"')
        return
    needed = size + _AROUND
    for name, endpoint in context.served.items():
        if CredentialSource.MESSAGE in endpoint.credentials and endpoint.max_message < needed:
            what = (
                f"endpoint {name} takes tokens in messages of at most {show_size(endpoint.max_message)},"
                f" where one of tokens.max_size does not fit"
            )
            yield CheckProblem(
                CheckLevel.WARN, what, f'endpoints.{name}.max_message = "{show_size(needed)}"'
            )


def _signing(context: Context) -> Iterator[CheckProblem]:
    tokens = context.settings.tokens
    for name, endpoint in context.served.items():
        if not endpoint.sign_messages:
            continue
        key, change = f"endpoints.{name}.sign_secret", f'endpoints.{name}.sign_secret = "…"'
        why = weakness(endpoint.sign_secret.reveal())
        if not endpoint.sign_secret:
            yield CheckProblem(
                CheckLevel.FAIL, f"{key} is not set, and messages are to be signed", change
            )
        elif endpoint.sign_secret in (*tokens.secrets, tokens.session_secret):
            yield CheckProblem(
                CheckLevel.FAIL, f"{key} is a secret that tokens are signed with", change
            )
        elif why:
            yield CheckProblem(context.grave, f"{key} {why}", change)


TOKEN_RULES: Final = (
    CheckRule("token-key-missing", "there is a key to verify tokens with", _missing),
    CheckRule(
        "token-secret-empty",
        "no token secret is empty",
        _empty,
        always=True,
        unused=unused.no_tokens,
    ),
    CheckRule(
        "token-secret-weak", "token secrets are long and random", _weak, unused=unused.no_tokens
    ),
    CheckRule(
        "secret-is-a-key",
        "no HMAC secret looks like another kind of key",
        _disguised,
        always=True,
        unused=unused.no_hmac_secret,
    ),
    CheckRule(
        "session-secret-missing", "sessions can be resumed after a restart", _session_missing
    ),
    CheckRule(
        "session-secret-weak",
        "the session secret is long and random",
        _session_weak,
        unused=unused.no_session_secret,
    ),
    CheckRule(
        "session-secret-reused",
        "the session secret serves nothing else",
        _session_reused,
        always=True,
        unused=unused.no_session_secret,
    ),
    CheckRule(
        "keys-mixed",
        "the issuer has one kind of key",
        _mixed,
        always=True,
        unused=unused.no_token_keys,
    ),
    CheckRule("jwks-not-https", "the key set is fetched over https", _jwks, unused=unused.no_jwks),
    CheckRule(
        "public-key-form",
        "public keys are in PEM",
        _public,
        always=True,
        unused=unused.no_public_keys,
    ),
    CheckRule("token-claims", "issuer and audience are checked", _issuer),
    CheckRule("token-size", "a token fits where it may be sent", _size, always=True),
    CheckRule("leeway", "clocks are forgiven at most a minute", _leeway, always=True),
    CheckRule(
        "sign-secret",
        "signed messages have a good secret of their own",
        _signing,
        always=True,
        unused=unused.no_signing,
    ),
)
