"""Metrics, log and audit as one object that the node records events with."""

import logging
import os
import secrets
import socket
import sys
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO, Unpack

from portward.model.clock import Clock
from portward.settings import Settings
from portward.settings.endpoint import AuthMode
from portward.settings.resolve import with_defaults
from portward.telemetry.audit.log import AuditLog
from portward.telemetry.audit.writer import AuditFile
from portward.telemetry.events import Audited, Event
from portward.telemetry.fields import Fields, Tidy
from portward.telemetry.keys import audit_key, derive
from portward.telemetry.lag import BOUND, LoopLag
from portward.telemetry.log import Log, LogOptions
from portward.telemetry.metrics import Metrics
from portward.telemetry.sink import sink_for
from portward.telemetry.stdlib_handler import LibraryHandler, exception_fields
from portward.version import __version__


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
        for problem in audit.file.problems if audit.file is not None else ():
            log.write(Event.AUDIT_MEND, problem)

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
            file = self.audit.file
            trouble = file.trouble if file is not None else ""
            note: Tidy = {"reason": trouble or "full", "count": lost - self._lost}
            self.log.write(Event.AUDIT_FAIL, note)
            self.metrics.events_total.add((Event.AUDIT_FAIL,))
        self._alarmed, self._lost = failures, lost


def insecure(settings: Settings) -> bool:
    """Return whether a protection is switched off that production requires."""
    return any(
        endpoint.enabled and endpoint.auth is AuthMode.NONE
        for endpoint in settings.endpoints.values()
    )


def make_telemetry(settings: Settings, clock: Clock, stream: TextIO | None = None) -> Telemetry:
    """Make the metrics, the log and the audit of a gateway. The log goes to `stream`, or standard error.

    The audit key is in a file beside the audit file. User ids are hashed with a key from the session secret;
    without it, the key is new in each process, and hashes of two nodes, or of two runs, cannot be compared.

    Raises:
        AuditError: the audit file or its key cannot be used.
    """
    stream, given, server = stream or sys.stderr, with_defaults(settings).log, settings.server
    live = [name for name, each in settings.endpoints.items() if each.dialect == "live"]
    metrics = Metrics(
        settings.endpoints,
        settings.namespaces,
        version=__version__,
        older_live=live if settings.metrics.older_names else (),
        instance=server.instance_id or socket.gethostname(),
    )
    metrics.insecure_mode.set(insecure(settings))
    user_secret = settings.tokens.session_secret.encode() or secrets.token_bytes()
    log = Log(
        sink_for(stream),
        clock,
        LogOptions(
            style=given.format,
            level=given.level,
            colors=_is_terminal(stream) and "NO_COLOR" not in os.environ,
            user_key=derive(user_secret, "users") if given.hash_users else None,
            node=server.instance_id if server.workers > 1 else "",
        ),
    )
    file = None
    if settings.audit.file:
        path = Path(settings.audit.file)
        file = AuditFile(path, audit_key(path, create=True), clock)
    return Telemetry(metrics, log, AuditLog(clock, file), clock)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # the stream is closed
        return False
