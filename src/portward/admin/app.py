"""The ASGI application of the admin listener: API, OpenAPI description, health, metrics and a page."""

from collections.abc import Iterable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Send
from starlette.types import Scope as RequestScope

import portward.admin.openapi as openapi
import portward.admin.page as page
from portward.admin.api import Api, json
from portward.admin.errors import BAD_REQUEST, NOT_FOUND, ApiError, ApiFailure
from portward.admin.headers_middleware import HeadersMiddleware
from portward.admin.keys import Keyring
from portward.admin.methods import all_methods
from portward.admin.status import GatewayStatus, NodeStatus
from portward.node.node import Node
from portward.settings.keys import ApiKey, Scope
from portward.telemetry.metrics import CONTENT_TYPE


class AdminApp(Starlette):
    """The admin application of a node. `status` is that of the node, unless it answers for more.

    `open_metrics` serves `/metrics` without a key, for loopback.

    Raises:
        ValueError: a key is unusable.
    """

    def __init__(
        self,
        node: Node,
        keys: Iterable[ApiKey],
        status: GatewayStatus | None = None,
        *,
        open_metrics: bool,
    ) -> None:
        self.clock = node.clock
        self.telemetry = node.telemetry
        self._status = status or NodeStatus(node)
        self._open_metrics = open_metrics
        self._keyring = Keyring(keys)
        methods = all_methods(node.protocols.registrations)
        api = self._api = Api(node, self._keyring, methods)
        self._description = openapi.document(methods)
        aliases = {name: each.alias for name, each in methods.items() if each.alias is not None}
        super().__init__(
            routes=[
                Route("/", self._page),
                Route("/health", self._health),
                Route("/ready", self._ready),
                Route("/metrics", self._metrics),
                Route("/openapi.json", self._openapi),
                *(
                    Route(f"/api{path}", api.alias(name), methods=[verb])
                    for name, (verb, path) in aliases.items()
                ),
                Route("/api/{method}", api.call, methods=["POST"]),
            ],
            middleware=[Middleware(HeadersMiddleware, telemetry=node.telemetry)],
            exception_handlers={ApiError: _refused, HTTPException: _unrouted},
        )
        self.router.redirect_slashes = False

    async def __call__(self, scope: RequestScope, receive: Receive, send: Send) -> None:
        """Serve a request; one slash at the end of its path is ignored."""
        if scope["type"] == "http":
            path = without_slash(scope["path"], scope.get("root_path", ""))
            scope = {**scope, "path": path}
        await super().__call__(scope, receive, send)

    def adopt(self, keys: Iterable[ApiKey]) -> None:
        """Accept only these keys from now on.

        Raises:
            ValueError: one of them is unusable; the old keys stay valid.
        """
        self._keyring.adopt(keys)

    async def _page(self, _: Request) -> Response:
        headers = {"Content-Security-Policy": page.POLICY}
        return Response(page.PAGE, headers=headers, media_type="text/html")

    async def _openapi(self, _: Request) -> Response:
        return json(self._description)

    async def _health(self, _: Request) -> Response:
        return _answer(await self._status.health(), "ok")

    async def _ready(self, _: Request) -> Response:
        return _answer(await self._status.ready(), "ready")

    async def _metrics(self, request: Request) -> Response:
        if not self._open_metrics:
            self._api.authorize(request).needs(Scope.READ)
        text = await self._status.metrics()
        return Response(text, headers={"Content-Type": CONTENT_TYPE})


def _answer(status: str, good: str) -> Response:
    return json({"status": status}, 200 if status == good else 503)


def without_slash(path: str, root: str) -> str:
    """Return a path without one slash at its end; two slashes are a different path, and `/` stays."""
    below = path.removeprefix(root)
    return path[:-1] if len(below) > 1 and below[-1] == "/" and below[-2] != "/" else path


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):
        raise error
    response = json(ApiFailure(error.body), error.status)
    response.headers.update(error.headers or {})
    return response


async def _unrouted(request: Request, error: Exception) -> Response:
    """Answer a request for which Starlette found no route, or no route with this method."""
    if not isinstance(error, HTTPException):
        raise error
    code = NOT_FOUND if error.status_code == 404 else BAD_REQUEST  # noqa: PLR2004 - HTTP's
    refused = ApiError(error.status_code, code, error.detail.lower(), error.headers)
    return await _refused(request, refused)
