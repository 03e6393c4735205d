import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from portward.settings import Secret, Settings
from portward.settings.endpoint import AuthMode
from portward.settings.operation import AuditSettings, LogFormat, LogSettings
from portward.settings.presets import ENDPOINTS
from portward.settings.tokens import Tokens
from portward.telemetry.audit.log import AuditLog
from portward.telemetry.audit.verify import verify_audit
from portward.telemetry.events import Event
from portward.telemetry.keys import AuditError
from portward.telemetry.log import Log, LogOptions
from portward.telemetry.metrics import Metrics
from portward.telemetry.telemetry import Telemetry, make_telemetry
from portward.testing.clock import FakeClock
from tests.telemetry.fakes import Full, Kept, Memory, file_of, open_audit, records, until


@pytest.fixture
def clock() -> FakeClock:
    """Time that leaps."""
    return FakeClock()


@pytest.fixture
def sink() -> Kept:
    """Where the log goes."""
    return Kept()


@pytest.fixture
def telemetry(clock: FakeClock, sink: Kept) -> Iterator[Telemetry]:
    """A started telemetry with a JSON log of three lines an event, and an audit in memory."""
    log = Log(sink, clock, LogOptions(style=LogFormat.JSON, lines=3))
    with Telemetry(Metrics(["rooms"]), log, AuditLog(clock), clock) as telemetry:
        yield telemetry


def events(telemetry: Telemetry, sink: Kept) -> list[tuple[str, dict[str, Any]]]:
    """The lines so far, without time and level."""
    telemetry.log.flush()
    return [
        (line["event"], {k: v for k, v in line.items() if k not in {"time", "level", "event"}})
        for line in sink.json
    ]


def value(telemetry: Telemetry, sample: str) -> float:
    """One sample of a scrape."""
    for line in telemetry.metrics.render().decode().splitlines():
        if line.startswith(f"portward_{sample} "):
            return float(line.rpartition(" ")[2])
    raise KeyError(sample)


def audited(telemetry: Telemetry) -> list[str]:
    """The events in the audit."""
    return [entry.event for entry in telemetry.audit.recent(1000)]


def test_an_event_is_logged_and_counted(telemetry: Telemetry, sink: Kept) -> None:
    """An ordinary event is no business of the audit."""
    telemetry.record(Event.CONN_OPEN, client="c1", endpoint="rooms", address="10.0.0.1")
    assert events(telemetry, sink) == [
        ("conn.open", {"client": "c1", "endpoint": "rooms", "address": "10.0.0.xxx"})
    ]
    assert value(telemetry, 'events_total{event="conn.open"}') == 1
    assert audited(telemetry) == []


def test_a_security_event_is_audited_with_the_same_fields(telemetry: Telemetry) -> None:
    """Masked and cleaned as in the log."""
    telemetry.record(Event.AUTH_FAIL, address="10.0.0.1", user="a\nb")
    (entry,) = telemetry.audit.recent()
    assert (entry.event, entry.fields) == (
        "auth.fail",
        {"address": "10.0.0.xxx", "user": "a\\nb"},
    )


@pytest.mark.p0
def test_a_flood_is_counted_and_not_written(
    telemetry: Telemetry, sink: Kept, clock: FakeClock
) -> None:
    """A hundred thousand refusals in a second are four lines, in the log and in the audit."""
    for _ in range(100_000):
        telemetry.record(Event.ORIGIN_REJECT, origin="https://evil.example")
    clock.advance(1.0)
    found = events(telemetry, sink)
    assert [name for name, _ in found] == ["origin.reject"] * 3 + ["log.suppressed"]
    assert found[-1][1] == {"of": "origin.reject", "count": 99_997}
    assert audited(telemetry) == [name for name, _ in found]
    assert value(telemetry, 'events_total{event="origin.reject"}') == 100_000


