"""Rules about the two listeners, the proxies in front of them, and the process."""

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network
from typing import Final

from portward.model.request import UNIX_PEER
from portward.settings.checks import unused
from portward.settings.checks.proxies import is_unix
from portward.settings.checks.rule import CheckLevel, CheckProblem, CheckRule, Context
from portward.settings.endpoint import AuthMode, TransportKind

SHARED_ENGINES: Final = tuple(
    f"{kind}{where}" for where in ("", "+sentinel", "+cluster") for kind in ("redis", "rediss")
)
"""Engines that several processes can use at a time."""
ENGINES: Final = ("memory", "sqlite", *SHARED_ENGINES)
"""Schemes of `engine.url` that this version can open."""
_WHY_ALONE: Final = {
    "memory": "with memory:// each would have its own channels, and clients of one would not hear"
    " clients of another",
    "sqlite": "the file of sqlite:// is for one process, which alone hears what is published",
}
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_WIDEST_4: Final = 2**24
_WIDEST_6: Final = 2**112
"""The most addresses that all trusted proxies together may cover: an IPv4 /8, and an IPv6 /16."""
_PROXIES: Final = 'server.trusted_proxies = ["…"]  # the addresses your proxies connect from'


def is_loopback(host: str) -> bool:
    """Return whether a listener on `host` can be reached only from this machine."""
    if is_unix(host):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _plain(context: Context) -> Iterator[CheckProblem]:
    server = context.settings.server
    if context.settings.production and not (server.tls.cert or server.behind_tls_proxy):
        what = "the public listener takes plain text, so tokens travel in the open"
        yield CheckProblem(CheckLevel.FAIL, what, 'server.tls = { cert = "…", key = "…" }')


def _behind(context: Context) -> Iterator[CheckProblem]:
    server = context.settings.server
    if server.behind_tls_proxy and not server.trusted_proxies:
        what = "server.behind_tls_proxy is on, and no proxy is trusted to say whether TLS was used"
        yield CheckProblem(context.grave, what, _PROXIES)


def _tls_files(context: Context) -> Iterator[CheckProblem]:
    tls = context.settings.server.tls
    if bool(tls.cert) != bool(tls.key):
        what = "server.tls has a certificate without a key, or a key without a certificate"
        yield CheckProblem(CheckLevel.FAIL, what, 'server.tls = { cert = "…", key = "…" }')
    for name, path in (("cert", tls.cert), ("key", tls.key)):
        if path and not context.machine.is_file(path):
            change = f'server.tls.{name} = "…"'
            yield CheckProblem(
                CheckLevel.FAIL, f"server.tls.{name}: there is no file {path}", change
            )


def _networks(context: Context) -> tuple[list[IPv4Network], list[IPv6Network]]:
    four, six = [], []
    for entry in context.settings.server.trusted_proxies:
        if entry == UNIX_PEER:
            continue
        network = ip_network(entry, strict=False)
        if isinstance(network, IPv4Network):
            four.append(network)
        else:
            six.append(network)
    return four, six


def _proxies_form(context: Context) -> Iterator[CheckProblem]:
    try:
        _networks(context)
    except ValueError:
        what = "server.trusted_proxies has an entry that is no network"
        yield CheckProblem(CheckLevel.FAIL, what, 'server.trusted_proxies = ["10.0.0.0/8"]')


def _proxies_all(context: Context) -> Iterator[CheckProblem]:
    try:
        four, six = _networks(context)
    except ValueError:
        return  # another rule reports it
    # Join the networks first, so that split or repeated entries do not change the result.
    four += [IPv4Network((int(net[0]) & 0xFFFFFFFF, net.prefixlen - 96)) for net in six
             if net.subnet_of(_MAPPED)]  # fmt: skip
    covers = [
        sum(net.num_addresses for net in collapse_addresses(four)) > _WIDEST_4,
        sum(net.num_addresses for net in collapse_addresses(six)) > _WIDEST_6,
        any(net.supernet_of(_MAPPED) for net in six),
    ]
    if any(covers):
        what = (
            "server.trusted_proxies covers more than a /8 of IPv4 or a /16 of IPv6: clients in it"
        )
        yield CheckProblem(context.grave, f"{what} can claim any address", _PROXIES)


