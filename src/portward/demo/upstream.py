"""A stand-in for a realtime API (OpenAI's), so that the relay can be tried without a paid one.

A WebSocket server on this machine, at `/v1/realtime?model=...`, whose clients send its key as a bearer token,
or in `api-key` as Azure's do.
"""

import asyncio
import hmac
import logging
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from typing import Final, Self
from urllib.parse import parse_qs, urlsplit

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from portward.demo.listener import HOST
from portward.demo.upstream_session import Json, UpstreamSession, make_id
from portward.model.clock import Clock
from portward.settings import Settings, SettingsError

MODELS: Final = ("gpt-realtime", "gpt-realtime-mini")
PATH: Final = "/v1/realtime"
MAX_MESSAGE: Final = 16 * 1024 * 1024
_CLOSE_TIME: Final = 1.0
_REFUSED: Final = 4000
_HEADERS: Final = {"authorization": "Bearer ", "api-key": ""}
"""Headers that may contain the key, with the text before it."""
_SILENT: Final = logging.Logger(  # noqa: LOG001 - beside the tree: `websockets` would log the key
    "portward.demo.upstream", logging.CRITICAL + 1
)


class StandInUpstream:
    """A server that runs inside the context; `url` is then what `upstream.url` of a gateway should be.

    `settings` are those of the gateway that uses it. `port` 0 is any. `pace` are the seconds between two
    events of a response.

    Raises:
        SettingsError: that gateway runs in production.
        OSError: on entering, the port is taken.
    """

    sessions: type[UpstreamSession] = UpstreamSession

    def __init__(
        self, settings: Settings, clock: Clock, *, key: str, port: int = 0, pace: float = 0.0
    ) -> None:
        if settings.production:
            raise SettingsError(
                "environment: the stand-in upstream is for the demo and never serves production;"
                " set upstream.url to the real one"
            )
        self._clock = clock
        self._key = key
        self._port = port
        self._pace = pace
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self.serve,
            HOST,
            self._port,
            process_request=self.admit,
            compression=None,
            server_header=None,
            open_timeout=None,
            ping_interval=None,
            close_timeout=_CLOSE_TIME,
            max_size=MAX_MESSAGE,
            max_queue=1,
            logger=_SILENT,
        )
        self._port = next(iter(self._server.sockets)).getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._server.wait_closed(), 2 * _CLOSE_TIME)

    @property
    def url(self) -> str:
        """The address, with `{model}` in place of the model."""
        return f"ws://{HOST}:{self._port}{PATH}?model={{model}}"

    async def admit(self, _: ServerConnection, request: Request) -> Response | None:
        """Refuse a handshake with a wrong path or without the key."""
        if urlsplit(request.path).path != PATH:
            return refusal(404, "not_found")
        given = [
            (value.encode(errors="surrogateescape"), f"{_HEADERS[name.lower()]}{self._key}")
            for name, value in request.headers.raw_items()
            if name.lower() in _HEADERS
        ]
        if len(given) != 1 or not hmac.compare_digest(given[0][0], given[0][1].encode()):
            return refusal(401, "invalid_api_key")
        return None

    async def serve(self, connection: ServerConnection) -> None:
        """Carry out one session, until its client leaves."""
        path = connection.request.path if connection.request is not None else ""
        query = parse_qs(urlsplit(path).query)
        # A call that was begun elsewhere has its model already.
        model = query.get("model", MODELS[:1] if query.get("call_id") else [""])[0]
        with suppress(ConnectionClosed):
            if model in MODELS:
                await self.talk(connection, self.sessions(model, self._clock.time()))
            else:
                error = {"type": "invalid_request_error", "code": "model_not_found"}
                error |= {"message": "The model does not exist or you do not have access to it."}
                await self.send(connection, {"type": "error", "error": error})
                await connection.close(_REFUSED, "invalid_request_error.model_not_found")

    async def talk(self, connection: ServerConnection, session: UpstreamSession) -> None:
        """Answer the events of a client. A response is a task, so that it can be cancelled."""
        await self.send(connection, {"type": "session.created", "session": session.settings})
        responses: set[asyncio.Task[None]] = set()
        try:
            async for message in connection:
                answers = session.take(message)
                first = next(answers, None)
                if first is None:
                    continue
                await self.send(connection, first)
                if first["type"] != "response.created":
                    for event in answers:
                        await self.send(connection, event)
                else:
                    task = asyncio.create_task(self._respond(connection, answers))
                    responses.add(task)
                    task.add_done_callback(responses.discard)
        finally:
            for task in responses:
                task.cancel()
            await asyncio.gather(*responses, return_exceptions=True)

    async def _respond(self, connection: ServerConnection, events: Iterator[Json]) -> None:
        with suppress(ConnectionClosed):
            for event in events:
                await self.send(connection, event)
                await asyncio.sleep(self._pace)

    async def send(self, connection: ServerConnection, event: Json) -> None:
        """Send an event."""
        named = {"type": event["type"], "event_id": make_id("event")} | event
        await connection.send(msgspec.json.encode(named), text=True)


def refusal(status: int, code: str, text: str = "This request was refused.") -> Response:
    """Return the response to a refused handshake."""
    error = {"message": text, "type": "invalid_request_error", "param": None, "code": code}
    body = msgspec.json.encode({"error": error})
    headers = Headers({"Content-Type": "application/json", "Content-Length": str(len(body))})
    return Response(status, HTTPStatus(status).phrase, headers, body)
