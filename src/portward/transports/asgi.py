"""The gateway as an ASGI 3 application: the same gate, sessions and limits behind an ASGI server.

The server itself handles what ASGI does not show: frames and fragments, UTF-8, compression, pings,
and the deadline of the request head.
"""

import random as _random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from typing import Final
from urllib.parse import quote

from portward.model.clock import Clock
from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.request import UNIX_PEER, RequestHead, by_name
from portward.node.handshake import ClosedRefusal
from portward.node.sessions import HttpReply
from portward.transports.asgi_http import AsgiResponseSender
from portward.transports.asgi_link import AsgiLink, Event, Receive, Send
from portward.transports.request_router import RequestRouter
from portward.wire.http_request import read_absolute
from portward.wire.http_response import refusal_headers

_DENIAL: Final = "websocket.http.response"
CLOSING: Final = 64
"""Rejected handshakes that are accepted and closed at a time; others get their status."""
Lifespan = AbstractAsyncContextManager[object]


class AsgiApp:
    """ASGI application, to be mounted or served as the root application.

    `router` and `clock` are called when they are needed: an application can be mounted
    before the gateway runs. `lifespan` is entered at start-up and left at shutdown when this is the root; an
    application that mounts it starts the gateway by itself, because servers send lifespan events to the root.
    """

    def __init__(
        self,
        router: Callable[[], RequestRouter],
        clock: Callable[[], Clock],
        *,
        lifespan: Lifespan | None = None,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self._router = router
        self._clock = clock
        self._lifespan = lifespan
        self._random = random
        self._closing = 0

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        """Serve one connection, one request, or the lifespan of the application.

        Raises:
            ValueError: the type of the scope is unknown.
        """
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            raise ValueError(f"unknown scope: {scope['type']}")

    async def _websocket(self, scope: Event, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        head = head_of(scope)
        router = self._router()
        handler, parameters = router.find(head.path)
        try:
            router.check_capacity()
            admission = await handler.admit(head, parameters, upgrade_checked=True)
        except HandshakeRejected as refused:
            handler.refused(head, refused)
            await self._deny(scope, send, refused)
            return
        try:
            await send({"type": "websocket.accept", "subprotocol": admission.subprotocol})
        except BaseException:
            admission.cancel()
            raise
        link = AsgiLink(
            self._clock(), admission.max_message, admission.max_unsent, early=admission.max_early
        )
        link.begin(admission.open(link))
        await link.run(receive, send)

    async def _deny(self, scope: Event, send: Send, refused: HandshakeRejected) -> None:
        if isinstance(refused, ClosedRefusal) and self._closing < CLOSING:
            self._closing += 1
            try:
                await _close(send, refused)
            finally:
                self._closing -= 1
            return
        if _DENIAL not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1000})
            return
        status, headers = refused.refusal.status, refusal_headers(refused, self._random)
        await _respond(send, f"{_DENIAL}.", status, headers, b"")

    async def _http(self, scope: Event, receive: Receive, send: Send) -> None:
        head = head_of(scope)
        handler = self._router().find(head.path).target
        answer = handler.answer(head) if handler.answer is not None else None
        if answer is None:
            handler.refused(head, HandshakeRejected(HandshakeRejection.UNKNOWN_PATH))
            answer = HttpReply(HandshakeRejection.UNKNOWN_PATH.status)
        if isinstance(answer, HttpReply):
            await _respond(send, "http.response.", answer.status, answer.headers, answer.body)
            return
        caller = AsgiResponseSender()
        response = await caller.serve(answer, receive)
        if response is not None:
            await _respond(send, "http.response.", *response)
            caller.taken()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()  # lifespan.startup
        started = False
        try:
            async with self._lifespan or nullcontext():
                started = True
                await send({"type": "lifespan.startup.complete"})
                await receive()  # lifespan.shutdown
        except Exception as error:
            phase = "shutdown" if started else "startup"
            await send({"type": f"lifespan.{phase}.failed", "message": type(error).__name__})
            raise
        await send({"type": "lifespan.shutdown.complete"})


async def _close(send: Send, refused: ClosedRefusal) -> None:
    await send({"type": "websocket.accept", "subprotocol": refused.subprotocol})
    for message in refused.messages:
        for payload, _ in message.parts():
            await send({"type": "websocket.send", "text": payload.decode()})
    await send({"type": "websocket.close", "code": refused.code, "reason": refused.reason})


async def _respond(
    send: Send, kind: str, status: int, headers: tuple[tuple[str, str], ...], body: bytes
) -> None:
    fields = [*headers, ("Content-Length", str(len(body)))]
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields]
    await send({"type": f"{kind}start", "status": status, "headers": encoded})
    await send({"type": f"{kind}body", "body": body})


def head_of(scope: Event) -> RequestHead:
    """The request of an `http` or `websocket` scope, with its path relative to the mount point.

    The path stays as the client wrote it: where the server does not give `raw_path` (it is optional),
    it is encoded again, so that an escape never turns into another path.
    """
    client = scope.get("client")
    headers = by_name(
        (name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t"))
        for name, value in scope["headers"]
    )
    raw = scope.get("raw_path")
    path = quote(scope["path"]) if raw is None else raw.partition(b"?")[0].decode("latin-1")
    if not path.startswith("/"):  # some servers pass an absolute form on unchanged
        with suppress(HandshakeRejected):  # a target in neither form is no endpoint's path
            path = read_absolute(path.encode("latin-1"), headers)
    return RequestHead(
        method=scope.get("method", "GET"),
        path=_within(path, quote(scope.get("root_path", ""))),
        query=scope.get("query_string", b"").decode("latin-1"),
        headers=headers,
        # Without an address it came by a Unix socket.
        peer=client[0] if client and client[0] else UNIX_PEER,
        secure=scope.get("scheme") in {"wss", "https"},
        http_version=scope.get("http_version", "1.1"),
    )


def _within(path: str, mount: str) -> str:
    """The part of `path` below `mount`; servers differ in whether the path includes it."""
    mount = mount.rstrip("/")
    if not mount or not (path == mount or path.startswith(mount + "/")):
        return path
    return path[len(mount) :] or "/"