def test_what_operators_do_is_audited_each_time(telemetry: Telemetry, sink: Kept) -> None:
    """The log may leave lines out, the audit does not."""
    for number in range(50):
        telemetry.record(Event.AUTH_REVOKE, user=f"user-{number}")
    assert len(events(telemetry, sink)) == 3
    assert audited(telemetry) == ["auth.revoke"] * 50


def test_left_out_lines_of_ordinary_events_are_not_audited(
    telemetry: Telemetry, sink: Kept, clock: FakeClock
) -> None:
    """Their count stands in the log alone."""
    for _ in range(5):
        telemetry.record(Event.CONN_OPEN)
    clock.advance(1.0)
    assert events(telemetry, sink)[-1] == ("log.suppressed", {"of": "conn.open", "count": 2})
    assert audited(telemetry) == []


def test_closing_tells_what_was_left_out(clock: FakeClock, sink: Kept) -> None:
    """The second that still runs is told at the end."""
    log = Log(sink, clock, LogOptions(style=LogFormat.JSON, lines=1))
    telemetry = Telemetry(Metrics(), log, AuditLog(clock), clock)
    telemetry.record(Event.CONN_OPEN)
    telemetry.record(Event.CONN_OPEN)
    telemetry.close()
    assert sink.events() == ["conn.open", "log.suppressed"]
    assert clock.pending == 0


@pytest.mark.p0
def test_an_unexpected_exception_shows_no_text(telemetry: Telemetry, sink: Kept) -> None:
    """Its class and where it came from, with the fields that say what was going on."""
    with pytest.raises(ValueError, match="canary") as caught:
        int("canary eyJhbGciOiJub25lIn0.canary")
    telemetry.failure(caught.value, client="c1")
    ((name, fields),) = events(telemetry, sink)
    assert name == "internal.error"
    assert fields.keys() == {"client", "error", "trace"}
    assert fields["error"] == "ValueError"
    assert b"canary" not in sink.data


def test_libraries_speak_through_the_log(telemetry: Telemetry, sink: Kept) -> None:
    """A handler on their logger makes lines of our own."""
    logger = logging.getLogger("some.library.in.bundle")
    handler = telemetry.handler()
    logger.addHandler(handler)
    logger.warning("lost %s", "canary")
    logger.removeHandler(handler)
    assert events(telemetry, sink) == [
        ("library", {"source": "some.library.in.bundle", "detail": "lost %s"})
    ]


def test_nothing_a_caller_does_raises(telemetry: Telemetry, sink: Kept) -> None:
    """A value that cannot even be looked at costs its line, and is counted."""

    class Nasty:
        def __eq__(self, other: object) -> bool:
            raise RuntimeError

        def __hash__(self) -> int:
            return 1

        def __str__(self) -> str:
            raise RuntimeError

    telemetry.record(Event.CONN_OPEN, roles={Nasty()})  # type: ignore[arg-type]
    assert events(telemetry, sink) == []
    assert value(telemetry, "log_dropped_total") == 1


def test_a_late_loop_is_measured_and_warned_about(
    telemetry: Telemetry, sink: Kept, clock: FakeClock
) -> None:
    """A little is measured only."""
    clock.stall(0.6)
    clock.advance(0.0)
    assert value(telemetry, "loop_lag_seconds") == pytest.approx(0.1)
    assert events(telemetry, sink) == []
    clock.stall(2.5)
    clock.advance(0.0)
    assert telemetry.lag.last == pytest.approx(2.0)
    assert events(telemetry, sink) == [("res.loop_lag", {"seconds": 2.0})]


def test_a_moved_clock_is_recorded(telemetry: Telemetry, sink: Kept, clock: FakeClock) -> None:
    """In the log and in the audit, whose times it spoils."""
    clock.set_wall(clock.time() - 3600)
    clock.advance(0.5)
    assert events(telemetry, sink) == [("clock.jump", {"seconds": -3600.0})]
    assert audited(telemetry) == ["clock.jump"]


