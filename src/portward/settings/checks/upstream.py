"""Rules about other services: the upstreams of relay endpoints, and the webhook for approvals."""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import portward.settings.checks.addresses as addresses
from portward.settings.checks.rule import FAIL, WARN, Context, Problems, RuleTable
from portward.settings.checks.secrets import key_flaw, weakness
from portward.settings.checks.unused import PRODUCTION, RELAY, WEBHOOK
from portward.settings.endpoint import EndpointSettings
from portward.settings.upstream import RelayMode, UpstreamSettings

_PLACE: Final = "{model}"
_MODEL: Final = re.compile(r"(?!\.{1,2}\Z)[^\x00-\x20\x7f-\xa0\u2028\u2029\ud800-\udfff]{1,256}")
_FIELD: Final = re.compile(r"[a-z_]{1,64}")
_PARAMETER: Final = re.compile(r"[A-Za-z0-9._~-]{1,64}")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_HANDSHAKE: Final = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "origin", "te", "trailer"}
    | {"transfer-encoding", "upgrade", "user-agent"}
)
"""Headers that the handshake itself sets, or that proxies on the path interpret."""
_CREDENTIALS: Final = frozenset({"token", "ticket"})
_URL: Final = 'url = "wss://…"'
_KEY: Final = 'api_key_file = "…"'
_MODELS: Final = 'models = ["gpt-realtime"]'
_PRIVATE: Final = "allow_private = true"
RULES: Final = RuleTable()


def _all(context: Context) -> Iterator[tuple[str, UpstreamSettings]]:
    """Yield all upstream tables with their keys."""
    yield "upstream", context.settings.upstream
    for name, given in context.settings.upstreams.items():
        yield f"upstreams.{name}", given


def _used(context: Context) -> Iterator[tuple[str, UpstreamSettings, list[str]]]:
    """Yield the tables that endpoints use, with the names of these endpoints."""
    for key, given in _all(context):
        name = key.partition(".")[2]
        relays = [
            endpoint
            for endpoint, each in context.served.items()
            if each.dialect == "relay" and each.upstream == name
        ]
        if relays:
            yield key, given, relays


def _url_flaw(url: str) -> str | None:
    """Return what is wrong with the address; every model is assumed to be valid."""
    if url.count(_PLACE) > 1:
        return f"has {_PLACE} more than once"
    # A model in the host part would determine which server gets the key.
    if _PLACE in url.partition("://")[2].partition("/")[0].partition("?")[0]:
        return f"has {_PLACE} in its host"
    plain = url.replace(_PLACE, "model")
    if not set("{}").isdisjoint(plain):
        return f"has a brace outside of {_PLACE}"
    return addresses.flaw(plain, ("wss", "ws"), query=True)


@RULES.each(_all, "upstream-url", "every upstream has an address", always=True)
def _form(_: Context, key: str, given: UpstreamSettings) -> Problems:
    flaw = _url_flaw(given.url)
    if flaw:
        yield FAIL, f"{key}.url {flaw}", f"{key}.{_URL}"


def _leads(context: Context) -> Iterator[tuple[str, UpstreamSettings]]:
    """Yield the tables in use whose address is valid."""
    for key, given, _ in _used(context):
        if not _url_flaw(given.url):
            yield key, given


@RULES.each(_leads, "upstream-plain", "every upstream in use is connected to over TLS", RELAY)
def _plain(context: Context, key: str, given: UpstreamSettings) -> Problems:
    if not given.url.lower().startswith("ws://") or addresses.is_here(given.url):
        return
    what = f"{key}.url is plain ws: the key and all messages travel in the open"
    if addresses.is_near(given.url):
        yield WARN, f"{what} on your own network", f"{key}.{_URL}"
    else:
        yield context.grave, what, f"{key}.{_URL}"


