"""A middleware that sets common headers on every response, and hides tracebacks."""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portward.admin.api import json
from portward.admin.errors import ApiFailure, unexpected
from portward.telemetry import Telemetry

HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
"""A response that sets its own value of a header keeps it."""


class HeadersMiddleware:
    """The outermost middleware of the gateway. Starlette's error middleware raises the exception again."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve; an unexpected exception is recorded and answered without its text."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def guarded(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, guarded)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - it is in the log; the server must not print it again
            self._telemetry.failure(error, path=scope["path"])
            if not begun:
                failed = unexpected()
                await json(ApiFailure(failed.body), failed.status)(scope, receive, guarded)
