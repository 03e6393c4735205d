"""The check of `Host` at the admin listener, which prevents DNS rebinding."""

import ipaddress
from collections.abc import Iterable
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from portward.admin.api import json
from portward.admin.errors import FORBIDDEN, ApiFailure, ErrorBody
from portward.admin.server import AdminApplication
from portward.model.handshake_errors import HandshakeRejected
from portward.security.hosts import HostPolicy, parse_authority
from portward.telemetry.events import Event

PROBES: Final = frozenset({"/health", "/ready"})
"""Paths that are served under any name: they reveal nothing, and probes use many names."""
_DENIED: Final = 403
_REFUSED: Final = ErrorBody(FORBIDDEN, "the admin listener does not answer to this name")


class HostCheck:
    """Serves requests whose `Host` is an IP literal, localhost, `own` or one of `allowed`.

    Others are answered 403 (DNS rebinding).

    Raises:
        ValueError: an entry is no host name; the text contains it.
    """

    def __init__(self, app: AdminApplication, own: str, allowed: Iterable[str]) -> None:
        self.clock = app.clock
        self.telemetry = app.telemetry
        self._app = app
        names = [*allowed, "localhost", "*.localhost"]
        if own and not _is_address(own):
            names.append(own)
        self._names = HostPolicy(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or reject it."""
        if scope["type"] == "http" and scope["path"] not in PROBES and not self._passes(scope):
            self.telemetry.record(
                Event.HANDSHAKE_REJECT, endpoint="admin", status=_DENIED, reason="host"
            )
            await json(ApiFailure(_REFUSED), _DENIED)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _passes(self, scope: Scope) -> bool:
        values = Headers(scope=scope).getlist("host")
        try:
            if len(values) == 1 and _is_address(parse_authority(values[0]).host):
                return True
            self._names.check(values)
        except (ValueError, HandshakeRejected):
            return False
        return True


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
