"""Raw sockets to a listening admin server, for what no HTTP client would send."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from portward.admin.server import GRACE, AdminServer
from tests.admin.service import ADMIN, Service

SPINS = 100_000


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop turn until something is so."""
    for _ in range(SPINS):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to be")


@asynccontextmanager
async def listening(service: Service, *, grace: float = GRACE) -> AsyncIterator[AdminServer]:
    """Serve the admin application on a free port."""
    server = AdminServer(service.app, "127.0.0.1", 0, grace=grace)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


class RawSocket:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def to(cls, server: AdminServer) -> "RawSocket":
        """Connect."""
        return cls(*await asyncio.open_connection(*server.address))

    def send(self, *lines: str, body: bytes = b"") -> None:
        """Send a head of these lines, and a body."""
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + body)

    def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)

    async def head(self) -> bytes:
        """Read one response with its body, and return its status line."""
        head = await self._reader.readuntil(b"\r\n\r\n")
        (length,) = [
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        ]
        await self._reader.readexactly(length)
        return head.partition(b"\r\n")[0]

    async def rest(self) -> bytes:
        """Everything until the server closes, or cuts the connection off."""
        try:
            return await self._reader.read()
        except ConnectionResetError:
            return b""

    async def close(self) -> None:
        """Close."""
        self._writer.close()


POST = ("POST /api/publish HTTP/1.1", "Host: admin", f"X-API-Key: {ADMIN}")
GET = ("GET /health HTTP/1.1", "Host: admin")
