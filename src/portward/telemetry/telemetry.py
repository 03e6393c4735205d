"""Metrics, log and audit as one object that the node records events with."""

import logging
import secrets
import sys
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO, Unpack

import msgspec

from portward.model.clock import Clock
from portward.settings.operation import LogFormat, LogLevel
from portward.telemetry.audit.checkpoint import CheckpointStore
from portward.telemetry.audit.log import AuditFile, AuditLog
from portward.telemetry.events import Audited, Event
from portward.telemetry.fields import Fields, Tidy
from portward.telemetry.keys import audit_key, derive
from portward.telemetry.lag import BOUND, LoopLag
from portward.telemetry.log import Log
from portward.telemetry.metrics import Metrics
from portward.telemetry.sink import sink_for
from portward.telemetry.stdlib_handler import LibraryHandler, exception_fields


class Telemetry:
    """The metrics, log and audit of one gateway. Its methods neither wait nor raise.

    Events are recorded before `start` too; `start` begins the periodic checks (counts of dropped lines,
    failures of the audit, the lag of the loop).
    """

    def __init__(self, metrics: Metrics, log: Log, audit: AuditLog, clock: Clock) -> None:
        self.metrics = metrics
        self.log = log
        self.audit = audit
        self.lag = LoopLag(clock)
        self._alarmed = 0
        self._lost = 0
        metrics.log_dropped_total.follow(lambda: log.dropped)
        metrics.audit_failures_total.follow(lambda: audit.failures)
        for note in audit.mended:
            log.write(Event.AUDIT_MEND, note)

    def start(self) -> None:
        """Start the periodic checks, every half second on the clock's event loop."""
        self.lag.start(self._tick)

    def close(self, timeout: float = 2.0) -> None:
        """Report the last counts, write the waiting lines, and stop."""
        self.lag.stop()
        self._summarise(everything=True)
        self.audit.close(timeout)
        self._alarm()
        self.log.close(timeout)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def record(self, event: Event, /, **fields: Unpack[Fields]) -> None:
        """Log an event; a security event is audited too. In a flood, events are only counted."""
        try:
            self.metrics.events_total.add((event,))
            admitted = self.log.sampler.admits(event)
            if not admitted and event.audited is not Audited.ALWAYS:
                return
            tidy = self.log.tidy(fields)
            if admitted:
                self.log.write(event, tidy)
            if event.audited is not Audited.NO:
                self.audit.append(event, tidy)
        except Exception:  # noqa: BLE001 - a failed line must not close a connection; the loss is counted
            self.log.count_lost()

    def failure(self, error: BaseException, /, **fields: Unpack[Fields]) -> None:
        """Record an unexpected exception without its text, which may contain data of a peer."""
        fields.update(exception_fields(error))
        self.record(Event.INTERNAL_ERROR, **fields)

    def handler(self) -> logging.Handler:
        """Return a handler to add to a library's logger."""
        return LibraryHandler(self.record)

    def _tick(self, lag: float, jump: float) -> None:
        self.metrics.loop_lag_seconds.set(lag)
        if lag >= BOUND:
            self.record(Event.RES_LOOP_LAG, seconds=round(lag, 3))
        if jump:
            self.record(Event.CLOCK_JUMP, seconds=round(jump, 3))
        self._summarise()
        self._alarm()

    def _summarise(self, *, everything: bool = False) -> None:
        """Log how many lines were dropped, and audit it for events that are audited."""
        for event, count in self.log.sampler.over(everything=everything).items():
            note: Tidy = {"of": event.value, "count": count}
            self.log.write(Event.LOG_SUPPRESSED, note)
            if event.audited is Audited.SAMPLED:
                self.audit.append(Event.LOG_SUPPRESSED, note)

    def _alarm(self) -> None:
        """Log that the audit has failed since the last check."""
        failures, lost = self.audit.failures, self.audit.lost
        if failures > self._alarmed:
            note: Tidy = {"reason": self.audit.trouble or "full", "count": lost - self._lost}
            self.log.write(Event.AUDIT_FAIL, note)
            self.metrics.events_total.add((Event.AUDIT_FAIL,))
        self._alarmed, self._lost = failures, lost


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The options of `open_telemetry`. With an empty `audit_file`, security events stay in memory."""

    endpoints: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    version: str = ""
    older_live: tuple[str, ...] = ()
    """Endpoints for which the metrics of an older live server are shown."""
    instance: str = ""
    """The `instance_id` of these metrics."""
    style: LogFormat = LogFormat.CONSOLE
    level: LogLevel = LogLevel.INFO
    colors: bool = False
    hash_users: bool = False
    insecure: bool = False
    audit_file: str = ""
    node: str = ""
    """The name of this process in every line of the log; empty for a single process."""


def open_telemetry(
    clock: Clock,
    options: Options,
    *,
    secret: str | bytes = b"",
    user_secret: str | bytes = b"",
    stream: TextIO | None = None,
    checkpoints: CheckpointStore | None = None,
) -> Telemetry:
    """Build the telemetry of a gateway. The log goes to `stream`, by default standard error.

    The audit key comes from `secret`; without it, a key is stored in a file beside the audit file. The key
    that user ids are hashed with comes from `user_secret`; without it, the key is new in each process, and
    hashes of two nodes, or of two runs, cannot be compared.

    Raises:
        AuditError: the audit file or its key cannot be used.
    """
    metrics = Metrics(
        options.endpoints,
        options.namespaces,
        version=options.version,
        older_live=options.older_live,
        instance=options.instance,
    )
    metrics.insecure_mode.set(options.insecure)
    user_key = derive(user_secret or secrets.token_bytes(), "users") if options.hash_users else None
    sink = sink_for(stream or sys.stderr)
    log = Log(
        sink,
        clock,
        style=options.style,
        level=options.level,
        colors=options.colors,
        user_key=user_key,
        node=options.node,
    )
    file = None
    if options.audit_file:
        path = Path(options.audit_file)
        key = audit_key(path, secret, create=True)
        file = AuditFile(path, key, clock, checkpoints=checkpoints)
    return Telemetry(metrics, log, AuditLog(clock, file), clock)