@RULES.each(_leads, "upstream-private", "no upstream has a private address unasked", always=True)
def _private(_: Context, key: str, given: UpstreamSettings) -> Problems:
    if given.allow_private:
        return
    what, change = f"and {key}.allow_private is off", f"{key}.{_URL}  # or {key}.{_PRIVATE}"
    if addresses.is_private(given.url):
        yield FAIL, f"{key}.url has an address that is not public, {what}", change
    elif addresses.is_near(given.url):
        near = f"{key}.url looks like a name of your own network, {what}: it may be refused"
        yield WARN, near, change


@RULES.rule("upstream-missing", "there is a key for every upstream in use", RELAY)
def _missing(context: Context) -> Problems:
    for key, given, relays in _used(context):
        for name in () if given.api_key else relays:
            what = f"{key}.api_key is not set: endpoint {name} can connect nobody to the upstream"
            yield WARN, what, f"{key}.{_KEY}  # or endpoints.{name}.enabled = false"


@RULES.each(_all, "upstream-key-form", "the keys of upstreams have the form of keys")
def _key_form(context: Context, key: str, given: UpstreamSettings) -> Problems:
    why = key_flaw(given.api_key.reveal())
    if given.api_key and why:
        change = f"{key}.{_KEY}  # with the key alone in it"
        yield context.grave, f"{key}.api_key {why}", change


@RULES.each(_all, "upstream-header", "the header of the upstream's key can be sent", always=True)
def _header(_: Context, key: str, given: UpstreamSettings) -> Problems:
    name = given.auth_header
    reserved = name.lower() in _HANDSHAKE or name.lower().startswith("sec-")
    if not _TOKEN.fullmatch(name) or reserved:
        what = f"{key}.auth_header is no header that can carry a key"
        yield FAIL, what, f'{key}.auth_header = "Authorization"'
    if given.scheme and not _TOKEN.fullmatch(given.scheme):
        what = f"{key}.auth_scheme is not one word"
        yield FAIL, what, f'{key}.auth_scheme = "Bearer"'


@RULES.each(_all, "upstream-models", "there are models to choose from", always=True)
def _models(_: Context, key: str, given: UpstreamSettings) -> Problems:
    if not given.models:
        what = f"{key}.models is empty: there is no model to ask the upstream for"
        yield FAIL, what, f"{key}.{_MODELS}"
    for number, model in enumerate(given.models, start=1):
        if not _MODEL.fullmatch(model):
            what = f"{key}.models entry {number} is no name of a model"
            change = f"{key}.{_MODELS}  # no blanks, no control characters, at most 256"
            yield FAIL, what, change


@RULES.each(_all, "upstream-parameters", "parameters that are passed on have names", always=True)
def _parameters(_: Context, key: str, given: UpstreamSettings) -> Problems:
    fixed = {pair.partition("=")[0] for pair in urlsplit(given.url).query.split("&")}
    for number, name in enumerate(given.parameters, start=1):
        entry = f"{key}.parameters entry {number}"
        change = f'{key}.parameters = ["intent", "call_id"]'
        if not _PARAMETER.fullmatch(name):
            yield FAIL, f"{entry} is no name of a parameter", change
        elif name == "model" or name in _CREDENTIALS:
            what = f"{entry} has a meaning of its own here and is never passed on: {name}"
            yield FAIL, what, change
        elif name in fixed:
            what = f"{entry} is in {key}.url already, and clients cannot change it: {name}"
            yield WARN, what, change


@RULES.each(_all, "upstream-pin", "pinned fields are fields of a session", always=True)
def _pin(_: Context, key: str, given: UpstreamSettings) -> Problems:
    for number, name in enumerate(given.pin, start=1):
        if not _FIELD.fullmatch(name):
            what = f"{key}.pin: entry {number} is no field of a session, {name[:64]!r}"
            change = f"[{key}.pin]  # small letters and _ alone, such as instructions"
            yield FAIL, what, change


