"""One HTTP request behind an ASGI server, for a request handler that answers later."""

import asyncio
from typing import Any

from portward.node.sessions import Headers, RequestHandler
from portward.transports.asgi_link import Receive

Answer = tuple[int, Headers, bytes]


class AsgiResponseSender:
    """Implements `node.sessions.ResponseSender`."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._unsent = 0

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer, unless there was an answer or the client has left."""
        if not self._answer.done():
            self._unsent = len(body)
            self._answer.set_result((status, headers, body))

    def unsent(self) -> int:
        """Bytes of the answer the server has not taken."""
        return self._unsent

    def taken(self) -> None:
        """Record that the server has taken the answer."""
        self._unsent = 0

    async def serve(self, request_handler: RequestHandler, receive: Receive) -> Answer | None:
        """Let `request_handler` handle the request; its answer, or None when the client has left."""
        request_handler.begin(self)
        listening = asyncio.ensure_future(self._listen(request_handler, receive))
        try:
            either: set[asyncio.Future[Any]] = {listening, self._answer}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if listening.done():
                listening.result()
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            if not self._answer.done():
                self._answer.cancel()
                request_handler.gone()
        return self._answer.result()

    async def _listen(self, request_handler: RequestHandler, receive: Receive) -> None:
        """Pass the body on, until there is an answer or the client leaves."""
        while not self._answer.done():
            event = await receive()
            if event["type"] == "http.disconnect":
                if not self._answer.done():
                    self._answer.set_result(None)
                    request_handler.gone()
            elif event.get("body"):
                request_handler.arrived(event["body"])
