"""Where finished lines go: a descriptor, or whatever text stream an embedding program has."""

import os
import select
import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol, TextIO

_PATIENCE: Final = 100
"""Times a descriptor that would block is tried again, 20 ms apart."""
_PAUSE: Final = 0.02


class LogSink(Protocol):
    """The end of the log. Called on the log's own thread."""

    def write(self, data: bytes) -> int:
        """Take bytes; return how many were taken, fewer than given when the sink failed."""


class DescriptorSink:
    """A file descriptor, written without a buffer in between: what was written is out."""

    def __init__(self, descriptor: int, pause: Callable[[float], None] = time.sleep) -> None:
        self._descriptor = descriptor
        self._pause = pause

    def write(self, data: bytes) -> int:
        """Write all of it, or what fits. A full disk and a closed pipe end it early."""
        taken = 0
        patience = _PATIENCE
        while taken < len(data):
            try:
                taken += os.write(self._descriptor, data[taken:])
            except BlockingIOError:  # somebody made our terminal or pipe non-blocking
                patience -= 1
                if not patience:
                    break
                self._pause(_PAUSE)
            except OSError:
                break
        return taken


class StreamSink:
    """A text stream without a descriptor, such as a notebook's or a test's."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, data: bytes) -> int:
        """Write and flush; all or nothing, as far as one can tell."""
        try:
            self._stream.write(data.decode("utf-8", "replace"))
            self._stream.flush()
        except (OSError, ValueError):  # ValueError: the stream was closed
            return 0
        return len(data)


class NoSink:
    """What stands in for a stream that is closed."""

    def write(self, data: bytes) -> int:  # noqa: ARG002 - it takes nothing
        """Take nothing."""
        return 0


def sink_for(stream: TextIO | None, pause: Callable[[float], None] = time.sleep) -> LogSink:
    """Choose the sink for a stream, past its buffer where it has a descriptor; None is a closed one."""
    if stream is None:
        return NoSink()
    try:
        return DescriptorSink(stream.fileno(), pause)
    except (OSError, ValueError, AttributeError):
        return StreamSink(stream)


class LineWriter:
    """Writes whole lines and knows how many got through.

    A line that was cut by a failure is ended before the next one begins, so that no line is ever
    glued to the remains of another.
    """

    def __init__(self, sink: LogSink) -> None:
        self.dropped = 0
        self._sink = sink
        self._ragged = False

    def write(self, lines: list[bytes]) -> None:
        """Write lines, each with its line feed at the end; count those that were lost."""
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
    """Split where POSIX keeps a write to a pipe whole, so that several processes may share one."""
    chunk: list[bytes] = []
    size = 1  # a line feed may go in front
    for line in lines:
        if chunk and size + len(line) > select.PIPE_BUF:
            yield chunk
            chunk, size = [], 1
        chunk.append(line)
        size += len(line)
    if chunk:
        yield chunk
