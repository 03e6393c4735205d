"""Lines from standard input, for an event loop: a terminal, a pipe or a file alike."""

import asyncio
import os
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from typing import Final

_CHUNK: Final = 65_536
_AHEAD: Final = 64
"""Lines read before they are wanted."""


class Keyboard:
    """Reads a descriptor in a thread of its own, for as long as the process lives.

    An event loop cannot wait for a file, and making a terminal non-blocking would do the same to
    its output. The thread reads below Python's buffers, whose locks it must not hold at the end.
    """

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._lines: asyncio.Queue[str | None] = asyncio.Queue(_AHEAD)
        self._loop = asyncio.get_running_loop()
        self.thread = threading.Thread(target=self._read, name="keyboard", daemon=True)
        self.thread.start()

    async def line(self) -> str | None:
        """The next line without its end; None once there are no more."""
        return await self._lines.get()

    def _read(self) -> None:
        try:
            for line in self._whole_lines():
                self._put(line)
            self._put(None)
        except (RuntimeError, CancelledError):
            return  # the loop is gone

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
            return b""  # a terminal that was hung up: the same as its end

    def _put(self, line: str | None) -> None:
        putting = self._lines.put(line)
        try:
            asyncio.run_coroutine_threadsafe(putting, self._loop).result()
        except RuntimeError:
            putting.close()
            raise
