"""The demo's pages and its identity provider, as one application on one origin."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.resources import files
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portward.demo.listener import HOST
from portward.demo.provider import StandInProvider, failed

PAGES: Final = {
    "/": "index.html",
    "/chat": "chat.html",
    "/alerts": "alerts.html",
    "/live": "live.html",
    "/login": "live.html",
    "/workspaces": "workspaces.html",
}
"""The page at each path. The login is a part of the live page."""
ASSETS: Final = ("style.css", "common.js", "chat.js", "alerts.js", "live.js", "workspaces.js")
_TYPES: Final = {"html": "text/html", "css": "text/css", "js": "text/javascript"}


class Site(Starlette):
    """The application, under the one name `HOST:port`, so that pages, cookies and gateway share a host.

    `gateway` is the origin the pages may connect to (`ws://…`), `data` the settings of each page by its
    name (with tokens), `calls` returns the ids of the current calls.
    """

    def __init__(
        self,
        provider: StandInProvider,
        port: int,
        *,
        gateway: str,
        data: Mapping[str, Any],
        calls: Callable[[], Sequence[str]],
    ) -> None:
        folder = files("portward.demo") / "pages"
        named = PAGES | {f"/{name}": name for name in ASSETS}
        shown = [
            Route(
                path, partial(_show, (folder / name).read_bytes(), _TYPES[name.partition(".")[2]])
            )
            for path, name in named.items()
        ]
        self._data = {page: msgspec.json.encode(each) for page, each in data.items()}
        self._calls = calls
        super().__init__(
            routes=[
                *shown,
                *provider.routes,
                Route("/settings/{page}.json", self._settings),
                Route("/calls.json", self._current_calls),
            ],
            middleware=[Middleware(_Guard, port=port, gateway=gateway)],
            exception_handlers={HTTPException: failed},
        )
        self.router.redirect_slashes = False

    async def _settings(self, request: Request) -> Response:
        data = self._data.get(request.path_params["page"])
        return Response(data, 200 if data else 404, media_type="application/json")

    async def _current_calls(self, _: Request) -> Response:
        return Response(msgspec.json.encode(self._calls()), media_type="application/json")


async def _show(body: bytes, kind: str, _: Request) -> Response:
    return Response(body, media_type=kind)


class _Guard:
    """Refuses requests for another host, and restricts in every response what a page may do.

    The pages contain tokens: a site whose own name points here must not read them. Pages of `localhost`
    are redirected, because a cookie set there would not reach the gateway.
    """

    def __init__(self, app: ASGIApp, *, port: int, gateway: str) -> None:
        self._app = app
        self._host = f"{HOST}:{port}"
        self._alias = f"localhost:{port}"
        self._headers = {
            "Content-Security-Policy": (
                "default-src 'none'; script-src 'self'; style-src 'self';"
                f" connect-src 'self' {gateway}; form-action 'self'; base-uri 'none';"
                " frame-ancestors 'none'"
            ),
            "Cross-Origin-Resource-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
            # Not "no-referrer": a form would then be sent with the origin `null`.
            "Referrer-Policy": "same-origin",
            "Cache-Control": "no-store",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        await self._chosen(scope)(scope, receive, sending)

    def _chosen(self, scope: Scope) -> ASGIApp:
        if scope["type"] != "http":
            return self._app
        hosts = [host.lower() for host in Headers(scope=scope).getlist("host")]
        if hosts == [self._host]:
            return self._app
        if hosts == [self._alias] and scope["method"] == "GET" and scope["path"] in PAGES:
            query = scope["query_string"].decode("latin-1")
            target = f"http://{self._host}{scope['path']}" + (f"?{query}" if query else "")
            return RedirectResponse(target)
        return Response(status_code=403)
