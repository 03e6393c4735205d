"""Lines from standard input for an event loop, from a terminal, a pipe or a file."""

import asyncio
import os
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from typing import Final

_CHUNK: Final = 65_536
_AHEAD: Final = 64
"""The most lines that are read in advance."""


class Keyboard:
    """Reads a descriptor in a separate thread until the process ends.

    An event loop cannot wait for a file, and a non-blocking terminal would also have non-blocking output. The
    thread reads below Python's buffers, because it must not hold their locks when the process ends.
    """

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._lines: asyncio.Queue[str | None] = asyncio.Queue(_AHEAD)
        self._loop = asyncio.get_running_loop()
        self.thread = threading.Thread(target=self._read, name="keyboard", daemon=True)
        self.thread.start()

    async def line(self) -> str | None:
        """Return the next line without its line feed; None when there are no more."""
        return await self._lines.get()

    def _read(self) -> None:
        try:
            for line in self._whole_lines():
                self._put(line)
            self._put(None)
        except (RuntimeError, CancelledError):
            return  # the loop is closed

    def _whole_lines(self) -> Iterator[str]:
        rest = b""
        while chunk := self._chunk():
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines)
        if rest:
            yield rest.decode(errors="replace")

    def _chunk(self) -> bytes:
        try:
            return os.read(self._descriptor, _CHUNK)
        except OSError:
            return b""  # the terminal was closed: the same as the end of the input

    def _put(self, line: str | None) -> None:
        putting = self._lines.put(line)
        try:
            asyncio.run_coroutine_threadsafe(putting, self._loop).result()
        except RuntimeError:
            putting.close()
            raise
