"""Rules about cookies, and about the identity provider that checks them."""

import re
from collections.abc import Iterator
from typing import Final

from portward.model import topics
from portward.model.namespace import AccessRule as RightsRule
from portward.settings.checks import addresses, unused
from portward.settings.checks.rule import CheckLevel, CheckProblem, CheckRule, Context
from portward.settings.endpoint import AuthMode, EndpointSettings
from portward.settings.sections import CookieForm

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""The grammar of a cookie's name (RFC 6265 section 4.1.1)."""
_DIRECTUS: Final = re.compile(r"(?:__(?:Host|Secure)-)?directus_", re.IGNORECASE)
_ENCODED: Final = re.compile(r"connect\.sid\Z|better-auth\.", re.IGNORECASE)
"""Cookies of Express sessions and of better-auth, whose signature is percent-encoded."""
_URL: Final = 'identity_provider.url = "https://…"'
_COOKIES: Final = 'identity_provider.cookies = ["…"]  # the names of the session\'s cookies'


def _doors(context: Context) -> Iterator[tuple[str, EndpointSettings]]:
    """Yield the endpoints that accept cookies."""
    return ((name, door) for name, door in context.served.items() if door.takes_cookies)


def _origins(context: Context) -> Iterator[CheckProblem]:
    for name, endpoint in _doors(context):
        origins = context.settings.origins(endpoint)
        change = f'endpoints.{name}.allowed_origins = ["https://…"]'
        if "*" in origins:
            what = f"endpoint {name} takes cookies, for which * lets no page in: name the pages"
            yield CheckProblem(context.grave, what, change)
        elif not origins and context.settings.production and _asked(context):
            what = f"endpoint {name} takes cookies, and no page is named that may use them"
            yield CheckProblem(
                CheckLevel.FAIL, what, f"{change}  # or endpoints.{name}.enabled = false"
            )


def _asked(context: Context) -> bool:
    """Return whether an identity provider is set; without one, no cookie is accepted."""
    return bool(context.settings.identity_provider.url)


def _missing_origin(context: Context) -> Iterator[CheckProblem]:
    for name, endpoint in _doors(context):
        if endpoint.allow_missing_origin:
            key = f"endpoints.{name}.allow_missing_origin"
            what = f"{key} is on, and the endpoint takes cookies, which count with an origin alone"
            yield CheckProblem(CheckLevel.FAIL, what, f"{key} = false")


def _form(context: Context) -> Iterator[CheckProblem]:
    flaw = _url_flaw(context)
    if flaw:
        yield CheckProblem(CheckLevel.FAIL, f"identity_provider.url {flaw}", _URL)


def _url_flaw(context: Context) -> str | None:
    url = context.settings.identity_provider.url
    return addresses.flaw(url, ("https", "http")) if url else None


def _plain(context: Context) -> Iterator[CheckProblem]:
    url = context.settings.identity_provider.url
    if not url.lower().startswith("http://") or _url_flaw(context):
        return
    what = "identity_provider.url is plain http: cookies travel in the open"
    if not addresses.is_near(url):
        yield CheckProblem(context.grave, what, _URL)
    elif context.settings.production:
        yield CheckProblem(CheckLevel.WARN, f"{what} on your own network", _URL)


def _missing(context: Context) -> Iterator[CheckProblem]:
    if _asked(context):
        return
    for name, endpoint in _doors(context):
        if endpoint.auth is AuthMode.TOKEN:
            what = (
                f"endpoint {name} takes cookies, and lets nobody in: nobody can be asked about them"
            )
            yield CheckProblem(
                CheckLevel.WARN, what, f"{_URL}  # or endpoints.{name}.enabled = false"
            )


def _cookie_names(context: Context) -> Iterator[CheckProblem]:
    names = context.settings.identity_provider.cookies
    if not names:
        what = "identity_provider.cookies is empty: nobody could be known by one"
        yield CheckProblem(CheckLevel.FAIL, what, _COOKIES)
    for number, name in enumerate(names, start=1):
        if not _TOKEN.fullmatch(name):
            what = f"identity_provider.cookies entry {number} is no name of a cookie"
            yield CheckProblem(CheckLevel.FAIL, what, _COOKIES)
    if "*" in names and len(names) > 1:
        what = "identity_provider.cookies has * among names; it stands alone, for all cookies"
        yield CheckProblem(CheckLevel.FAIL, what, _COOKIES)
    elif "*" in names and context.settings.production:
        what = "identity_provider.cookies is *: the provider is sent every cookie of the site"
        yield CheckProblem(CheckLevel.WARN, what, _COOKIES)


def _values(context: Context) -> Iterator[CheckProblem]:
    provider = context.settings.identity_provider
    names = [name for name in provider.cookies if _DIRECTUS.match(name)]
    anything = provider.cookie_values is CookieForm.ANY
    if anything and names:
        what = f"identity_provider.cookie_values is any for {names[0]}, which is plain at Directus"
        yield CheckProblem(CheckLevel.FAIL, what, 'identity_provider.cookie_values = "plain"')
    encoded = [name for name in provider.cookies if _ENCODED.search(name)]
    if encoded and not anything:
        what = f"identity_provider.cookies: values of {encoded[0]} have %, and are refused"
        yield CheckProblem(CheckLevel.WARN, what, 'identity_provider.cookie_values = "any"')


def _topics(context: Context) -> Iterator[CheckProblem]:
    for pattern, question in context.settings.identity_provider.topics.items():
        key = f"identity_provider.topics: {pattern!r}"
        flaw = topics.flaw(pattern, question)
        if flaw:
            change = '[identity_provider.topics]  # "event:{id}" = "/items/events/{id}?fields=id"'
            yield CheckProblem(CheckLevel.FAIL, f"{key}: {flaw}", change)


def _rights(context: Context) -> Iterator[CheckProblem]:
    for name, endpoint in context.served.items():
        space = context.settings.namespaces.get(endpoint.namespace)
        asks = space is not None and space.authorize is RightsRule.IDENTITY_PROVIDER
        if asks and not endpoint.takes_cookies:
            what = (
                f"nobody can subscribe at endpoint {name}: the rights of namespace"
                f" {endpoint.namespace} are asked for with cookies, and it takes none"
            )
            yield CheckProblem(CheckLevel.WARN, what, f'endpoints.{name}.credentials = ["cookie"]')


PROVIDER_RULES: Final = (
    CheckRule("cookie-values", "cookies are taken as their server writes them", _values),
    CheckRule(
        "cookie-origins", "pages that may use cookies are named", _origins, unused=unused.no_cookies
    ),
    CheckRule(
        "cookie-missing-origin",
        "cookies count with an origin alone",
        _missing_origin,
        always=True,
        unused=unused.no_cookies,
    ),
    CheckRule(
        "provider-form",
        "the identity provider has an address, or none",
        _form,
        always=True,
        unused=unused.no_provider,
    ),
    CheckRule(
        "provider-plain",
        "the identity provider is asked over https",
        _plain,
        unused=unused.no_provider,
    ),
    CheckRule(
        "provider-missing",
        "whose cookies they are can be asked",
        _missing,
        unused=unused.no_cookies,
    ),
    CheckRule("provider-cookies", "named cookies alone are passed on", _cookie_names, always=True),
    CheckRule(
        "provider-topics",
        "topics and their questions make sense",
        _topics,
        always=True,
    ),
    CheckRule("provider-rights", "who needs cookies to subscribe can send them", _rights),
)
