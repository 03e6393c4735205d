"""Rules about endpoints, their origins, their limits, and their namespaces."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from portward.model.limits import CONNECTIONS_PER_USER, LimitMode, LimitName
from portward.model.namespace import AccessRule as RightsRule
from portward.model.namespace import PublishRight
from portward.model.path_router import PathPattern, is_pattern
from portward.settings.checks import addresses, unused
from portward.settings.checks.rule import CheckLevel, CheckProblem, CheckRule, Context
from portward.settings.endpoint import AuthMode, CredentialSource
from portward.settings.presets import DIALECTS, unknown_when_off

RESERVED_PATHS: Final = ("/health", "/test")


def _query(context: Context) -> Iterator[CheckProblem]:
    for name, endpoint in context.served.items():
        if CredentialSource.QUERY in endpoint.credentials:
            what = f"endpoint {name} takes tokens in the address, where they end up in logs"
            kept = [kind for kind in endpoint.credentials if kind is not CredentialSource.QUERY]
            instead = ", ".join(
                f'"{kind}"' for kind in dict.fromkeys([*kept, CredentialSource.TICKET])
            )
            change = f"endpoints.{name}.credentials = [{instead}]"
            yield CheckProblem(CheckLevel.WARN, what, f"{change}  # a ticket is single-use")


def _no_credential(context: Context) -> Iterator[CheckProblem]:
    for name, endpoint in context.served.items():
        if endpoint.auth is AuthMode.TOKEN and not endpoint.credentials:
            what = f"endpoint {name} wants a token and takes one from nowhere"
            yield CheckProblem(CheckLevel.FAIL, what, f'endpoints.{name}.credentials = ["message"]')


def _compression(context: Context) -> Iterator[CheckProblem]:
    for name, endpoint in context.served.items():
        if endpoint.compression:
            what = f"endpoint {name} compresses: it costs CPU and memory, and sizes tell secrets"
            yield CheckProblem(CheckLevel.WARN, what, f"endpoints.{name}.compression = false")


def _echo(context: Context) -> Iterator[CheckProblem]:
    for name, endpoint in context.served.items():
        if endpoint.dialect == "echo":
            what = f"endpoint {name} sends back whatever comes; it is meant for tests"
            yield CheckProblem(CheckLevel.WARN, what, f"endpoints.{name}.enabled = false")


def _idle(context: Context) -> Iterator[CheckProblem]:
    for name, endpoint in context.served.items():
        if 0 < endpoint.idle_timeout <= endpoint.ping_interval:
            what = f"endpoint {name} closes quiet clients before it pings them"
            yield CheckProblem(CheckLevel.WARN, what, f'endpoints.{name}.idle_timeout = "60s"')


def _reconnect(context: Context) -> Iterator[CheckProblem]:
    for name, endpoint in context.served.items():
        url, key = endpoint.reconnect_url, f"endpoints.{name}.reconnect_url"
        flaw = addresses.flaw(url, ("wss", "ws"), query=True) if url else None
        change = f'{key} = "wss://…"'
        if flaw:
            yield CheckProblem(CheckLevel.FAIL, f"{key} {flaw}", change)
        elif context.settings.production and url.lower().startswith("ws:"):
            what = f"{key} sends clients back without TLS"
            yield CheckProblem(CheckLevel.WARN, what, change)


def _dialect(context: Context) -> Iterator[CheckProblem]:
    for name, endpoint in context.served.items():
        if endpoint.dialect not in DIALECTS:
            what = f"endpoint {name}: {endpoint.dialect!r} is no dialect of this version"
            change = f'endpoints.{name}.dialect = "…"  # one of {", ".join(DIALECTS)}'
            yield CheckProblem(CheckLevel.FAIL, what, change)


def _namespace(context: Context) -> Iterator[CheckProblem]:
    for name, endpoint in context.served.items():
        if endpoint.namespace and endpoint.namespace not in context.settings.namespaces:
            what = f"endpoint {name}: there is no namespace {endpoint.namespace!r}"
            yield CheckProblem(CheckLevel.FAIL, what, f"[namespaces.{endpoint.namespace}]")


def _path_form(context: Context) -> Iterator[CheckProblem]:
    for name, endpoint in context.settings.endpoints.items():
        path = endpoint.path
        if not path.startswith("/") or not path.isascii() or set(path) & set("?#%\\ \t\r\n"):
            what = f"endpoint {name}: {path!r} is no path"
            yield CheckProblem(CheckLevel.FAIL, what, f'endpoints.{name}.path = "/{name}"')


def _path_pattern(context: Context) -> Iterator[CheckProblem]:
    """Check paths with parameters: each is a safe pattern, and no path matches two of them."""
    patterns: list[tuple[str, PathPattern]] = []
    for name, endpoint in context.settings.endpoints.items():
        if not is_pattern(endpoint.path):
            continue
        change = f'endpoints.{name}.path = "/{name}/{{key}}"'
        try:
            pattern = PathPattern(endpoint.path)
        except ValueError as error:
            what = f"endpoint {name}: {endpoint.path!r} is no path pattern: {error}"
            yield CheckProblem(CheckLevel.FAIL, what, change)
            continue
        for other, earlier in patterns:
            # Equal patterns are found by the rule about taken paths.
            if earlier.text.rstrip("/") != pattern.text.rstrip("/") and earlier.overlaps(pattern):
                what = f"endpoints {other} and {name}: some paths match both patterns"
                yield CheckProblem(CheckLevel.FAIL, what, change)
        patterns.append((name, pattern))


def _path_taken(context: Context) -> Iterator[CheckProblem]:
    """Check disabled endpoints too: their paths answer 503 and so are in use."""
    takers = defaultdict(list)
    for path in RESERVED_PATHS:
        takers[path].append("the gateway itself")
    for name, endpoint in context.settings.endpoints.items():
        if not endpoint.enabled and unknown_when_off(name, endpoint):
            continue
        takers[endpoint.path.rstrip("/") or "/"].append(f"endpoint {name}")
    for path, names in takers.items():
        if len(names) > 1:
            what = f"{path} belongs to {' and '.join(names)}"
            change = f'endpoints.{names[-1].removeprefix("endpoint ")}.path = "…"'
            yield CheckProblem(CheckLevel.FAIL, what, change)


def _observed(context: Context) -> Iterator[CheckProblem]:
    for key, name, table in _limit_tables(context):
        if getattr(table, name).mode is LimitMode.OBSERVE:
            what = f"{key} only observes: nothing is refused"
            yield CheckProblem(CheckLevel.WARN, what, f'{key}.mode = "enforce"')


def _unlimited(context: Context) -> Iterator[CheckProblem]:
    # The table `upstream` limits the traffic of a relay, not the message limit.
    doors = context.served.items()
    spared = {
        f"endpoints.{name}.limits.messages" for name, door in doors if door.dialect == "relay"
    }
    for key, name, table in _limit_tables(context):
        limit = getattr(table, name)
        count = limit.max if name is LimitName.CONNECTIONS else limit.rate and limit.rate.count
        if count == 0 and key not in spared:
            word, like = ("max", "500") if name is LimitName.CONNECTIONS else ("rate", '"60/min"')
            yield CheckProblem(CheckLevel.WARN, f"{key} sets no limit", f"{key}.{word} = {like}")


def _max_per_user(context: Context) -> Iterator[CheckProblem]:
    limit = context.settings.gate.max_per_user
    if not limit:
        what = "one user may take every place of an endpoint"
        yield CheckProblem(CheckLevel.WARN, what, f"gate.max_per_user = {CONNECTIONS_PER_USER}")


def _limit_tables(context: Context) -> Iterator[tuple[str, LimitName, object]]:
    tables: dict[str, object] = {"limits": context.settings.limits}
    tables |= {f"endpoints.{name}.limits": door.limits for name, door in context.served.items()}
    for key, table in tables.items():
        for name in LimitName:
            yield f"{key}.{name}", name, table


def _open_publishing(context: Context) -> Iterator[CheckProblem]:
    for space in context.used:
        is_open = space.authorize is RightsRule.AUTHENTICATED
        if is_open and space.publish is PublishRight.RIGHT:
            what = f"whoever has a token may publish in every channel of namespace {space.name}"
            yield CheckProblem(
                CheckLevel.WARN, what, f'namespaces.{space.name}.authorize = "claims"'
            )


def _asked(context: Context) -> Iterator[CheckProblem]:
    for space in context.used:
        if space.authorize is not RightsRule.HTTP:
            continue
        change = f'namespaces.{space.name}.authorize_url = "https://…"'
        if not space.authorize_url:
            what = f"namespace {space.name} asks for rights over HTTP, and no address is set"
            yield CheckProblem(CheckLevel.FAIL, what, change)
        elif not space.authorize_url.startswith("https://"):
            what = f"namespace {space.name} asks for rights over plain HTTP"
            yield CheckProblem(context.grave, what, change)


def _combined_live(context: Context) -> Iterator[CheckProblem]:
    for name, endpoint in context.served.items():
        space = context.settings.namespaces.get(endpoint.namespace or "")
        if endpoint.dialect == "live" and space is not None and space.combined:
            what = (
                f"endpoint {name}: the live dialect has no word for namespace {space.name} as one"
            )
            yield CheckProblem(CheckLevel.FAIL, what, f"namespaces.{space.name}.combined = false")


DOOR_RULES: Final = (
    CheckRule("credential-query", "no token is taken from an address", _query),
    CheckRule("credential-none", "every endpoint takes a credential", _no_credential, always=True),
    CheckRule("compression", "nothing is compressed", _compression),
    CheckRule("echo", "no endpoint is for tests", _echo),
    CheckRule("idle-before-ping", "quiet clients are pinged before they are closed", _idle),
    CheckRule(
        "reconnect-url",
        "clients are sent back to where they can go",
        _reconnect,
        always=True,
        unused=unused.no_reconnect_url,
    ),
    CheckRule("dialect", "every dialect is known", _dialect, always=True),
    CheckRule("namespace", "every namespace exists", _namespace, always=True),
    CheckRule("path-form", "every path is one", _path_form, always=True),
    CheckRule(
        "path-pattern", "a path with parameters is a safe pattern", _path_pattern, always=True
    ),
    CheckRule("path-taken", "every path has one owner", _path_taken, always=True),
    CheckRule("limits-observed", "limits are enforced", _observed),
    CheckRule("limits-off", "there is a limit to everything", _unlimited),
    CheckRule("user-connections", "one user has so many connections and no more", _max_per_user),
    CheckRule("publish-open", "publishing takes more than a token", _open_publishing),
    CheckRule(
        "authorize-url",
        "rights are asked for over https",
        _asked,
        always=True,
        unused=unused.no_http_rule,
    ),
    CheckRule(
        "combined-live",
        "topics are heard one by one",
        _combined_live,
        always=True,
        unused=unused.no_live,
    ),
)
