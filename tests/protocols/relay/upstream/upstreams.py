"""Upstreams for the tests: real WebSocket servers, and raw ones that answer what they are told."""

import asyncio
import base64
import hashlib
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from portward.protocols.relay.upstream import UpstreamClient
from portward.protocols.relay.upstream_link import UpstreamConnection

KEY = "sk-canary-81f3"
MODEL = "gpt-realtime"
Handler = Callable[[ServerConnection], Awaitable[None]]


def client(url: str, **options: Any) -> UpstreamClient:
    """A client that may go to this machine."""
    return UpstreamClient(url, lambda: KEY, **{"allow_private": True, "timeout": 5.0} | options)


@asynccontextmanager
async def serving(handler: Handler, **options: Any) -> AsyncIterator[str]:
    """A WebSocket server; gives its address."""
    options = {"compression": None, "ping_interval": None, "close_timeout": 0.1} | options
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/v1/realtime?model={{model}}"


@asynccontextmanager
async def linked(handler: Handler) -> AsyncIterator[UpstreamConnection]:
    """A connection to a WebSocket server."""
    async with serving(handler) as url:
        link = await client(url).open(MODEL)
        try:
            yield link
        finally:
            link.drop()


def accepted(head: bytes) -> bytes:
    """The answer that opens a WebSocket."""
    found = re.search(rb"(?i)sec-websocket-key: (\S+)", head)
    assert found is not None
    made = hashlib.sha1(found[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False)
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(made.digest()) + b"\r\n\r\n"
    )


def frame(first: int, payload: bytes = b"") -> bytes:
    """A frame as a server sends it. `first` is its first byte."""
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65536:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload


class Raw:
    """A server that answers every head the same way and then reads nothing until it is released."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self.answer = answer
        self.heads: list[bytes] = []
        self.port = 0
        self.gone = asyncio.Event()
        """Set when a client let go of its connection."""
        self.reading = asyncio.Event()
        self.writers: list[asyncio.StreamWriter] = []

    @property
    def url(self) -> str:
        """Where it is."""
        return f"ws://127.0.0.1:{self.port}/v1/realtime?model={{model}}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.writers.append(writer)
        try:
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            answer = self.answer(self.heads[-1])
            writer.write(answer)
            await self.reading.wait()
            while await reader.read(65536):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.gone.set()
            writer.transport.abort()


@asynccontextmanager
async def raw(
    answer: Callable[[bytes], bytes], *, reading: bool = True, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Raw]:
    """A raw server."""
    made = Raw(answer)
    if reading:
        made.reading.set()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        made.reading.set()
        for writer in made.writers:
            writer.transport.abort()
        for _ in range(5):
            await asyncio.sleep(0)


async def still(count: Callable[[], int]) -> int:
    """Wait until a number grows no more."""
    seen, turns = -1, 0
    while turns < 400:
        turns = turns + 1 if count() == seen else 0
        seen = count()
        await asyncio.sleep(0)
    return seen


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something is so."""
    for _ in range(1_000_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to be")
