import json
import subprocess
import sys
from pathlib import Path

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from portward.settings.operation import LogFormat, LogLevel
from portward.telemetry.events import Event
from portward.telemetry.fields import FIELDS, Fields
from portward.telemetry.log import Log, LogOptions, stamp
from portward.telemetry.sink import DescriptorSink
from portward.testing.clock import START, FakeClock
from tests.telemetry.fakes import Full, Kept, Stuck

HOSTILE = ("a\r\nb", "\x1b[31mred\x1b[0m", "x\u2028y\u2029z\x85", "\ud800", "k" * 102_400, '" } {')


def json_log(sink: Kept, clock: FakeClock | None = None, *, lines: int = 1000) -> Log:
    """A log of JSON lines."""
    return Log(sink, clock or FakeClock(), LogOptions(style=LogFormat.JSON, lines=lines))


def test_a_json_line_says_when_how_grave_and_what() -> None:
    """Time, level and event come first, then the fields in their order."""
    sink = Kept()
    log = json_log(sink, FakeClock(1_700_000_000.25))
    log.event(Event.AUTH_FAIL, client="c1", reason="expired", count=2)
    log.close()
    assert sink.lines == [
        '{"time":"2023-11-14T22:13:20.250Z","level":"warning","event":"auth.fail",'
        '"client":"c1","reason":"expired","count":2}'
    ]


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (LogLevel.INFO, ["conn.open", "auth.fail", "settings.reject"]),
        (LogLevel.WARNING, ["auth.fail", "settings.reject"]),
        (LogLevel.ERROR, ["settings.reject"]),
    ],
)
def test_events_below_the_level_are_left_out(level: LogLevel, expected: list[str]) -> None:
    """An event is logged when it is of the level that is set, or above."""
    sink = Kept()
    log = Log(sink, FakeClock(), LogOptions(style=LogFormat.JSON, level=level))
    log.event(Event.CONN_OPEN, client="c1")
    log.event(Event.AUTH_FAIL, client="c1")
    log.write(Event.SETTINGS_REJECT, log.tidy({"detail": "x"}))
    log.close()
    assert [json.loads(line)["event"] for line in sink.lines] == expected


def test_who_says_it() -> None:
    """Where several processes write to one place, each line names the one; an event's own name wins."""
    sink = Kept()
    log = Log(sink, FakeClock(), LogOptions(style=LogFormat.JSON, node="box-1"))
    log.event(Event.CONN_OPEN, client="c1")
    log.event(Event.WORKER_END, node="box-2")
    log.close()
    said = [json.loads(line) for line in sink.lines]
    assert [each["node"] for each in said] == ["box-1", "box-2"]
    assert list(said[0]) == ["time", "level", "event", "node", "client"]


def test_a_console_line_is_for_eyes() -> None:
    """The same in words, without colours unless asked for."""
    sink = Kept()
    log = Log(sink, FakeClock())
    log.event(Event.AUTH_FAIL, client="c1", detail="two words", roles=["a"])
    log.close()
    (line,) = sink.lines
    assert line.split() == [
        *("2023-11-14T22:13:20.000Z", "[warning", "]", "auth.fail"),
        *("client=c1", "detail='two", "words'", "roles=['a']"),
    ]


def test_colours_are_used_when_asked_for() -> None:
    """A terminal shows levels in colour."""
    sink = Kept()
    log = Log(sink, FakeClock(), LogOptions(colors=True))
    log.event(Event.AUTH_FAIL)
    log.close()
    assert b"\x1b[" in sink.data


@pytest.mark.p0
@pytest.mark.parametrize("style", list(LogFormat))
@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_one_event_is_one_line(style: LogFormat, hostile: str) -> None:
    """Hostile text in every field at once forges no line and no terminal code."""
    sink = Kept()
    log = Log(sink, FakeClock(), LogOptions(style=style))
    fields: Fields = dict.fromkeys(FIELDS, hostile)  # type: ignore[assignment]
    log.write(Event.AUTH_FAIL, log.tidy(fields))
    log.close()
    assert sink.data.count(b"\n") == 1
    assert len(sink.data.decode().splitlines()) == 1
    assert b"\x1b" not in sink.data
    if style is LogFormat.JSON:
        (line,) = sink.json
        assert line.keys() == FIELDS | {"time", "level", "event"}
        assert all(len(line[name]) <= 256 for name in FIELDS)


