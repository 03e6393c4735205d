"""Rules about endpoints: how they answer pages, their protocol, transport, limits and namespaces."""

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import portward.settings.checks.addresses as addresses
from portward.model.limits import CONNECTIONS_PER_USER, LimitMode, LimitName
from portward.model.namespace import AccessRule, PublishRight
from portward.model.path_router import PathPattern, is_pattern
from portward.settings.checks.rule import FAIL, WARN, Context, Problems, RuleTable
from portward.settings.checks.unused import HTTP_RULE, LIVE, POLLING, RECONNECT_URL
from portward.settings.endpoint import (
    AuthMode,
    CredentialSource,
    EndpointSettings,
    Refuse,
    TransportKind,
)
from portward.settings.presets import DIALECTS, unknown_when_off

RESERVED_PATHS: Final = ("/health", "/test")
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
"""The grammar of a header's name (RFC 9110 section 5.1)."""
RULES: Final = RuleTable()


@RULES.endpoints("refuse", "clients can learn why they are not let in", always=True)
def _refuse(_: Context, name: str, endpoint: EndpointSettings) -> Problems:
    key, socketio = f"endpoints.{name}.refuse", endpoint.dialect == "socketio"
    if socketio and endpoint.refuse is Refuse.CLOSE:
        what = f"{key}: clients of Socket.IO know no close codes"
        yield FAIL, what, f'{key} = "connect_error"'
    elif not socketio and endpoint.refuse in {Refuse.EVENT, Refuse.CONNECT_ERROR}:
        what = f"{key} = {endpoint.refuse.value!r} is for Socket.IO: here the status is sent"
        yield WARN, what, f'{key} = "status"  # or "close"'


@RULES.endpoints("allowed-headers", "every allowed header is one", always=True)
def _allowed_headers(_: Context, name: str, endpoint: EndpointSettings) -> Problems:
    key = f"endpoints.{name}.allowed_headers"
    for header in endpoint.allowed_headers:
        if not _HEADER.fullmatch(header) or header == "*":
            yield FAIL, f"{key}: {header!r} is no name of a header", f'{key} = ["x-request-id"]'


@RULES.endpoints("credential-query", "no token is taken from an address")
def _query(_: Context, name: str, endpoint: EndpointSettings) -> Problems:
    if CredentialSource.QUERY in endpoint.credentials:
        what = f"endpoint {name} takes tokens in the address, where they end up in logs"
        kept = [kind for kind in endpoint.credentials if kind is not CredentialSource.QUERY]
        instead = dict.fromkeys([*kept, CredentialSource.TICKET])
        change = ", ".join(f'"{kind}"' for kind in instead)
        yield WARN, what, f"endpoints.{name}.credentials = [{change}]  # a ticket is single-use"


@RULES.endpoints("credential-none", "every endpoint takes a credential", always=True)
def _no_credential(_: Context, name: str, endpoint: EndpointSettings) -> Problems:
    if endpoint.auth is AuthMode.TOKEN and not endpoint.credentials:
        what = f"endpoint {name} wants a token and takes one from nowhere"
        yield FAIL, what, f'endpoints.{name}.credentials = ["message"]'


@RULES.endpoints("compression", "nothing is compressed")
def _compression(_: Context, name: str, endpoint: EndpointSettings) -> Problems:
    if endpoint.compression:
        what = f"endpoint {name} compresses: it costs CPU and memory, and sizes tell secrets"
        yield WARN, what, f"endpoints.{name}.compression = false"


@RULES.endpoints("echo", "no endpoint is for tests")
def _echo(_: Context, name: str, endpoint: EndpointSettings) -> Problems:
    if endpoint.dialect == "echo":
        what = f"endpoint {name} sends back whatever comes; it is meant for tests"
        yield WARN, what, f"endpoints.{name}.enabled = false"


