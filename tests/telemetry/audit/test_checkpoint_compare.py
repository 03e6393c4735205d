"""Whether a checkpoint's line is still where it was, wherever in the chain that is."""

from collections.abc import Callable
from pathlib import Path

import pytest

from portward.telemetry.audit.chain import START, ChainEnd, checkpoint_mac, read
from portward.telemetry.audit.checkpoint import Checkpoint, compare
from portward.telemetry.audit.file import audit_files
from portward.telemetry.events import Event
from portward.testing.clock import FakeClock
from tests.telemetry.fakes import KEY, open_audit

DAY = 86_400.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An audit file of two days, with lines 1 to 3 in the earlier and 4 to 6 in the newer one."""
    path = tmp_path / "audit.jsonl"
    clock = FakeClock()
    audit = open_audit(path, clock)
    for _ in range(2):
        audit.append(Event.AUTH_FAIL, {})
    clock.advance(DAY)
    for _ in range(2):
        audit.append(Event.AUTH_FAIL, {})
    audit.close()
    return path


def link(path: Path, seq: int) -> ChainEnd:
    """The line with this number."""
    for file in audit_files(path):
        for raw in file.read_bytes().splitlines():
            if (line := read(KEY, raw)).seq == seq:
                return line.link
    raise AssertionError("no such line")


def vouching(path: Path, seq: int) -> Checkpoint:
    """A checkpoint made from that line."""
    return Checkpoint(path.name, seq, checkpoint_mac(KEY, link(path, seq)))


@pytest.mark.p1
@pytest.mark.parametrize("seq", range(1, 7))
def test_a_line_that_is_there_is_well(path: Path, seq: int) -> None:
    """The last line, one before it, and one of an earlier day all stand for themselves."""
    assert compare(vouching(path, seq), link(path, 6), KEY, audit_files(path)) == ""


@pytest.mark.p1
def test_a_chain_that_went_further_was_cut(path: Path) -> None:
    """A chain that ended before the checkpoint lost its tail, the whole of it included."""
    checkpoint = vouching(path, 6)
    assert compare(checkpoint, link(path, 5), KEY, audit_files(path)) == "cut"
    assert compare(checkpoint, START, KEY, []) == "cut"


@pytest.mark.p1
@pytest.mark.parametrize("seq", [2, 5, 6])
def test_another_line_is_a_change(path: Path, seq: int) -> None:
    """A line with the right number and another code was written after a cut."""
    forged = Checkpoint(path.name, seq, "0" * 64)
    assert compare(forged, link(path, 6), KEY, audit_files(path)) == "changed"


def _drop(raw: bytes) -> bytes:
    return b"".join(raw.splitlines(keepends=True)[::2])


def _spoil(raw: bytes) -> bytes:
    return raw.replace(b'"auth.fail"', b'"auth.fine"')


@pytest.mark.p1
@pytest.mark.parametrize("tamper", [_drop, _spoil])
def test_a_missing_or_bad_line_is_a_change(path: Path, tamper: Callable[[bytes], bytes]) -> None:
    """A line in the middle that is gone, or no longer sound, is told."""
    checkpoint, end = vouching(path, 5), link(path, 6)
    path.write_bytes(tamper(path.read_bytes()))
    assert compare(checkpoint, end, KEY, audit_files(path)) == "changed"


def test_a_file_that_was_let_go_says_nothing(path: Path) -> None:
    """The checkpoint of a line in a file that was too old to be kept accuses nobody."""
    checkpoint, end = vouching(path, 2), link(path, 6)
    audit_files(path)[0].unlink()
    assert compare(checkpoint, end, KEY, audit_files(path)) == ""


def test_an_empty_file_is_passed_over(path: Path) -> None:
    """A day that has just begun has no line yet; the day before is looked at."""
    checkpoint, end = vouching(path, 2), link(path, 6)
    path.write_bytes(b"")
    assert compare(checkpoint, end, KEY, audit_files(path)) == ""
