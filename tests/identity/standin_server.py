"""A real HTTP server in the place of an identity provider: it answers as it is told."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

Answer = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]

USER = {
    "id": "u-1",
    "email": "ann@example.com",
    "role": "editor",
    "first_name": "Ann",
    "last_name": "Lee",
}


def response(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A whole HTTP answer."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


def data(value: Any, *headers: str) -> bytes:
    """An answer with something under `data`."""
    return response(json.dumps({"data": value}).encode(), "200 OK", *headers)


async def hang(writer: asyncio.StreamWriter) -> None:
    """Say nothing until the caller hangs up."""
    await writer.wait_closed()


class Standin:
    """Answers every question with `answer`, or by path with one of `answers`.

    `heads` are the requests as they came, `most` how many it had to think about at a time. With `gate`
    set to an event it thinks until that is set.
    """

    def __init__(self) -> None:
        self.answer: Answer = data(USER)
        self.answers: dict[str, Answer] = {}
        self.heads: list[str] = []
        self.gate: asyncio.Event | None = None
        self.open = self.most = 0
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._came = asyncio.Condition()
        self._handlers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def stop(self) -> None:
        """Listen no more, and hang up."""
        if self.gate is not None:
            self.gate.set()
        for writer in self._handlers.values():
            writer.close()
        if self._handlers:
            await asyncio.wait(tuple(self._handlers))
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    @property
    def url(self) -> str:
        """Its address."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def paths(self) -> list[str]:
        """What was asked for."""
        return [head.split(" ", 2)[1] for head in self.heads]

    def cookies(self) -> list[str]:
        """The cookies that came with each request; empty for none."""
        found = []
        for head in self.heads:
            lines = [line for line in head.split("\r\n") if line.lower().startswith("cookie:")]
            found.append(lines[0].partition(":")[2].strip() if lines else "")
        return found

    async def asked(self, count: int = 1) -> None:
        """Wait until so many questions have come."""
        async with self._came:
            await self._came.wait_for(lambda: len(self.heads) >= count)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        handler = asyncio.current_task()
        assert handler is not None
        self._handlers[handler] = writer
        try:
            while True:
                await self._one(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            del self._handlers[handler]
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.heads.append(head)
        async with self._came:
            self._came.notify_all()
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            if self.gate is not None:
                await self.gate.wait()
            answer = self.answers.get(self.paths[-1], self.answer)
            if not isinstance(answer, bytes):
                await answer(writer)
                raise ConnectionError
            writer.write(answer)
            await writer.drain()
            if b"Content-Length" not in answer:
                raise ConnectionError
        finally:
            self.open -= 1
