from collections.abc import Callable
from pathlib import Path

import pytest

from portward.telemetry.audit.chain import LINE_LIMIT
from portward.telemetry.audit.checkpoint import Checkpoint, FileCheckpoints, checkpoint_path
from portward.telemetry.audit.file import audit_files
from portward.telemetry.audit.log import AuditLog
from portward.telemetry.audit.verify import verify, verify_audit
from portward.telemetry.events import Event
from portward.telemetry.keys import AuditError, audit_key, key_path
from portward.testing.clock import FakeClock
from tests.telemetry.fakes import KEY, open_audit


def write(path: Path, events: int, clock: FakeClock | None = None) -> None:
    """An audit file of an opening line and so many events, closed in order."""
    audit = open_audit(path, clock)
    for number in range(events):
        audit.append(Event.AUTH_FAIL, {"count": number})
    audit.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An audit file of eleven lines, with its checkpoint."""
    path = tmp_path / "audit.jsonl"
    write(path, 10)
    return path


def checkpoint(path: Path) -> Checkpoint | None:
    """The checkpoint beside a file."""
    return FileCheckpoints(checkpoint_path(path)).load(path.name)


def test_a_sound_file_is_sound(path: Path) -> None:
    """Every line is counted, and the checkpoint vouches for the end."""
    report = verify(path, KEY, checkpoint(path))
    assert report.ok
    assert (report.lines, report.first, report.last, report.checkpoint) == (11, 1, 11, 11)
    assert str(report) == "11 lines, events 1 to 11, checkpoint at 11: sound"


def test_without_a_checkpoint_nothing_vouches_for_the_tail(path: Path) -> None:
    """The report says so."""
    report = verify([path], KEY)
    assert report.ok
    assert "no checkpoint" in str(report)


def edit(number: int, change: Callable[[bytes], bytes]) -> Callable[[list[bytes]], list[bytes]]:
    """Change one line."""
    return lambda lines: [*lines[: number - 1], change(lines[number - 1]), *lines[number:]]


@pytest.mark.p1
@pytest.mark.parametrize(
    ("tamper", "line", "reason"),
    [
        (
            edit(4, lambda raw: raw.replace(b"2", b"3", 1)),
            4,
            "changed, or written with another key",
        ),
        (edit(7, lambda _: b"hello\n"), 7, "not a line of an audit file"),
        (edit(3, lambda raw: raw[:-2] + b" }\n"), 3, "not a line of an audit file"),
        (edit(5, lambda raw: raw[:-1] + b"\r\n"), 5, "not a line of an audit file"),
        (lambda lines: lines[:5] + lines[6:], 6, "event 7 follows event 5: lines are missing"),
        (lambda lines: [*lines[:5], *lines[6:4:-1], *lines[7:]], 6, "event 7 follows event 5"),
        (lambda lines: [*lines[:6], *lines[5:]], 7, "event 6 follows event 6"),
        (lambda lines: lines[3:], 1, "the beginning of the file is missing"),
        (lambda lines: [*lines[:-1], lines[-1][:-40]], 11, "cut short"),
        (
            lambda lines: [*lines[:2], b"x" * LINE_LIMIT + b"\n"],
            3,
            "cut short by a crash, or too long",
        ),
        (lambda lines: lines[:8], 9, "the tail was cut: the file ends at event 8, not 11"),
        (lambda _: [], 1, "the tail was cut: the file ends at event 0, not 11"),
    ],
    ids=range(12),
)
def test_the_first_bad_line_is_named(
    path: Path, tamper: Callable[[list[bytes]], list[bytes]], line: int, reason: str
) -> None:
    """Whatever was done to the file, the report says where and what."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(tamper(lines)))
    report = verify(path, KEY, checkpoint(path))
    assert not report.ok
    assert report.problem is not None
    assert (report.problem.file, report.problem.line) == ("audit.jsonl", line)
    assert reason in report.problem.reason
    assert str(report) == f"audit.jsonl, line {line}: {report.problem.reason}"


