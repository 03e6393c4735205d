"""A real HTTP identity provider: it knows people by their cookies, and has its troubles on demand."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from tests.identity.standin_server import Answer, response

COOKIE: Final = "directus_session_token"
QUESTION: Final = "/users/me?fields=id,email,role,first_name,last_name"
HUGE: Final = 10 * 1024 * 1024


def user(name: str) -> dict[str, Any]:
    """What the provider says of somebody."""
    return {
        "id": name,
        "email": f"{name}@example.com",
        "role": "editor",
        "first_name": name.title(),
        "last_name": None,
    }


def said(value: Any) -> bytes:
    """A 200 with something under `data`."""
    return response(
        json.dumps({"data": value}).encode(), "200 OK", "Content-Type: application/json"
    )


async def endless(writer: asyncio.StreamWriter) -> None:
    """Ten megabytes of an answer that began well."""
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {HUGE}\r\nContent-Type: application/json\r\n\r\n"
    writer.write(head.encode() + b'{"data":{"id":"')
    for _ in range(HUGE // 65536):
        writer.write(b"x" * 65536)
        await writer.drain()


async def dribble(writer: asyncio.StreamWriter) -> None:
    """An answer of which a byte comes now and then, and which never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
    while not writer.transport.is_closing():
        writer.write(b" ")
        await asyncio.sleep(0.02)


async def cut(writer: asyncio.StreamWriter) -> None:
    """Half an answer, and no more."""
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"data":')
    await writer.drain()


class Directory:
    """Answers by cookie value: `people` are known, with the `events` each may hear.

    `troubles` are other answers by cookie value, `topic_troubles` by event; `asked` are the questions
    as they came: path, and the cookie header.
    """

    def __init__(self) -> None:
        self.people: dict[str, dict[str, Any]] = {}
        self.events: dict[str, set[str]] = {}
        self.troubles: dict[str, Answer] = {}
        self.topic_troubles: dict[str, Answer] = {}
        self.asked: list[tuple[str, str]] = []
        self.url = ""
        self._handlers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def login(self, cookie: str, name: str, *events: str) -> None:
        """Somebody logs in."""
        self.people[cookie] = user(name)
        self.events[cookie] = set(events)

    def logout(self, cookie: str) -> None:
        """And out."""
        del self.people[cookie]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the questions of one connection."""
        handler = asyncio.current_task()
        assert handler is not None
        self._handlers[handler] = writer
        try:
            while True:
                answer = self._judge(await reader.readuntil(b"\r\n\r\n"))
                if not isinstance(answer, bytes):
                    await answer(writer)
                    break
                writer.write(answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            del self._handlers[handler]
            writer.close()

    async def hang_up(self) -> None:
        """Close every connection."""
        for writer in self._handlers.values():
            writer.transport.abort()
        if self._handlers:
            await asyncio.wait(tuple(self._handlers))

    def _judge(self, head: bytes) -> Answer:
        request, *lines = head.decode("latin-1").split("\r\n")
        path = request.split(" ")[1]
        headers = {name.lower(): value.strip() for name, _, value in map(_parted, lines)}
        cookies = headers.get("cookie", "")
        self.asked.append((path, cookies))
        pairs = {name: value for name, _, value in map(_pair, cookies.split(";"))}
        return self._answer(path, pairs.get(COOKIE, ""))

    def _answer(self, path: str, value: str) -> Answer:
        if path.startswith("/items/events/"):
            return self._event(
                path.removeprefix("/items/events/").removesuffix("?fields=id"), value
            )
        if value in self.troubles:
            return self.troubles[value]
        if path != QUESTION:
            return response(b"", "404 Not Found")
        person = self.people.get(value)
        return response(b"{}", "401 Unauthorized") if person is None else said(person)

    def _event(self, event: str, value: str) -> Answer:
        if event in self.topic_troubles:
            return self.topic_troubles[event]
        if value not in self.people or event not in self.events[value]:
            return response(b"{}", "403 Forbidden")
        return said({"id": event})


def _parted(line: str) -> tuple[str, str, str]:
    return line.partition(":")


def _pair(text: str) -> tuple[str, str, str]:
    return text.strip().partition("=")


@asynccontextmanager
async def directory() -> AsyncIterator[Directory]:
    """A provider that listens."""
    running = Directory()
    server = await asyncio.start_server(running.serve, "127.0.0.1", 0)
    running.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield running
    finally:
        server.close()
        await running.hang_up()
        await server.wait_closed()
