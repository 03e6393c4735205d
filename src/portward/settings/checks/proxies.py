"""Rules about Unix sockets and the PROXY protocol, between a proxy and the public listener."""

from collections.abc import Iterator
from typing import Final

from portward.model.request import UNIX_PEER
from portward.settings.checks.rule import CheckLevel, CheckProblem, CheckRule, Context

_LONGEST: Final = 107
"""The most bytes of a socket's path that the kernel accepts."""
_SOCKET: Final = 'server.host = "unix:/run/portward/gateway.sock"'


def is_unix(host: str) -> bool:
    """Return whether an address has the form of a Unix socket's address."""
    return host.startswith(UNIX_PEER)


def _unix_path(context: Context) -> Iterator[CheckProblem]:
    server = context.settings.server
    path = server.host.removeprefix(UNIX_PEER)
    if not is_unix(server.host):
        return
    if not path.startswith("/") or path.endswith("/"):
        what = "server.host: a Unix socket has an absolute path; abstract names have no owner"
        yield CheckProblem(CheckLevel.FAIL, what, _SOCKET)
    elif "\0" in path or len(path.encode()) > _LONGEST:
        what = (
            f"server.host: the path of a Unix socket has at most {_LONGEST} bytes, none of them 0"
        )
        yield CheckProblem(CheckLevel.FAIL, what, _SOCKET)


def _unix_admin(context: Context) -> Iterator[CheckProblem]:
    if context.settings.admin.enabled and is_unix(context.settings.server.admin_host):
        what = "server.admin_host: the admin listener has an address and a port, no Unix socket"
        yield CheckProblem(CheckLevel.FAIL, what, 'server.admin_host = "127.0.0.1"')


def _unix_workers(context: Context) -> Iterator[CheckProblem]:
    server = context.settings.server
    if is_unix(server.host) and server.workers > 1:
        what = f"{server.workers} workers cannot share a Unix socket, as they share a port"
        change = (
            'server.workers = 1  # or server.host = "127.0.0.1"; or a gateway and a path for each'
        )
        yield CheckProblem(CheckLevel.FAIL, what, change)


def _unix_trust(context: Context) -> Iterator[CheckProblem]:
    server = context.settings.server
    if is_unix(server.host) and UNIX_PEER not in server.trusted_proxies:
        what = (
            "the listener is a Unix socket, and its peer is not trusted to name the client: all clients"
            " share one address and its limits"
        )
        yield CheckProblem(context.grave, what, 'server.trusted_proxies = ["unix:"]')


def _required(context: Context) -> Iterator[CheckProblem]:
    server = context.settings.server
    if server.proxy_protocol == "require" and not server.trusted_proxies:
        what = "server.proxy_protocol takes headers from trusted proxies alone, and none is named"
        change = 'server.trusted_proxies = ["…"]  # the addresses your proxies connect from'
        yield CheckProblem(CheckLevel.FAIL, what, change)


PROXY_RULES: Final = (
    CheckRule("unix-path", "the path of the Unix socket can be had", _unix_path, always=True),
    CheckRule("unix-admin", "the admin listener has a port", _unix_admin, always=True),
    CheckRule("unix-workers", "workers share a port", _unix_workers, always=True),
    CheckRule("unix-trust", "the peer of the Unix socket names the client", _unix_trust),
    CheckRule(
        "proxy-protocol", "PROXY headers come from proxies that are named", _required, always=True
    ),
)
