"""Rules about the upstream that relay endpoints lead to: where it is, who pays, and how much."""

import re
from collections.abc import Iterator
from typing import Final

from portward.settings.checks import addresses, unused
from portward.settings.checks.rule import Context, Level, Problem, Rule
from portward.settings.checks.secrets import key_flaw

_PLACE: Final = "{model}"
_MODEL: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_FIELD: Final = re.compile(r"[a-z_]{1,64}")
_URL: Final = 'upstream.url = "wss://…"'
_KEY: Final = 'upstream.api_key_file = "…"'
_MODELS: Final = 'upstream.models = ["gpt-realtime"]'
_PRIVATE: Final = f"{_URL}  # or upstream.allow_private = true"


def _relays(context: Context) -> list[str]:
    """List the endpoints that lead to the upstream."""
    return [name for name, door in context.served.items() if door.dialect == "relay"]


def _url_flaw(url: str) -> str | None:
    """Say what is wrong with the address; every model is taken to be a good one."""
    if url.count(_PLACE) > 1:
        return f"has {_PLACE} more than once"
    # A model that is part of a host would decide who is sent the key.
    if _PLACE in url.partition("://")[2].partition("/")[0].partition("?")[0]:
        return f"has {_PLACE} in its host"
    plain = url.replace(_PLACE, "model")
    if not set("{}").isdisjoint(plain):
        return f"has a brace outside of {_PLACE}"
    return addresses.flaw(plain, ("wss", "ws"), query=True)


def _form(context: Context) -> Iterator[Problem]:
    flaw = _url_flaw(context.settings.upstream.url)
    if flaw:
        yield Problem(Level.FAIL, f"upstream.url {flaw}", _URL)


def _goes_to(context: Context) -> str | None:
    """Return the address that is in use; None when none is, or another rule objects to it."""
    url = context.settings.upstream.url
    return None if not _relays(context) or _url_flaw(url) else url


def _plain(context: Context) -> Iterator[Problem]:
    url = _goes_to(context)
    if url is None or not url.lower().startswith("ws://") or addresses.is_here(url):
        return
    what = "upstream.url is plain ws: the key and all that is said travel in the open"
    if addresses.is_near(url):
        yield Problem(Level.WARN, f"{what} on your own network", _URL)
    else:
        yield Problem(context.grave, what, _URL)


def _private(context: Context) -> Iterator[Problem]:
    url = _goes_to(context)
    if url is None or context.settings.upstream.allow_private:
        return
    what = "and upstream.allow_private is off"
    if addresses.is_private(url):
        yield Problem(
            Level.FAIL, f"upstream.url has an address that is not public, {what}", _PRIVATE
        )
    elif addresses.is_near(url):
        what = f"upstream.url looks like a name of your own network, {what}: it may be refused"
        yield Problem(Level.WARN, what, _PRIVATE)


def _missing(context: Context) -> Iterator[Problem]:
    if context.settings.upstream.api_key:
        return
    for name in _relays(context):
        what = f"upstream.api_key is not set: endpoint {name} can connect nobody to the upstream"
        yield Problem(Level.WARN, what, f"{_KEY}  # or endpoints.{name}.enabled = false")


def _key_form(context: Context) -> Iterator[Problem]:
    why = key_flaw(context.settings.upstream.api_key.reveal())
    if context.settings.upstream.api_key and why:
        yield Problem(
            context.grave, f"upstream.api_key {why}", f"{_KEY}  # with the key alone in it"
        )


def _models(context: Context) -> Iterator[Problem]:
    models = context.settings.upstream.models
    if not models:
        what = "upstream.models is empty: there is no model to ask the upstream for"
        yield Problem(Level.FAIL, what, _MODELS)
    for number, model in enumerate(models, start=1):
        if not _MODEL.fullmatch(model):
            what = f"upstream.models entry {number} is no name of a model"
            change = f"{_MODELS}  # letters, digits and . _ : - alone, at most 128"
            yield Problem(Level.FAIL, what, change)


def _pin(context: Context) -> Iterator[Problem]:
    for number, name in enumerate(context.settings.upstream.pin, start=1):
        if not _FIELD.fullmatch(name):
            what = f"upstream.pin: entry {number} is no field of a session, {name[:64]!r}"
            change = "[upstream.pin]  # small letters and _ alone, such as instructions"
            yield Problem(Level.FAIL, what, change)


def _unbounded(context: Context) -> Iterator[Problem]:
    upstream = context.settings.upstream
    if not context.settings.production or not upstream.api_key or upstream.max_tokens:
        return
    if _relays(context):
        what = "upstream.max_tokens is 0: a user may spend your money without limit, day after day"
        yield Problem(Level.WARN, what, "upstream.max_tokens = 200000")


UPSTREAM_RULES: Final = (
    Rule("upstream-url", "the upstream has an address", _form, always=True),
    Rule("upstream-plain", "the upstream is spoken to over TLS", _plain, unused=unused.no_relay),
    Rule("upstream-private", "the upstream may be where it is", _private, always=True),
    Rule("upstream-missing", "there is a key for the upstream", _missing, unused=unused.no_relay),
    Rule("upstream-key-form", "the upstream's key may be one", _key_form),
    Rule("upstream-models", "there are models to choose from", _models, always=True),
    Rule("upstream-pin", "pinned fields are fields of a session", _pin, always=True),
    Rule(
        "upstream-unbounded",
        "what a user may spend has a limit",
        _unbounded,
        unused=unused.any_of(unused.in_development, unused.no_relay),
    ),
)
