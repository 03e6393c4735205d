"""Targets of finished lines: a file descriptor, or any text stream of an embedding program."""

import os
import select
import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol, TextIO

_PATIENCE: Final = 100
"""How often a write to a blocking descriptor is tried again, 20 ms apart."""
_PAUSE: Final = 0.02


class LogSink(Protocol):
    """The target of the log's lines. Its methods run on the log's thread."""

    def write(self, data: bytes) -> int:
        """Write bytes; returns how many were written, fewer than given when the sink failed."""


class DescriptorSink:
    """A file descriptor that is written without a buffer."""

    def __init__(self, descriptor: int, pause: Callable[[float], None] = time.sleep) -> None:
        self._descriptor = descriptor
        self._pause = pause

    def write(self, data: bytes) -> int:
        """Write all bytes, or as many as possible. A full disk or a closed pipe stops the write early."""
        taken = 0
        patience = _PATIENCE
        while taken < len(data):
            try:
                taken += os.write(self._descriptor, data[taken:])
            except BlockingIOError:  # another program set this terminal or pipe to non-blocking
                patience -= 1
                if not patience:
                    break
                self._pause(_PAUSE)
            except OSError:
                break
        return taken


class StreamSink:
    """A text stream without a descriptor, such as the stream of a notebook or a test."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, data: bytes) -> int:
        """Write and flush all bytes; returns 0 when this fails."""
        try:
            self._stream.write(data.decode("utf-8", "replace"))
            self._stream.flush()
        except (OSError, ValueError):  # ValueError: the stream was closed
            return 0
        return len(data)


class NoSink:
    """A sink that discards all lines, for a closed stream."""

    def write(self, data: bytes) -> int:  # noqa: ARG002 - it takes nothing
        """Discard the bytes."""
        return 0


def sink_for(stream: TextIO | None, pause: Callable[[float], None] = time.sleep) -> LogSink:
    """Choose the sink for a stream; uses its descriptor if it has one. None stands for a closed stream."""
    if stream is None:
        return NoSink()
    try:
        return DescriptorSink(stream.fileno(), pause)
    except (OSError, ValueError, AttributeError):
        return StreamSink(stream)


class LineWriter:
    """Writes whole lines and counts the lost ones.

    When a failure cuts a line, a line feed is written before the next line, so that no line is joined to a
    part of another.
    """

    def __init__(self, sink: LogSink) -> None:
        self.dropped = 0
        self._sink = sink
        self._ragged = False

    def write(self, lines: list[bytes]) -> None:
        """Write lines that each end with a line feed; count those that were lost."""
        for chunk in _chunks(lines):
            self._write(chunk)

    def _write(self, lines: list[bytes]) -> None:
        mend = b"\n" if self._ragged else b""
        data = mend + b"".join(lines)
        taken = data[: self._sink.write(data)]
        if taken:
            self._ragged = not taken.endswith(b"\n")
        self.dropped += len(lines) - taken.count(b"\n") + taken.startswith(b"\n")


def _chunks(lines: list[bytes]) -> Iterator[list[bytes]]:
    """Split lines into chunks that POSIX writes to a pipe as a whole, so that processes can share a pipe."""
    chunk: list[bytes] = []
    size = 1  # a line feed may be added in front
    for line in lines:
        if chunk and size + len(line) > select.PIPE_BUF:
            yield chunk
            chunk, size = [], 1
        chunk.append(line)
        size += len(line)
    if chunk:
        yield chunk
