"""The parent's admin listener: sends requests about one process to all workers, others to any."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from portward.admin import request_body
from portward.admin.api import json
from portward.admin.errors import ApiError, ApiFailure, explain
from portward.admin.headers_middleware import HeadersMiddleware
from portward.app.server import LOOPBACK
from portward.app.workers import merging
from portward.app.workers.admin_client import (
    SilenceError,
    WorkerAdminClient,
    WorkerAnswer,
    WorkerQuestion,
)
from portward.app.workers.merged_answers import AnswerMerge, RefusingError
from portward.app.workers.supervisor import Supervisor
from portward.app.workers.worker_admin import CLIENT, PARENT
from portward.model.clock import Clock
from portward.model.errors import Unavailable
from portward.settings import Settings
from portward.telemetry import Telemetry
from portward.telemetry.metrics import CONTENT_TYPE

_OK: Final = 200
_BUSY: Final = 503
_DENIED: Final = frozenset({401, 403})
_OURS: Final = frozenset(
    {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"}
)
"""Headers of an answer that apply to one connection only."""
_THEIRS: Final = frozenset(
    name.encode()
    for name in (
        *("connection", "content-length", "expect", "host", "keep-alive", "te", "trailer"),
        *("transfer-encoding", "upgrade", CLIENT, PARENT),
    )
)
"""Headers of a request that apply to one connection only, and headers that only the parent may set."""

Method = Callable[[WorkerQuestion], Awaitable[dict[str, Any] | None]]


class ParentAdmin(Starlette):
    """Answers for all workers. The workers check the keys: the parent has none."""

    def __init__(
        self,
        crew: Supervisor,
        colleagues: WorkerAdminClient,
        clock: Clock,
        telemetry: Telemetry,
        *,
        open_metrics: bool,
    ) -> None:
        self.clock = clock
        self.telemetry = telemetry
        self._crew = crew
        self._colleagues = colleagues
        self._open_metrics = open_metrics
        gathering = AnswerMerge(colleagues, clock)
        gathered: dict[str, Method] = {
            "connections": gathering.connections,
            "channels": gathering.channels,
            "security_events": gathering.security_events,
            "revoke": gathering.revoke,
        }
        super().__init__(
            routes=[
                Route("/health", self._health),
                Route("/ready", self._ready),
                Route("/metrics", self._metrics),
                *(
                    Route(f"/api/{name}", self._gather(method), methods=["POST"])
                    for name, method in gathered.items()
                ),
                Route("/{path:path}", self._pass_on, methods=["GET", "HEAD", "POST"]),
            ],
            middleware=[Middleware(HeadersMiddleware, telemetry=telemetry)],
            exception_handlers={ApiError: _refused},
        )
        self.router.redirect_slashes = False

    async def aclose(self) -> None:
        """Close the connections to the workers."""
        await self._colleagues.aclose()

    async def _health(self, _: Request) -> Response:
        if self._crew.leaving:
            return json({"status": "draining"}, _BUSY)
        if not self._crew.ready:
            return json({"status": "no worker is ready"}, _BUSY)
        return json({"status": "ok"})

    async def _ready(self, request: Request) -> Response:
        if self._crew.leaving:
            return json({"status": "draining"}, _BUSY)
        answers = await self._colleagues.ask_all(_question(request))
        for answer in answers.values():
            if answer.status != _OK:
                return _response(answer)
        if len(answers) < self._crew.size:
            return json({"status": f"{len(answers)} of {self._crew.size} workers ready"}, _BUSY)
        return json({"status": "ready"})

    async def _metrics(self, request: Request) -> Response:
        answers = await self._colleagues.ask_all(_question(request))
        for answer in answers.values():
            if answer.status in _DENIED:
                return _response(answer)
        scrapes = [each.body.decode() for each in answers.values() if each.status == _OK]
        if not (scrapes or self._open_metrics):
            raise explain(Unavailable())  # no worker is available to check the key
        # In a thread, so that other requests are served meanwhile.
        text = await asyncio.to_thread(merging.merged, scrapes)
        text += merging.crew(self._crew.size, len(scrapes), self._crew.replaced)
        return Response(text, headers={"Content-Type": CONTENT_TYPE})

    def _gather(self, method: Method) -> Callable[[Request], Awaitable[Response]]:
        async def handler(request: Request) -> Response:
            question = _question(request, await request_body.read(request))
            try:
                result = await method(question)
            except RefusingError as refusing:
                return _response(refusing.answer)
            except SilenceError:
                raise explain(Unavailable()) from None
            if result is None:
                return await self._any(question)
            return json({"result": result})

        return handler

    async def _pass_on(self, request: Request) -> Response:
        return await self._any(_question(request, await request_body.read(request)))

    async def _any(self, question: WorkerQuestion) -> Response:
        try:
            return _response((await self._colleagues.ask_any(question))[1])
        except SilenceError:
            raise explain(Unavailable()) from None


def _question(request: Request, body: bytes = b"") -> WorkerQuestion:
    # Keep repeated headers: a worker rejects a request with two keys.
    headers = [(name, value) for name, value in request.headers.raw if name not in _THEIRS]
    if request.client is not None:
        headers.append((CLIENT.encode(), request.client.host.encode()))
    # Pass the raw path: if it were decoded here, an escaped escape would become another path.
    path: bytes = request.scope["raw_path"]
    target = path.decode("latin-1") + (f"?{request.url.query}" if request.url.query else "")
    return WorkerQuestion(request.method, target, tuple(headers), body)


def _response(answer: WorkerAnswer) -> Response:
    headers = {name: value for name, value in answer.headers if name.lower() not in _OURS}
    return Response(answer.body, answer.status, headers)


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):
        raise error
    response = json(ApiFailure(error.body), error.status)
    response.headers.update(error.headers or {})
    return response


def make_front(
    crew: Supervisor, folder: str, clock: Clock, telemetry: Telemetry, settings: Settings
) -> ParentAdmin:
    """Make the application of the parent's admin listener."""
    colleagues = WorkerAdminClient(folder, lambda: crew.ready)
    open_metrics = settings.server.admin_host in LOOPBACK
    return ParentAdmin(crew, colleagues, clock, telemetry, open_metrics=open_metrics)