@pytest.mark.p1
def test_every_flipped_bit_is_named(path: Path) -> None:
    """One bit in each line in turn; the report names that line."""
    good = path.read_bytes()
    lines = good.splitlines(keepends=True)
    offset = 0
    for number, line in enumerate(lines, start=1):
        bad = bytearray(good)
        bad[offset + len(line) // 2] ^= 1
        path.write_bytes(bad)
        report = verify(path, KEY)
        assert report.problem is not None
        assert report.problem.line == number
        assert report.lines == number - 1
        offset += len(line)


@pytest.mark.p1
def test_a_file_of_another_chain_does_not_fit(tmp_path: Path) -> None:
    """A whole file, sound by itself, put in the place of another."""
    here, there = tmp_path / "a" / "audit.jsonl", tmp_path / "b" / "audit.jsonl"
    for path, reason in ((here, "expired"), (there, "revoked")):
        path.parent.mkdir()
        audit = open_audit(path)
        for _ in range(4):
            audit.append(Event.AUTH_FAIL, {"reason": reason})
        audit.close()
    report = verify(there, KEY, checkpoint(here))
    assert report.problem is not None
    assert (report.problem.line, report.problem.reason) == (
        5,
        "it is not the line the checkpoint was made from",
    )


def test_lines_of_another_chain_do_not_fit(tmp_path: Path) -> None:
    """The end of one file behind the beginning of another with the same numbers."""
    files = []
    for name, reason in (("a", "expired"), ("b", "revoked")):
        audit = open_audit(tmp_path / name)
        for _ in range(4):
            audit.append(Event.AUTH_FAIL, {"reason": reason})
        audit.close()
        files.append((tmp_path / name).read_bytes().splitlines(keepends=True))
    (tmp_path / "a").write_bytes(b"".join(files[0][:3] + files[1][3:]))
    report = verify(tmp_path / "a", KEY)
    assert report.problem is not None
    assert (report.problem.line, report.problem.reason) == (
        4,
        "it does not follow the line before it",
    )


def test_a_first_event_has_nothing_before_it(tmp_path: Path) -> None:
    """A file that begins at 1 but claims a line before it lost that line."""
    from portward.telemetry.audit.chain import AuditEntry, ChainEnd, sign_line  # noqa: PLC0415

    line, _ = sign_line(KEY, ChainEnd(0, "a" * 64), AuditEntry(1, "", "audit.open", {}))
    (tmp_path / "audit").write_bytes(line)
    report = verify(tmp_path / "audit", KEY)
    assert report.problem is not None
    assert report.problem.reason == "event 1 follows another"


def test_days_are_one_chain(tmp_path: Path) -> None:
    """Three days verify together; a day taken out of the middle is missed."""
    path, clock = tmp_path / "audit.jsonl", FakeClock()
    audit = open_audit(path, clock)
    for _ in range(3):
        audit.append(Event.AUTH_FAIL, {})
        clock.stall(86_400)
    audit.close()
    files = audit_files(path)
    assert len(files) == 3
    report = verify(files, KEY, checkpoint(path))
    assert report.ok
    assert (report.lines, report.last) == (6, 6)
    files[1].unlink()
    report = verify(audit_files(path), KEY, checkpoint(path))
    assert report.problem is not None
    assert report.problem.line == 1
    assert "event 5 follows event 2" in report.problem.reason


def test_older_days_may_be_gone(tmp_path: Path) -> None:
    """What was kept long enough is removed from the front, and the rest is sound."""
    path, clock = tmp_path / "audit.jsonl", FakeClock()
    audit = open_audit(path, clock)
    for _ in range(3):
        audit.append(Event.AUTH_FAIL, {})
        clock.stall(86_400)
    audit.close()
    audit_files(path)[0].unlink()
    report = verify(audit_files(path), KEY, checkpoint(path))
    assert report.ok
    assert (report.first, report.last) == (3, 6)


def test_an_audit_is_verified_as_configured(tmp_path: Path) -> None:
    """With its key and its checkpoint, each from a file beside it."""
    path = tmp_path / "audit.jsonl"
    audit = open_audit(path, key=audit_key(path, create=True))
    audit.append(Event.AUTH_FAIL, {})
    audit.close()
    assert verify_audit(path).ok
    key_path(path).write_text("00" * 32)
    assert not verify_audit(path).ok
    key_path(path).unlink()
    with pytest.raises(AuditError, match="No such file"):
        verify_audit(path)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """It is not an empty, sound audit."""
    with pytest.raises(AuditError, match="no such file"):
        verify_audit(tmp_path / "audit.jsonl")


def test_a_closed_audit_can_be_read_by_name(path: Path) -> None:
    """The audit itself is a sound reader of what it wrote."""
    audit: AuditLog = open_audit(path)
    assert [entry.seq for entry in audit.recent()] == list(range(1, 12))
    audit.close()


@pytest.mark.p1
def test_the_engines_checkpoint_counts_too(path: Path) -> None:
    """It vouches beside the one at hand, and betrays a tail that was cut together with that."""
    kept = checkpoint(path)
    report = verify(path, KEY, engine=kept)
    assert str(report) == "11 lines, events 1 to 11, no checkpoint, the engine's at 11: sound"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:8]))
    assert verify(path, KEY).ok
    cut = verify(path, KEY, engine=kept)
    assert str(cut) == "audit.jsonl, line 9: the tail was cut: the file ends at event 8, not 11"


@pytest.mark.p1
def test_the_engines_checkpoint_is_of_a_line(path: Path) -> None:
    """A line that took the place of the one it was made from is named."""
    report = verify(path, KEY, checkpoint(path), Checkpoint(path.name, 4, "0" * 64))
    assert report.problem is not None
    assert (report.problem.line, report.engine, report.checkpoint) == (4, 4, 11)
    assert report.problem.reason == "it is not the line the checkpoint was made from"