def _proxies_none(context: Context) -> Iterator[CheckProblem]:
    server = context.settings.server
    if server.trusted_proxies or is_unix(server.host):
        return
    if is_loopback(server.host):
        if context.settings.production:
            what = "only this machine can connect: what forwards to it must be a trusted proxy, or"
            yield CheckProblem(CheckLevel.WARN, f"{what} all clients share its limits", _PROXIES)
    else:
        what = "no proxy is trusted: should there be one in front, all clients share its limits"
        yield CheckProblem(CheckLevel.WARN, what, _PROXIES)


def _no_auth(context: Context) -> Iterator[CheckProblem]:
    settings = context.settings
    if not settings.production and is_loopback(settings.server.host):
        return
    for name, endpoint in context.served.items():
        if endpoint.auth is AuthMode.NONE:
            what = f'endpoints.{name}.auth = "none" is for development on a loopback address alone'
            yield CheckProblem(CheckLevel.FAIL, what, f'endpoints.{name}.auth = "token"')


def _ports(context: Context) -> Iterator[CheckProblem]:
    server = context.settings.server
    same = server.port and server.port == server.admin_port and not is_unix(server.host)
    if context.settings.admin.enabled and same:
        what = "the public and the admin listener have the same port"
        yield CheckProblem(CheckLevel.FAIL, what, "server.admin_port = 8081")


def _engine(context: Context) -> Iterator[CheckProblem]:
    scheme = context.settings.engine_url.partition("://")[0]
    if scheme not in ENGINES:
        known = ", ".join(f"{name}://" for name in ENGINES)
        what = f"engine.url names no engine of this version; there are: {known}"
        yield CheckProblem(CheckLevel.FAIL, what, 'engine.url = "memory://"')


def _workers(context: Context) -> Iterator[CheckProblem]:
    settings = context.settings
    scheme = settings.engine_url.partition("://")[0]
    if settings.server.workers == 1 or scheme in SHARED_ENGINES or scheme not in ENGINES:
        return
    why = _WHY_ALONE[scheme]
    what = f"{settings.server.workers} workers need a shared engine: {why}"
    yield CheckProblem(
        CheckLevel.FAIL, what, 'engine.url = "redis://127.0.0.1:6379/0"  # or server.workers = 1'
    )


def _workers_tls(context: Context) -> Iterator[CheckProblem]:
    server = context.settings.server
    polled = [
        name for name, door in context.served.items() if door.transport is TransportKind.ENGINE_IO
    ]
    if server.workers == 1 or not server.tls.cert:
        return
    for name in polled:
        what = (
            f"endpoint {name} takes polling, and with TLS here a worker cannot hand a poll to the one"
            " that knows its session: clients that poll will fail"
        )
        yield CheckProblem(
            CheckLevel.WARN,
            what,
            "server.behind_tls_proxy = true  # with TLS in a proxy; or let clients use WebSockets only",
        )


LISTENER_RULES: Final = (
    CheckRule(
        "plain-text",
        "the public listener is protected by TLS, here or in a proxy",
        _plain,
        unused=unused.in_development,
    ),
    CheckRule(
        "tls-proxy", "the proxy that ends TLS is a trusted one", _behind, unused=unused.no_tls_proxy
    ),
    CheckRule(
        "tls-files", "certificate and key are there", _tls_files, always=True, unused=unused.no_tls
    ),
    CheckRule(
        "proxies-form",
        "trusted proxies are networks",
        _proxies_form,
        always=True,
        unused=unused.no_proxies,
    ),
    CheckRule(
        "proxies-everyone",
        "trusted proxies cover few addresses",
        _proxies_all,
        unused=unused.no_proxies,
    ),
    CheckRule("proxies-none", "clients behind proxies can be told apart", _proxies_none),
    CheckRule("auth-none", "nobody comes in without proof", _no_auth, always=True),
    CheckRule(
        "ports",
        "the listeners have ports of their own",
        _ports,
        always=True,
        unused=unused.no_admin,
    ),
    CheckRule("engine", "the engine is known", _engine, always=True),
    CheckRule(
        "workers", "workers can share their state", _workers, always=True, unused=unused.one_worker
    ),
    CheckRule(
        "workers-tls",
        "every worker can serve every request",
        _workers_tls,
        unused=unused.one_worker,
    ),
)
