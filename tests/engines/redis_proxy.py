"""A wire between an engine and its server that can be slow, or swallow everything."""

import asyncio
import random
from collections.abc import Coroutine
from contextlib import suppress


class Proxy:
    """Forwards to a port of this machine. A piece is held back `delay` and up to `latency` seconds more."""

    def __init__(self, target: int, latency: float = 0.0) -> None:
        self.target = target
        self.latency = latency
        self.delay = 0.0
        self.swallowing = False
        self.unwanted: bytes | None = None
        """Pieces that contain this do not arrive."""
        self.swallowed = 0
        self.accepted = 0
        self._random = random.Random(7)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """Its address."""
        assert self._server is not None
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        while self._tasks:
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.wait(tuple(self._tasks))
        for writer in self._writers:
            writer.close()
        for writer in self._writers:
            with suppress(OSError):
                await writer.wait_closed()
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.add(writer)
        self._begin(self._join(reader, writer))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        self._writers.add(back)
        self._begin(self._pump(reader, back))
        self._begin(self._pump(there, writer))

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await source.read(4096):
                if self.latency or self.delay:
                    await asyncio.sleep(self.delay + self._random.uniform(0.0, self.latency))
                unwanted = self.unwanted is not None and self.unwanted in piece
                if self.swallowing or unwanted:
                    self.swallowed += 1
                else:
                    sink.write(piece)
                    await sink.drain()
        sink.close()
