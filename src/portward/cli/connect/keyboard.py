"""Lines from standard input for an event loop, from a terminal, a pipe or a file."""

import asyncio
import os
import threading
from concurrent.futures import CancelledError
from typing import Final

_CHUNK: Final = 65_536


class Keyboard:
    """Reads a descriptor in a separate thread until the process ends, one chunk in advance.

    An event loop cannot wait for a file, and a non-blocking terminal would also have non-blocking output. The
    thread reads below Python's buffers, because it must not hold their locks when the process ends.
    """

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue(1)
        self._rest = b""
        self._ended = False
        self._loop = asyncio.get_running_loop()
        self.thread = threading.Thread(target=self._read, name="keyboard", daemon=True)
        self.thread.start()

    async def line(self) -> str | None:
        """Return the next line without its line feed; None when there are no more."""
        while b"\n" not in self._rest and not self._ended:
            chunk = await self._chunks.get()
            self._rest += chunk
            self._ended = not chunk
        if not self._rest:
            return None
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace")

    def _read(self) -> None:
        chunk = None
        while chunk != b"":
            try:
                chunk = os.read(self._descriptor, _CHUNK)
            except OSError:
                chunk = b""  # the terminal was closed: the same as the end of the input
            putting = self._chunks.put(chunk)
            try:
                asyncio.run_coroutine_threadsafe(putting, self._loop).result()
            except (RuntimeError, CancelledError):
                putting.close()
                return  # the loop is closed
