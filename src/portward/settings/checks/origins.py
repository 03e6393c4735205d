"""Rules about the origins of pages that may connect."""

from collections.abc import Iterator
from functools import cache
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from publicsuffixlist import PublicSuffixList

from portward.settings.checks import unused
from portward.settings.checks.rule import CheckLevel, CheckProblem, CheckRule, Context


def _listed(context: Context) -> Iterator[tuple[str, str]]:
    """Yield the keys with origins, with each origin."""
    for origin in context.settings.gate.allowed_origins:
        yield "gate.allowed_origins", origin
    for name, endpoint in context.served.items():
        for origin in endpoint.allowed_origins:
            yield f"endpoints.{name}.allowed_origins", origin


def _any_origin(context: Context) -> Iterator[CheckProblem]:
    for key, origin in _listed(context):
        if origin == "*":
            what = f"{key} has *: every page on the web may connect in its visitors' name"
            yield CheckProblem(context.grave, what, f'{key} = ["https://…"]')


def _null_origin(context: Context) -> Iterator[CheckProblem]:
    for key, origin in _listed(context):
        if origin.lower() == "null":
            what = f"{key} has null, which any sandboxed page can be"
            yield CheckProblem(CheckLevel.FAIL, what, f'{key} = ["https://…"]')


def _origin_form(context: Context) -> Iterator[CheckProblem]:
    for key, origin in _listed(context):
        if origin == "*" or origin.lower() == "null":
            continue
        try:
            context.machine.parse_origin(origin)
        except ValueError:
            what = f"{key}: {origin!r} is no origin"
            yield CheckProblem(CheckLevel.FAIL, what, f'{key} = ["https://app.example.com"]')


def _no_origin(context: Context) -> Iterator[CheckProblem]:
    if not context.settings.production:
        return
    for name, endpoint in context.served.items():
        if not context.settings.origins(endpoint):
            what = f"no origin is allowed at endpoint {name}: pages in browsers are refused"
            yield CheckProblem(CheckLevel.WARN, what, 'gate.allowed_origins = ["https://…"]')


def _plain(context: Context) -> Iterator[CheckProblem]:
    """Report origins with plain HTTP: such a page can be changed in transit; local origins are excepted."""
    if not context.settings.production:
        return
    for key, origin in _listed(context):
        change = f'{key} = ["https://app.example.com"]'
        if origin.lower().startswith("http://"):
            yield CheckProblem(CheckLevel.FAIL, f"{key}: {origin!r} is not https", change)
        elif _is_local(origin):
            what = f"{key}: {origin!r} is a page of the visitor's own machine"
            yield CheckProblem(CheckLevel.FAIL, what, change)


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


def _suffix(context: Context) -> Iterator[CheckProblem]:
    """Report a wildcard under a public suffix, where anyone can register a name."""
    for key, origin in _listed(context):
        host = _host(origin)
        if not host.startswith("*."):
            continue
        parent = host.removeprefix("*.")
        if _suffixes().publicsuffix(parent) == parent:
            what = f"{key}: anyone can get a name that {origin!r} lets in"
            yield CheckProblem(context.grave, what, f'{key} = ["https://app.{parent}"]')


@cache
def _suffixes() -> PublicSuffixList:
    """Return the public suffix list with its private section. Unknown names are no suffix."""
    return PublicSuffixList(accept_unknown=False)


ORIGIN_RULES: Final = (
    CheckRule("origin-any", "not every page may connect", _any_origin, unused=unused.no_origins),
    CheckRule(
        "origin-null",
        "the origin null is not let in",
        _null_origin,
        always=True,
        unused=unused.no_origins,
    ),
    CheckRule(
        "origin-form",
        "every allowed origin is one",
        _origin_form,
        always=True,
        unused=unused.no_origins,
    ),
    CheckRule(
        "origin-none", "pages that may connect are listed", _no_origin, unused=unused.in_development
    ),
    CheckRule(
        "origin-plain",
        "allowed pages come over https, from other machines",
        _plain,
        unused=unused.any_of(unused.in_development, unused.no_origins),
    ),
    CheckRule(
        "origin-suffix",
        "no wildcard covers names that anyone can get",
        _suffix,
        unused=unused.no_origins,
    ),
)
