"""The log: one line per event. Console text in development, JSON in production.

Lines go into a bounded queue; a thread renders and writes them (see `worker_queue`). When the sink is too
slow, or fails, lines are lost and counted. structlog's global configuration belongs to the embedding
program: it is neither read nor changed.
"""

import json
from datetime import UTC, datetime
from typing import Final, NamedTuple, Unpack

import structlog
from msgspec import Struct
from structlog.typing import Processor

from portward.model.clock import Clock
from portward.settings.operation import LogFormat, LogLevel
from portward.telemetry.events import Event
from portward.telemetry.fields import Fields, Sanitizer, Tidy
from portward.telemetry.sampling import Sampler
from portward.telemetry.sink import LineWriter, LogSink
from portward.telemetry.worker_queue import QueueThread

LINES: Final = 100
"""The most lines of one event per second."""
QUEUE: Final = 8192
"""The most lines that wait to be written."""


class _LogEntry(NamedTuple):
    time: float
    event: Event
    fields: Tidy


def stamp(seconds: float) -> str:
    """Format Unix seconds as UTC with milliseconds: `2025-11-21T02:38:00.123Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


class LogOptions(Struct, frozen=True, kw_only=True):
    """The options of a log."""

    style: LogFormat = LogFormat.CONSOLE
    level: LogLevel = LogLevel.INFO
    """Events below it are dropped."""
    colors: bool = False
    user_key: bytes | None = None
    """Turns user ids into keyed hashes."""
    node: str = ""
    """Written in every line, for several processes that write to one place."""
    lines: int = LINES
    """The most lines of one event per second; dropped lines are counted in a `log.suppressed` line."""
    capacity: int = QUEUE

    def __repr__(self) -> str:
        return "LogOptions()"


_USUAL: Final = LogOptions()


class Log:
    """The log of one gateway."""

    def __init__(self, sink: LogSink, clock: Clock, options: LogOptions = _USUAL) -> None:
        self.tidy = Sanitizer(options.user_key)
        self.sampler = Sampler(options.lines, clock.monotonic)
        self._clock = clock
        self._writer = LineWriter(sink)
        renderer = _renderer(options.style, colors=options.colors)
        lines_of = _EntryWriter(self._writer, options.node, renderer)
        self._queue: QueueThread[_LogEntry] = QueueThread(
            lines_of.write, name="portward-log", capacity=options.capacity
        )
        self._lost = 0
        levels = tuple(LogLevel)
        self._levels: frozenset[str] = frozenset(levels[levels.index(options.level) :])

    @property
    def dropped(self) -> int:
        """The number of lost lines: the queue was full, or the sink failed."""
        return self._queue.refused + self._queue.broken + self._writer.dropped + self._lost

    def event(self, event: Event, **fields: Unpack[Fields]) -> None:
        """Write a line, unless this event has used its lines of this second. Never raises."""
        if event.level in self._levels and self.sampler.admits(event):
            self.write(event, self.tidy(fields))

    def write(self, event: Event, fields: Tidy) -> None:
        """Write a line of fields that are already sanitized, without sampling."""
        if event.level not in self._levels:
            return
        self._queue.put(_LogEntry(self._clock.time(), event, fields))

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait until every line is written or lost. Returns False after the timeout."""
        return self._queue.flush(timeout)

    def close(self, timeout: float = 2.0) -> None:
        """Write the remaining lines and stop; later lines are counted as lost."""
        self._lost += self._queue.close(timeout)

    def count_lost(self) -> None:
        """Count a line that could not be made."""
        self._lost += 1


class _EntryWriter:
    """Renders entries and writes the lines, on the log's thread."""

    def __init__(self, writer: LineWriter, node: str, renderer: Processor) -> None:
        self._writer = writer
        self._node = {"node": node} if node else {}
        self._renderer = renderer

    def write(self, entries: list[_LogEntry]) -> int:
        """Write entries; return their number. A failed line is lost and not tried again."""
        self._writer.write([self._line(entry) for entry in entries])
        return len(entries)

    def _line(self, entry: _LogEntry) -> bytes:
        level = entry.event.level.value
        head = {"time": stamp(entry.time), "level": level, "event": entry.event.value}
        line = self._renderer(None, level, {**head, **self._node, **entry.fields})
        return str(line).encode("utf-8", "backslashreplace") + b"\n"


def _renderer(style: LogFormat, *, colors: bool) -> Processor:
    if style is LogFormat.JSON:
        # With every non-ASCII character escaped, no reader finds a line break inside a line.
        encoder = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        return structlog.processors.JSONRenderer(serializer=lambda line, **_: encoder.encode(line))
    return structlog.dev.ConsoleRenderer(
        colors=colors,
        sort_keys=False,
        timestamp_key="time",
        exception_formatter=structlog.dev.plain_traceback,
    )