@RULES.endpoints("idle-before-ping", "quiet clients are pinged before they are closed")
def _idle(_: Context, name: str, endpoint: EndpointSettings) -> Problems:
    if 0 < endpoint.idle_timeout <= endpoint.ping_interval:
        what = f"endpoint {name} closes quiet clients before it pings them"
        yield WARN, what, f'endpoints.{name}.idle_timeout = "60s"'


@RULES.endpoints(
    "reconnect-url", "clients are sent back to where they can go", RECONNECT_URL, always=True
)
def _reconnect(context: Context, name: str, endpoint: EndpointSettings) -> Problems:
    url, key = endpoint.reconnect_url, f"endpoints.{name}.reconnect_url"
    flaw = addresses.flaw(url, ("wss", "ws"), query=True) if url else None
    if flaw:
        yield FAIL, f"{key} {flaw}", f'{key} = "wss://…"'
    elif context.production and url.lower().startswith("ws:"):
        yield WARN, f"{key} sends clients back without TLS", f'{key} = "wss://…"'


@RULES.endpoints("dialect", "every dialect is known", always=True)
def _dialect(_: Context, name: str, endpoint: EndpointSettings) -> Problems:
    if endpoint.dialect not in DIALECTS:
        what = f"endpoint {name}: {endpoint.dialect!r} is no dialect of this version"
        yield FAIL, what, f'endpoints.{name}.dialect = "…"  # one of {", ".join(DIALECTS)}'


@RULES.endpoints("namespace", "every namespace exists", always=True)
def _namespace(context: Context, name: str, endpoint: EndpointSettings) -> Problems:
    if endpoint.namespace and endpoint.namespace not in context.settings.namespaces:
        what = f"endpoint {name}: there is no namespace {endpoint.namespace!r}"
        yield FAIL, what, f"[namespaces.{endpoint.namespace}]"


@RULES.rule("path-form", "every path is one", always=True)
def _path_form(context: Context) -> Problems:
    for name, endpoint in context.settings.endpoints.items():
        path = endpoint.path
        if not path.startswith("/") or not path.isascii() or set(path) & set("?#%\\ \t\r\n"):
            yield (
                FAIL,
                f"endpoint {name}: {path!r} is no path",
                f'endpoints.{name}.path = "/{name}"',
            )


@RULES.rule("path-pattern", "a path with parameters is a safe pattern", always=True)
def _path_pattern(context: Context) -> Problems:
    """Check paths with parameters: each is a safe pattern, and no path matches two of them."""
    patterns: list[tuple[str, PathPattern]] = []
    for name, endpoint in context.settings.endpoints.items():
        if not is_pattern(endpoint.path):
            continue
        change = f'endpoints.{name}.path = "/{name}/{{key}}"'
        try:
            pattern = PathPattern(endpoint.path)
        except ValueError as error:
            yield FAIL, f"endpoint {name}: {endpoint.path!r} is no path pattern: {error}", change
            continue
        for other, earlier in patterns:
            # Equal patterns are found by the rule about taken paths.
            if earlier.text.rstrip("/") != pattern.text.rstrip("/") and earlier.overlaps(pattern):
                what = f"endpoints {other} and {name}: some paths match both patterns"
                yield FAIL, what, change
        patterns.append((name, pattern))


@RULES.rule("path-taken", "every path has one owner", always=True)
def _path_taken(context: Context) -> Problems:
    """Check disabled endpoints too: their paths answer 503 and so are in use."""
    takers = defaultdict(list)
    for path in RESERVED_PATHS:
        takers[path].append("the gateway itself")
    for name, endpoint in context.settings.endpoints.items():
        if endpoint.enabled or not unknown_when_off(name, endpoint):
            takers[endpoint.path.rstrip("/") or "/"].append(f"endpoint {name}")
    for path, names in takers.items():
        if len(names) > 1:
            change = f'endpoints.{names[-1].removeprefix("endpoint ")}.path = "…"'
            yield FAIL, f"{path} belongs to {' and '.join(names)}", change


