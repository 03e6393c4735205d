"""Rules about the origins of pages that may connect."""

from collections.abc import Iterator
from functools import cache
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from publicsuffixlist import PublicSuffixList

from portward.settings.checks.rule import FAIL, WARN, Context, Problems, RuleTable
from portward.settings.checks.unused import ORIGINS, PRODUCTION
from portward.settings.endpoint import EndpointSettings

RULES: Final = RuleTable()


def _listed(context: Context) -> Iterator[tuple[str, str]]:
    """Yield the keys with origins, with each origin."""
    for origin in context.settings.gate.allowed_origins:
        yield "gate.allowed_origins", origin
    for name, endpoint in context.served.items():
        for origin in endpoint.allowed_origins:
            yield f"endpoints.{name}.allowed_origins", origin


@RULES.rule("origin-any", "not every page may connect", ORIGINS)
def _any_origin(context: Context) -> Problems:
    for key, origin in _listed(context):
        if origin == "*":
            what = f"{key} has *: every page on the web may connect in its visitors' name"
            yield context.grave, what, f'{key} = ["https://…"]'


@RULES.rule("origin-null", "the origin null is not let in", ORIGINS, always=True)
def _null_origin(context: Context) -> Problems:
    for key, origin in _listed(context):
        if origin.lower() == "null":
            what = f"{key} has null, which any sandboxed page can be"
            yield FAIL, what, f'{key} = ["https://…"]'


@RULES.rule("origin-form", "every allowed origin is one", ORIGINS, always=True)
def _origin_form(context: Context) -> Problems:
    for key, origin in _listed(context):
        if origin == "*" or origin.lower() == "null":
            continue
        try:
            context.machine.parse_origin(origin)
        except ValueError:
            yield FAIL, f"{key}: {origin!r} is no origin", f'{key} = ["https://app.example.com"]'


@RULES.endpoints("origin-none", "pages that may connect are listed", PRODUCTION)
def _no_origin(context: Context, name: str, endpoint: EndpointSettings) -> Problems:
    if not context.settings.origins(endpoint):
        what = f"no origin is allowed at endpoint {name}: pages in browsers are refused"
        yield WARN, what, 'gate.allowed_origins = ["https://…"]'


@RULES.rule(
    "origin-plain", "allowed pages come over https, from other machines", PRODUCTION, ORIGINS
)
def _plain(context: Context) -> Problems:
    """Report origins with plain HTTP: such a page can be changed in transit; local origins are excepted."""
    for key, origin in _listed(context):
        change = f'{key} = ["https://app.example.com"]'
        if origin.lower().startswith("http://"):
            yield FAIL, f"{key}: {origin!r} is not https", change
        elif _is_local(origin):
            yield FAIL, f"{key}: {origin!r} is a page of the visitor's own machine", change


def _is_local(origin: str) -> bool:
    host = _host(origin)
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")  # RFC 6761 section 6.3
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified)


def _host(origin: str) -> str:
    try:
        return (urlsplit(origin).hostname or "").removesuffix(".")
    except ValueError:
        return ""


@RULES.rule("origin-suffix", "no wildcard covers names that anyone can get", ORIGINS)
def _suffix(context: Context) -> Problems:
    """Report a wildcard under a public suffix, where anyone can register a name."""
    for key, origin in _listed(context):
        host = _host(origin)
        parent = host.removeprefix("*.")
        if parent != host and _suffixes().publicsuffix(parent) == parent:
            what = f"{key}: anyone can get a name that {origin!r} lets in"
            yield context.grave, what, f'{key} = ["https://app.{parent}"]'


@cache
def _suffixes() -> PublicSuffixList:
    """Return the public suffix list with its private section. Unknown names are no suffix."""
    return PublicSuffixList(accept_unknown=False)