@pytest.mark.p0
@settings(deadline=None)
@given(st.lists(st.text(), min_size=1, max_size=20))
def test_as_many_lines_as_events(texts: list[str]) -> None:
    """Every line parses, whatever users are called."""
    sink = Kept()
    log = json_log(sink)
    for text in texts:
        log.event(Event.AUTH_OK, user=text, path=text, roles=[text])
    log.close()
    assert [line["event"] for line in sink.json] == ["auth.ok"] * len(texts)


def test_a_flood_of_one_event_is_cut_and_others_are_not() -> None:
    """Lines left out are the sampler's to tell."""
    sink = Kept()
    log = json_log(sink, lines=3)
    for _ in range(10_000):
        log.event(Event.ORIGIN_REJECT)
    log.event(Event.AUTH_OK)
    log.close()
    assert sink.events() == ["origin.reject"] * 3 + ["auth.ok"]
    assert log.sampler.over(everything=True) == {Event.ORIGIN_REJECT: 9997}
    assert log.dropped == 0


def test_users_are_hashed_with_a_key() -> None:
    """The same user has the same stand-in, and the name is nowhere."""
    sink = Kept()
    log = Log(sink, FakeClock(), LogOptions(style=LogFormat.JSON, user_key=b"key"))
    log.event(Event.AUTH_OK, user="alice")
    log.event(Event.AUTH_OK, user="alice")
    log.close()
    assert b"alice" not in sink.data
    assert len({line["user"] for line in sink.json}) == 1


@pytest.mark.p1
def test_a_full_disk_costs_lines_and_nothing_else() -> None:
    """Every event returns, and every line that was lost is counted."""
    with Path("/dev/full").open("wb", buffering=0) as file:
        log = Log(DescriptorSink(file.fileno()), FakeClock(), LogOptions(style=LogFormat.JSON))
        for _ in range(50):
            log.event(Event.AUTH_FAIL, reason="expired")
        assert log.flush()
        assert log.dropped == 50
        log.close()


def test_lines_flow_again_when_there_is_room_again() -> None:
    """A disk that was full for a while leaves a count and whole lines."""
    sink = Full(0)
    log = json_log(sink)
    log.event(Event.AUTH_FAIL)
    assert log.flush()
    sink.room = 1000
    log.event(Event.AUTH_OK)
    log.close()
    assert sink.events() == ["auth.ok"]
    assert log.dropped == 1


def test_a_stuck_reader_holds_nobody_up() -> None:
    """The queue fills, further lines are counted, and closing does not wait for ever."""
    sink = Stuck()
    log = Log(sink, FakeClock(), LogOptions(lines=1000, capacity=10))
    log.event(Event.AUTH_OK)
    assert sink.entered.wait(10)
    for _ in range(20):
        log.event(Event.AUTH_OK)
    assert log.dropped == 11
    log.close(timeout=0)
    assert log.dropped == 21
    sink.released.set()


def test_lines_after_the_end_are_lost() -> None:
    """They are counted, not raised."""
    log = json_log(Kept())
    log.close()
    log.event(Event.SERVER_STOP)
    assert log.dropped == 1


def test_the_configuration_of_structlog_is_not_touched() -> None:
    """A program around us keeps its own, and ours does not depend on it."""
    before = structlog.get_config()
    structlog.configure(processors=[structlog.processors.KeyValueRenderer()])
    try:
        mine = structlog.get_config()
        sink = Kept()
        log = json_log(sink)
        log.event(Event.AUTH_OK)
        log.close()
        assert sink.events() == ["auth.ok"]
        assert structlog.get_config() == mine
    finally:
        structlog.configure(**before)


def test_stamps_are_utc_to_the_millisecond() -> None:
    """One form everywhere, also when the fraction is zero."""
    assert stamp(START) == "2023-11-14T22:13:20.000Z"
    assert stamp(START + 0.9996) == "2023-11-14T22:13:20.999Z"


def test_what_was_logged_is_written_before_the_process_ends() -> None:
    """Closing flushes; standard error gets every line, in order."""
    program = """
import sys
from portward.telemetry.events import Event
from portward.telemetry import Log, LogFormat
from portward.telemetry.log import LogOptions
from portward.telemetry.sink import sink_for
class Clock:
    monotonic = time = staticmethod(lambda: 0.0)
log = Log(sink_for(sys.stderr), Clock(), LogOptions(style=LogFormat.JSON, lines=10_000))
for number in range(3000):
    log.event(Event.AUTH_OK, count=number)
log.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, timeout=50
    )
    numbers = [json.loads(line)["count"] for line in done.stderr.splitlines()]
    assert numbers == list(range(3000))


def test_key_of_users_is_not_shown() -> None:
    """The key with which user ids are hashed is in no text about the options."""
    assert "secret" not in repr(LogOptions(user_key=b"secret"))