@pytest.mark.p1
def test_a_failing_audit_is_an_alarm(tmp_path: Path, clock: FakeClock, sink: Kept) -> None:
    """Each half second in which it failed has a line; the numbers say how often and how much."""
    path = tmp_path / "audit.jsonl"
    path.symlink_to("/dev/full")
    audit = open_audit(path, clock, store=Memory(), capacity=6)
    log = Log(sink, clock, LogOptions(style=LogFormat.JSON))
    telemetry = Telemetry(Metrics(), log, audit, clock)
    telemetry.start()
    for _ in range(10):
        telemetry.record(Event.AUTH_FAIL)
    until(lambda: bool(file_of(audit).trouble))
    clock.advance(0.5)
    alarms = [fields for name, fields in events(telemetry, sink) if name == "audit.fail"]
    assert alarms == [{"reason": "ENOSPC", "count": audit.lost}]
    assert audit.lost > 0
    assert value(telemetry, "audit_failures_total") >= audit.lost
    assert value(telemetry, 'events_total{event="audit.fail"}') == 1
    telemetry.close()


def test_what_was_mended_is_logged(tmp_path: Path, clock: FakeClock, sink: Kept) -> None:
    """A torn file is news for the log as well."""
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b"torn")
    log = Log(sink, clock, LogOptions(style=LogFormat.JSON))
    telemetry = Telemetry(Metrics(), log, open_audit(path, clock), clock)
    telemetry.close()
    assert [(line["event"], line["reason"]) for line in sink.json] == [("audit.mend", "torn")]


def test_lost_lines_show_in_the_metrics(clock: FakeClock) -> None:
    """A log that cannot write is seen by whoever scrapes."""
    log = Log(Full(0), clock)
    with Telemetry(Metrics(), log, AuditLog(clock), clock) as telemetry:
        telemetry.record(Event.AUTH_OK)
        log.flush()
        assert value(telemetry, "log_dropped_total") == 1


def test_everything_is_opened_as_configured(
    tmp_path: Path, clock: FakeClock, capfd: pytest.CaptureFixture[str]
) -> None:
    """Standard error by default, a key file beside the audit, hashed users, the mode."""
    path = tmp_path / "audit.jsonl"
    rooms = replace(ENDPOINTS["rooms"], auth=AuthMode.NONE)
    settings = Settings(
        endpoints={"rooms": rooms},
        log=LogSettings(format=LogFormat.JSON, hash_users=True),
        audit=AuditSettings(file=str(path)),
    )
    with make_telemetry(settings, clock) as telemetry:
        telemetry.record(Event.AUTH_OK, user="alice")
        assert value(telemetry, "insecure_mode") == 1
    assert verify_audit(path).ok
    _, record = records(path)
    (line,) = [json.loads(text) for text in capfd.readouterr().err.splitlines()]
    assert record["fields"]["user"] == line["user"] != "alice"
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        *("audit.jsonl", "audit.jsonl.checkpoint", "audit.jsonl.key"),
    ]


def test_with_a_secret_two_nodes_hash_alike(tmp_path: Path, clock: FakeClock) -> None:
    """And no key file is made."""
    hashes = set()
    for name in ("a", "b"):
        with (tmp_path / f"{name}.log").open("w") as stream:
            settings = Settings(
                log=LogSettings(format=LogFormat.JSON, hash_users=True),
                tokens=Tokens(session_secret=Secret("secret")),
            )
            with make_telemetry(settings, clock, stream) as telemetry:
                telemetry.record(Event.AUTH_OK, user="alice")
        hashes.add(json.loads((tmp_path / f"{name}.log").read_text())["user"])
    assert len(hashes) == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.log", "b.log"]


def test_an_audit_that_cannot_be_opened_stops_the_start(tmp_path: Path, clock: FakeClock) -> None:
    """A wrong path is told at once, not at the first event."""
    file = str(tmp_path / "missing" / "audit.jsonl")
    with pytest.raises(AuditError, match="No such file"):
        make_telemetry(Settings(audit=AuditSettings(file=file)), clock, sys.stderr)
