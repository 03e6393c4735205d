"""Rules about cookies, and about the identity provider that checks them."""

import re
from typing import Final

import portward.settings.checks.addresses as addresses
from portward.model import topics
from portward.model.namespace import AccessRule
from portward.settings.checks.rule import FAIL, WARN, Context, Problems, RuleTable
from portward.settings.checks.unused import COOKIES, PROVIDER
from portward.settings.endpoint import AuthMode, EndpointSettings
from portward.settings.sections import CookieForm

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""The grammar of a cookie's name (RFC 6265 section 4.1.1)."""
_DIRECTUS: Final = re.compile(r"(?:__(?:Host|Secure)-)?directus_", re.IGNORECASE)
_ENCODED: Final = re.compile(r"connect\.sid\Z|better-auth\.", re.IGNORECASE)
"""Cookies of Express sessions and of better-auth, whose signature is percent-encoded."""
_URL: Final = 'identity_provider.url = "https://…"'
_COOKIES: Final = 'identity_provider.cookies = ["…"]  # the names of the session\'s cookies'
RULES: Final = RuleTable()


@RULES.rule("cookie-values", "cookies are taken as their server writes them")
def _values(context: Context) -> Problems:
    provider = context.settings.identity_provider
    names = [name for name in provider.cookies if _DIRECTUS.match(name)]
    anything = provider.cookie_values is CookieForm.ANY
    if anything and names:
        what = f"identity_provider.cookie_values is any for {names[0]}, which is plain at Directus"
        yield FAIL, what, 'identity_provider.cookie_values = "plain"'
    encoded = [name for name in provider.cookies if _ENCODED.search(name)]
    if encoded and not anything:
        what = f"identity_provider.cookies: values of {encoded[0]} have %, and are refused"
        yield WARN, what, 'identity_provider.cookie_values = "any"'


@RULES.endpoints("cookie-origins", "pages that may use cookies are named", COOKIES)
def _origins(context: Context, name: str, endpoint: EndpointSettings) -> Problems:
    if not endpoint.takes_cookies:
        return
    origins = context.settings.origins(endpoint)
    change = f'endpoints.{name}.allowed_origins = ["https://…"]'
    if "*" in origins:
        what = f"endpoint {name} takes cookies, for which * lets no page in: name the pages"
        yield context.grave, what, change
    elif not origins and context.production and PROVIDER.used(context):
        what = f"endpoint {name} takes cookies, and no page is named that may use them"
        yield FAIL, what, f"{change}  # or endpoints.{name}.enabled = false"


@RULES.endpoints(
    "cookie-missing-origin", "cookies count with an origin alone", COOKIES, always=True
)
def _missing_origin(_: Context, name: str, endpoint: EndpointSettings) -> Problems:
    if endpoint.takes_cookies and endpoint.allow_missing_origin:
        key = f"endpoints.{name}.allow_missing_origin"
        what = f"{key} is on, and the endpoint takes cookies, which count with an origin alone"
        yield FAIL, what, f"{key} = false"


def _flaw(context: Context) -> str | None:
    return addresses.flaw(context.settings.identity_provider.url, ("https", "http"))


@RULES.rule("provider-form", "the identity provider has an address, or none", PROVIDER, always=True)
def _form(context: Context) -> Problems:
    flaw = _flaw(context)
    if flaw:
        yield FAIL, f"identity_provider.url {flaw}", _URL


@RULES.rule("provider-plain", "the identity provider is asked over https", PROVIDER)
def _plain(context: Context) -> Problems:
    url = context.settings.identity_provider.url
    if not url.lower().startswith("http://") or _flaw(context):
        return
    what = "identity_provider.url is plain http: cookies travel in the open"
    if not addresses.is_near(url):
        yield context.grave, what, _URL
    elif context.production:
        yield WARN, f"{what} on your own network", _URL


@RULES.endpoints("provider-missing", "whose cookies they are can be asked", COOKIES)
def _missing(context: Context, name: str, endpoint: EndpointSettings) -> Problems:
    asks = endpoint.takes_cookies and endpoint.auth is AuthMode.TOKEN
    if asks and not PROVIDER.used(context):
        what = f"endpoint {name} takes cookies, and lets nobody in: nobody can be asked about them"
        yield WARN, what, f"{_URL}  # or endpoints.{name}.enabled = false"


@RULES.rule("provider-cookies", "named cookies alone are passed on", always=True)
def _cookie_names(context: Context) -> Problems:
    names = context.settings.identity_provider.cookies
    if not names:
        what = "identity_provider.cookies is empty: nobody could be known by one"
        yield FAIL, what, _COOKIES
    for number, name in enumerate(names, start=1):
        if not _TOKEN.fullmatch(name):
            what = f"identity_provider.cookies entry {number} is no name of a cookie"
            yield FAIL, what, _COOKIES
    if "*" in names and len(names) > 1:
        what = "identity_provider.cookies has * among names; it stands alone, for all cookies"
        yield FAIL, what, _COOKIES
    elif "*" in names and context.production:
        what = "identity_provider.cookies is *: the provider is sent every cookie of the site"
        yield WARN, what, _COOKIES


@RULES.rule("provider-topics", "topics and their questions make sense", always=True)
def _topics(context: Context) -> Problems:
    for pattern, question in context.settings.identity_provider.topics.items():
        flaw = topics.flaw(pattern, question)
        if flaw:
            change = '[identity_provider.topics]  # "event:{id}" = "/items/events/{id}?fields=id"'
            yield FAIL, f"identity_provider.topics: {pattern!r}: {flaw}", change


@RULES.endpoints("provider-rights", "who needs cookies to subscribe can send them")
def _rights(context: Context, name: str, endpoint: EndpointSettings) -> Problems:
    space = context.settings.namespaces.get(endpoint.namespace)
    asks = space is not None and space.authorize is AccessRule.IDENTITY_PROVIDER
    if asks and not endpoint.takes_cookies:
        what = (
            f"nobody can subscribe at endpoint {name}: the rights of namespace"
            f" {endpoint.namespace} are asked for with cookies, and it takes none"
        )
        yield WARN, what, f'endpoints.{name}.credentials = ["cookie"]'