@RULES.each(_all, "upstream-binary", "binary messages cannot pass by the policy")
def _binary(context: Context, key: str, given: UpstreamSettings) -> Problems:
    if not given.allow_binary:
        return
    change = f"{key}.allow_binary = false"
    guards = [
        name
        for name, on in (
            ("pin", bool(given.pin)),
            ("allow_events", bool(given.allow_events)),
            ('policy = "strict"', given.policy is RelayMode.STRICT),
        )
        if on
    ]
    if guards:
        what = (
            f"{key}.allow_binary contradicts {key}.{guards[0]}, which binary messages could break"
        )
        yield FAIL, what, change
    elif context.production:
        what = f"{key}.allow_binary: messages that the gateway cannot read go upstream"
        yield WARN, what, change


@RULES.rule(
    "upstream-unbounded",
    "max_tokens bounds what one user spends in a day: answers, and transcriptions in tokens or"
    " seconds",
    PRODUCTION,
    RELAY,
)
def _unbounded(context: Context) -> Problems:
    """Report for each upstream in use which limits bound the cost of one user, and which are missing."""
    for key, given, _ in _used(context):
        if not given.api_key:
            continue
        if not given.max_tokens:
            what = (
                f"{key}.max_tokens is 0: a user may spend your money without limit, day after day"
            )
            bounds = _bounds_of_connection(given)
            yield WARN, f"{what}; {bounds}", f"{key}.max_tokens = 200000"
        elif not given.tokens_per_second:
            what = (
                f"{key}.tokens_per_second is 0: {key}.max_tokens bounds what the upstream reports in"
                " tokens, and nothing bounds transcriptions that it reports in seconds"
            )
            yield WARN, what, f"{key}.tokens_per_second = 10"


def _bounds_of_connection(given: UpstreamSettings) -> str:
    names = [name for name in ("max_duration", "max_messages", "max_bytes") if getattr(given, name)]
    return (
        f"{', '.join(names)} bound one connection alone"
        if names
        else "nothing bounds one connection"
    )


def _webhook_flaw(endpoint: EndpointSettings) -> str | None:
    return addresses.flaw(endpoint.approval_webhook, ("https", "http"), query=True)


@RULES.endpoints(
    "webhook-form", "verdicts are posted to an address, or nowhere", WEBHOOK, always=True
)
def _webhook_form(_: Context, name: str, endpoint: EndpointSettings) -> Problems:
    key = f"endpoints.{name}.approval_webhook"
    if not endpoint.approval_webhook:
        return
    flaw = _webhook_flaw(endpoint)
    if flaw:
        yield FAIL, f"{key} {flaw}", f'{key} = "https://…"'
    elif endpoint.dialect != "socketio":
        what = f"{key} is set, and at endpoint {name} nobody is asked to approve anything"
        yield WARN, what, f'{key} = ""'


@RULES.endpoints("webhook-plain", "verdicts are posted over https", WEBHOOK)
def _webhook_plain(context: Context, name: str, endpoint: EndpointSettings) -> Problems:
    url, key = endpoint.approval_webhook, f"endpoints.{name}.approval_webhook"
    plain = url.lower().startswith("http:") and not _webhook_flaw(endpoint)
    if plain and not addresses.is_here(url):
        what = f"{key} is plain http: whoever is on the way reads verdicts, and can make them up"
        yield context.grave, what, f'{key} = "https://…"'


@RULES.endpoints("webhook-unsigned", "posted verdicts are signed", WEBHOOK)
def _webhook_unsigned(context: Context, name: str, endpoint: EndpointSettings) -> Problems:
    tokens, secret = context.settings.tokens, endpoint.approval_webhook_secret
    if not endpoint.approval_webhook:
        return
    key = f"endpoints.{name}.approval_webhook_secret"
    change = f'{key} = "…"  # the output of `openssl rand -base64 48`'
    why = weakness(secret.reveal())
    if not secret:
        what = f"{key} is not set: who is posted to cannot tell our verdicts from made-up ones"
        yield context.grave, what, change
    elif secret in (*tokens.secrets, tokens.session_secret):
        yield FAIL, f"{key} is a secret that tokens are signed with", change
    elif why:
        yield context.grave, f"{key} {why}", change