def _limit_tables(context: Context) -> Iterator[tuple[str, LimitName, Any]]:
    tables: dict[str, object] = {"limits": context.settings.limits}
    tables |= {f"endpoints.{name}.limits": each.limits for name, each in context.served.items()}
    for key, table in tables.items():
        for name in LimitName:
            yield f"{key}.{name}", name, getattr(table, name)


@RULES.rule("limits-observed", "limits are enforced")
def _observed(context: Context) -> Problems:
    for key, _, limit in _limit_tables(context):
        if limit.mode is LimitMode.OBSERVE:
            yield WARN, f"{key} only observes: nothing is refused", f'{key}.mode = "enforce"'


@RULES.rule("limits-off", "there is a limit to everything")
def _unlimited(context: Context) -> Problems:
    # The table `upstream` limits the traffic of a relay, not the message limit.
    served = context.served.items()
    spared = {f"endpoints.{n}.limits.messages" for n, each in served if each.dialect == "relay"}
    for key, name, limit in _limit_tables(context):
        if name is LimitName.CONNECTIONS:
            count, change = limit.max, f"{key}.max = 500"
        else:
            count, change = limit.rate and limit.rate.count, f'{key}.rate = "60/min"'
        if count == 0 and key not in spared:
            yield WARN, f"{key} sets no limit", change


@RULES.rule("user-connections", "one user has so many connections and no more")
def _max_per_user(context: Context) -> Problems:
    if not context.settings.gate.max_per_user:
        what = "one user may take every place of an endpoint"
        yield WARN, what, f"gate.max_per_user = {CONNECTIONS_PER_USER}"


@RULES.rule("publish-open", "publishing takes more than a token")
def _open_publishing(context: Context) -> Problems:
    for space in context.used:
        is_open = space.authorize is AccessRule.AUTHENTICATED
        if is_open and space.publish is PublishRight.RIGHT:
            what = f"whoever has a token may publish in every channel of namespace {space.name}"
            yield WARN, what, f'namespaces.{space.name}.authorize = "claims"'


@RULES.rule("authorize-url", "rights are asked for over https", HTTP_RULE, always=True)
def _asked(context: Context) -> Problems:
    for space in context.used:
        if space.authorize is not AccessRule.HTTP:
            continue
        change = f'namespaces.{space.name}.authorize_url = "https://…"'
        if not space.authorize_url:
            what = f"namespace {space.name} asks for rights over HTTP, and no address is set"
            yield FAIL, what, change
        elif not space.authorize_url.startswith("https://"):
            yield context.grave, f"namespace {space.name} asks for rights over plain HTTP", change


@RULES.endpoints("combined-live", "topics are heard one by one", LIVE, always=True)
def _combined_live(context: Context, name: str, endpoint: EndpointSettings) -> Problems:
    space = context.settings.namespaces.get(endpoint.namespace)
    if endpoint.dialect == "live" and space is not None and space.combined:
        what = f"endpoint {name}: the live dialect has no word for namespace {space.name} as one"
        yield FAIL, what, f"namespaces.{space.name}.combined = false"


@RULES.endpoints("transport", "every dialect has a transport that carries it", always=True)
def _carried(_: Context, name: str, endpoint: EndpointSettings) -> Problems:
    engine = endpoint.transport is TransportKind.ENGINE_IO
    if endpoint.dialect == "socketio" and not engine:
        what = f"endpoint {name}: Socket.IO is carried by engine.io alone"
        yield FAIL, what, f'endpoints.{name}.transport = "engine.io"'
    elif endpoint.dialect == "relay" and engine:
        what = f"endpoint {name}: the relay is carried by websocket alone"
        yield FAIL, what, f'endpoints.{name}.transport = "websocket"'


@RULES.endpoints("engine-ping", "clients of engine.io are pinged", POLLING, always=True)
def _pinged(_: Context, name: str, endpoint: EndpointSettings) -> Problems:
    if endpoint.transport is TransportKind.ENGINE_IO and not endpoint.ping_interval:
        what = f"endpoint {name}: clients of engine.io leave when nobody pings them"
        yield FAIL, what, f'endpoints.{name}.ping_interval = "25s"'
