"""Rules about the public listener, the proxies in front of it, the process, and the admin listener."""

from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network
from typing import Final

from portward.model.request import UNIX_PEER
from portward.settings.checks.rule import FAIL, WARN, Context, Problems, RuleTable
from portward.settings.checks.secrets import weakness
from portward.settings.checks.unused import (
    ADMIN,
    ADMIN_KEYS,
    PRODUCTION,
    PROXIES,
    TLS,
    TLS_PROXY,
    WORKERS,
)
from portward.settings.endpoint import AuthMode, EndpointSettings, TransportKind

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
_LONGEST: Final = 107
"""The most bytes of a socket's path that the kernel accepts."""
_PROXIES: Final = 'server.trusted_proxies = ["…"]  # the addresses your proxies connect from'
_TLS: Final = 'server.tls = { cert = "…", key = "…" }'
_SOCKET: Final = 'server.host = "unix:/run/portward/gateway.sock"'
_KEYS: Final = 'admin.api_keys = ["…"]  # the output of `openssl rand -base64 48`'
RULES: Final = RuleTable()


def is_unix(host: str) -> bool:
    """Return whether an address has the form of a Unix socket's address."""
    return host.startswith(UNIX_PEER)


def is_loopback(host: str) -> bool:
    """Return whether a listener on `host` can be reached only from this machine."""
    if is_unix(host):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


@RULES.rule("plain-text", "the public listener is protected by TLS, here or in a proxy", PRODUCTION)
def _plain(context: Context) -> Problems:
    server = context.settings.server
    if not (server.tls.cert or server.behind_tls_proxy):
        yield FAIL, "the public listener takes plain text, so tokens travel in the open", _TLS


@RULES.rule("tls-proxy", "the proxy that ends TLS is a trusted one", TLS_PROXY)
def _behind(context: Context) -> Problems:
    if not context.settings.server.trusted_proxies:
        what = "server.behind_tls_proxy is on, and no proxy is trusted to say whether TLS was used"
        yield context.grave, what, _PROXIES


@RULES.rule("tls-files", "certificate and key are there", TLS, always=True)
def _tls_files(context: Context) -> Problems:
    tls = context.settings.server.tls
    if bool(tls.cert) != bool(tls.key):
        what = "server.tls has a certificate without a key, or a key without a certificate"
        yield FAIL, what, _TLS
    for name, path in (("cert", tls.cert), ("key", tls.key)):
        if path and not context.machine.is_file(path):
            yield FAIL, f"server.tls.{name}: there is no file {path}", f'server.tls.{name} = "…"'


def _networks(context: Context) -> tuple[list[IPv4Network], list[IPv6Network]]:
    found = [
        ip_network(entry, strict=False)
        for entry in context.settings.server.trusted_proxies
        if entry != UNIX_PEER
    ]
    four = [network for network in found if isinstance(network, IPv4Network)]
    return four, [network for network in found if isinstance(network, IPv6Network)]


@RULES.rule("proxies-form", "trusted proxies are networks", PROXIES, always=True)
def _proxies_form(context: Context) -> Problems:
    try:
        _networks(context)
    except ValueError:
        what = "server.trusted_proxies has an entry that is no network"
        yield FAIL, what, 'server.trusted_proxies = ["10.0.0.0/8"]'


@RULES.rule("proxies-everyone", "trusted proxies cover few addresses", PROXIES)
def _proxies_all(context: Context) -> Problems:
    try:
        four, six = _networks(context)
    except ValueError:
        return  # another rule reports it
    # Join the networks first, so that split or repeated entries do not change the result.
    four += [IPv4Network((int(net[0]) & 0xFFFFFFFF, net.prefixlen - 96)) for net in six
             if net.subnet_of(_MAPPED)]  # fmt: skip
    if (
        sum(net.num_addresses for net in collapse_addresses(four)) > _WIDEST_4
        or sum(net.num_addresses for net in collapse_addresses(six)) > _WIDEST_6
        or any(net.supernet_of(_MAPPED) for net in six)
    ):
        what = "server.trusted_proxies covers more than a /8 of IPv4 or a /16 of IPv6: clients in"
        yield context.grave, f"{what} it can claim any address", _PROXIES


@RULES.rule("proxies-none", "clients behind proxies can be told apart")
def _proxies_none(context: Context) -> Problems:
    server = context.settings.server
    if server.trusted_proxies or is_unix(server.host):
        return
    if not is_loopback(server.host):
        what = "no proxy is trusted: should there be one in front, all clients share its limits"
        yield WARN, what, _PROXIES
    elif context.production:
        what = "only this machine can connect: what forwards to it must be a trusted proxy, or"
        yield WARN, f"{what} all clients share its limits", _PROXIES


@RULES.endpoints("auth-none", "nobody comes in without proof", always=True)
def _no_auth(context: Context, name: str, endpoint: EndpointSettings) -> Problems:
    alone = not context.production and is_loopback(context.settings.server.host)
    if endpoint.auth is AuthMode.NONE and not alone:
        what = f'endpoints.{name}.auth = "none" is for development on a loopback address alone'
        yield FAIL, what, f'endpoints.{name}.auth = "token"'


@RULES.rule("ports", "the listeners have ports of their own", ADMIN, always=True)
def _ports(context: Context) -> Problems:
    server = context.settings.server
    if server.port and server.port == server.admin_port and not is_unix(server.host):
        what = "the public and the admin listener have the same port"
        yield FAIL, what, "server.admin_port = 8081"


