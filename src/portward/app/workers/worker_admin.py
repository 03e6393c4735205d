"""A worker's admin API, on a socket of the private folder, for the parent only."""

import socket
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from portward.admin import request_body
from portward.admin.api import json
from portward.admin.app import AdminApp
from portward.admin.errors import NOT_FOUND, ApiError
from portward.admin.server import BACKLOG, AdminServer
from portward.admin.user_methods import RevokeRequest
from portward.app.workers import control_protocol
from portward.app.workers.worker import WorkerPlace
from portward.model.revocation import Revocation, RevocationKind
from portward.node.node import Node
from portward.security.redaction import fingerprint

CLIENT: Final = "x-portward-client"
"""The header in which the parent sends the caller's address."""
HELD: Final = "/worker/held"
"""The path that returns how many connections a revocation would close; only for the parent."""
PARENT: Final = "x-portward-parent"
"""The header that this path requires; the parent removes it from requests of callers."""


def listening(path: str) -> socket.socket:
    """Make a socket that listens at a path; an old socket there is removed.

    Raises:
        OSError: the socket cannot be opened.
    """
    Path(path).unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


class UnixServer(AdminServer):
    """An admin server at a path instead of an address."""

    def __init__(self, app: AdminApp, path: str) -> None:
        super().__init__(app, path, 0)
        self._path = path

    @property
    def address(self) -> tuple[str, int]:
        """The path, and no port."""
        return self._path, 0

    async def _bind(self) -> list[socket.socket]:
        return [listening(self._path)]


class WorkerAdmin:
    """A middleware that takes the caller's address from the parent's header, for the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] == "http":
            for name, value in scope["headers"]:
                if name == CLIENT.encode():
                    scope = {**scope, "client": (value.decode("latin-1"), 0)}
        await self._app(scope, receive, send)


def make_listener(app: AdminApp, node: Node, place: WorkerPlace) -> AdminServer:
    """Make the listener of a worker's admin API."""

    async def held(request: Request) -> Response:
        if PARENT not in request.headers:
            raise ApiError(404, NOT_FOUND, "not found")
        asked = request_body.convert(
            await request_body.parse(await request_body.read(request)), RevokeRequest
        )
        return json({"held": count_held(node, asked)})

    app.router.routes.append(Route(HELD, held, methods=["POST"]))
    app.add_middleware(WorkerAdmin)
    return UnixServer(app, control_protocol.admin_socket(place.task.folder, place.task.number))


def count_held(node: Node, asked: RevokeRequest) -> int:
    """Return how many connections of this worker a revocation would close now."""
    named = {kind: getattr(asked, kind.value) for kind in RevocationKind}
    named[RevocationKind.TOKEN] = fingerprint(asked.token) if asked.token else ""
    now = node.clock.time()
    taken = [Revocation(kind, value, now, now) for kind, value in named.items() if value]
    return sum(
        session.claims is not None and each.names(session.claims, session.resume_id)
        for session in node.registry
        for each in taken
    )