@RULES.rule("engine", "the engine is known", always=True)
def _engine(context: Context) -> Problems:
    if context.settings.engine_url.partition("://")[0] not in ENGINES:
        known = ", ".join(f"{name}://" for name in ENGINES)
        what = f"engine.url names no engine of this version; there are: {known}"
        yield FAIL, what, 'engine.url = "memory://"'


@RULES.rule("workers", "workers can share their state", WORKERS, always=True)
def _workers(context: Context) -> Problems:
    why = _WHY_ALONE.get(context.settings.engine_url.partition("://")[0])
    if why:
        what = f"{context.settings.server.workers} workers need a shared engine: {why}"
        yield FAIL, what, 'engine.url = "redis://127.0.0.1:6379/0"  # or server.workers = 1'


@RULES.endpoints("workers-tls", "every worker can serve every request", WORKERS)
def _workers_tls(context: Context, name: str, endpoint: EndpointSettings) -> Problems:
    if context.settings.server.tls.cert and endpoint.transport is TransportKind.ENGINE_IO:
        what = (
            f"endpoint {name} takes polling, and with TLS here a worker cannot hand a poll to the one"
            " that knows its session: clients that poll will fail"
        )
        change = "server.behind_tls_proxy = true  # with TLS in a proxy; or let clients use"
        yield WARN, what, f"{change} WebSockets only"


@RULES.rule("unix-path", "the path of the Unix socket can be had", always=True)
def _unix_path(context: Context) -> Problems:
    host = context.settings.server.host
    path = host.removeprefix(UNIX_PEER)
    if not is_unix(host):
        return
    if not path.startswith("/") or path.endswith("/"):
        what = "server.host: a Unix socket has an absolute path; abstract names have no owner"
        yield FAIL, what, _SOCKET
    elif "\0" in path or len(path.encode()) > _LONGEST:
        what = f"server.host: the path of a Unix socket has at most {_LONGEST} bytes, none of them"
        yield FAIL, f"{what} 0", _SOCKET


@RULES.rule("unix-admin", "the admin listener has a port", always=True)
def _unix_admin(context: Context) -> Problems:
    if context.settings.admin.enabled and is_unix(context.settings.server.admin_host):
        what = "server.admin_host: the admin listener has an address and a port, no Unix socket"
        yield FAIL, what, 'server.admin_host = "127.0.0.1"'


@RULES.rule("unix-workers", "workers share a port", always=True)
def _unix_workers(context: Context) -> Problems:
    server = context.settings.server
    if is_unix(server.host) and server.workers > 1:
        what = f"{server.workers} workers cannot share a Unix socket, as they share a port"
        change = 'server.workers = 1  # or server.host = "127.0.0.1"; or a gateway and a path for'
        yield FAIL, what, f"{change} each"


@RULES.rule("unix-trust", "the peer of the Unix socket names the client")
def _unix_trust(context: Context) -> Problems:
    server = context.settings.server
    if is_unix(server.host) and UNIX_PEER not in server.trusted_proxies:
        what = (
            "the listener is a Unix socket, and its peer is not trusted to name the client: all clients"
            " share one address and its limits"
        )
        yield context.grave, what, 'server.trusted_proxies = ["unix:"]'


@RULES.rule("proxy-protocol", "PROXY headers come from proxies that are named", always=True)
def _required(context: Context) -> Problems:
    server = context.settings.server
    if server.proxy_protocol == "require" and not server.trusted_proxies:
        what = "server.proxy_protocol takes headers from trusted proxies alone, and none is named"
        yield FAIL, what, _PROXIES


@RULES.rule("admin-key-missing", "the admin API has a key, or is off", PRODUCTION, ADMIN)
def _admin_key(context: Context) -> Problems:
    if not context.settings.admin.api_keys:
        yield FAIL, "the admin API is on and has no key", _KEYS


@RULES.rule("admin-key-weak", "admin keys are long and random", ADMIN, ADMIN_KEYS)
def _admin_weak(context: Context) -> Problems:
    for number, key in enumerate(context.settings.admin.api_keys, start=1):
        why = None if key.hashed else weakness(key.key.reveal())
        if why:
            yield context.grave, f"admin.api_keys entry {number} {why}", _KEYS


@RULES.rule("admin-key-form", "digests of admin keys are whole", ADMIN, ADMIN_KEYS, always=True)
def _admin_digest(context: Context) -> Problems:
    for number, key in enumerate(context.settings.admin.api_keys, start=1):
        try:
            _ = key.digest
        except ValueError:
            what = f"admin.api_keys entry {number}: after sha256: there are no 64 hexadecimal"
            yield FAIL, f"{what} digits", 'admin.api_keys = ["sha256:…"]'


@RULES.rule("admin-address", "the admin listener is for this machine alone", ADMIN)
def _admin_address(context: Context) -> Problems:
    settings = context.settings
    if not is_loopback(settings.server.admin_host):
        level = WARN if settings.admin.allow_plain else context.grave
        what = "the admin listener can be reached from other machines, without TLS"
        change = 'server.admin_host = "127.0.0.1"  # or admin.allow_plain = true, in a network of'
        yield level, what, f"{change} yours"
