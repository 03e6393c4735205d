import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from portward.telemetry.audit.chain import AuditEntry
from portward.telemetry.audit.log import AuditLog
from portward.telemetry.audit.verify import verify
from portward.telemetry.events import Event
from portward.telemetry.keys import AuditError
from portward.testing.clock import FakeClock
from tests.telemetry.fakes import KEY, Memory, file_of, open_audit, records, until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the audit file lies."""
    return tmp_path / "audit.jsonl"


def names(path: Path) -> list[str]:
    """The events in a file."""
    return [record["event"] for record in records(path)]


def test_events_are_written_as_a_chain(path: Path) -> None:
    """An opening line, then each event with its number, time and fields."""
    audit = open_audit(path)
    audit.append(Event.AUTH_FAIL, {"client": "c1", "reason": "expired"})
    assert audit.flush()
    opening, record = records(path)
    assert (opening["event"], opening["fields"]) == ("audit.open", {"file": "audit.jsonl"})
    assert record["seq"] == 2
    assert record["time"] == "2023-11-14T22:13:20.000Z"
    assert record["event"] == "auth.fail"
    assert record["fields"] == {"client": "c1", "reason": "expired"}
    assert record["prev"] == opening["mac"]
    audit.close()


def test_without_a_file_there_is_a_memory(tmp_path: Path) -> None:
    """The admin API has something to show all the same."""
    audit = AuditLog(FakeClock())
    audit.append(Event.AUTH_FAIL, {"reason": "expired"})
    (entry,) = audit.recent()
    assert (entry.seq, entry.event, entry.fields) == (1, "auth.fail", {"reason": "expired"})
    assert audit.flush()
    assert (audit.failures, audit.lost, audit.file) == (0, 0, None)
    audit.close()
    assert list(tmp_path.iterdir()) == []


def test_recent_events_are_paged_by_number() -> None:
    """The newest without `since`, else the first after it; always oldest first."""
    audit = AuditLog(FakeClock())
    for _ in range(10):
        audit.append(Event.AUTH_FAIL, {})
    assert [entry.seq for entry in audit.recent(3)] == [8, 9, 10]
    assert [entry.seq for entry in audit.recent(3, since=4)] == [5, 6, 7]
    assert audit.recent(3, since=10) == []
    assert audit.recent(0) == []


def test_the_memory_is_bounded() -> None:
    """Ten thousand events are kept."""
    audit = AuditLog(FakeClock())
    for _ in range(10_050):
        audit.append(Event.AUTH_FAIL, {})
    entries = audit.recent(20_000)
    assert len(entries) == 10_000
    assert entries[-1].seq == 10_050


def test_a_later_change_of_the_fields_changes_no_record() -> None:
    """What is recorded is what was said then."""
    audit = AuditLog(FakeClock())
    fields: dict[str, Any] = {"count": 1}
    audit.append(Event.AUTH_FAIL, fields)
    fields["count"] = 2
    assert audit.recent()[0].fields == {"count": 1}


@pytest.mark.p1
def test_a_restart_goes_on(path: Path) -> None:
    """Numbers and chain continue, and the memory is read back."""
    for _ in range(3):
        audit = open_audit(path)
        audit.append(Event.AUTH_FAIL, {})
        audit.close()
    assert [record["seq"] for record in records(path)] == [1, 2, 3, 4]
    assert names(path).count("audit.open") == 1
    assert verify(path, KEY).ok
    again = open_audit(path)
    assert [entry.seq for entry in again.recent()] == [1, 2, 3, 4]
    assert file_of(again).problems == []
    again.close()


@pytest.mark.p1
def test_a_torn_line_is_recorded(path: Path) -> None:
    """A crash in the middle of a write leaves a sound file and a note in it."""
    audit = open_audit(path)
    audit.append(Event.AUTH_FAIL, {})
    audit.close()
    with path.open("ab") as file:
        file.write(b'{"seq":3,"ti')
    audit = open_audit(path)
    audit.append(Event.AUTH_OK, {})
    audit.close()
    assert file_of(audit).problems == [{"reason": "torn", "size": 12}]
    assert names(path) == ["audit.open", "auth.fail", "audit.mend", "auth.ok"]
    assert records(path)[2]["fields"] == {"reason": "torn", "size": 12}
    assert verify(path, KEY).ok


@pytest.mark.p1
def test_a_cut_tail_is_recorded_and_stays_visible(path: Path) -> None:
    """The chain goes on from the checkpoint, so the gap can never be closed again."""
    store = Memory()
    audit = open_audit(path, store=store)
    for _ in range(5):
        audit.append(Event.AUTH_FAIL, {})
    audit.close()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:3]))
    audit = open_audit(path, store=store)
    audit.append(Event.AUTH_OK, {})
    audit.close()
    assert file_of(audit).problems == [{"reason": "cut", "seq": 3, "count": 3}]
    assert [record["seq"] for record in records(path)] == [1, 2, 3, 7, 8]
    report = verify(path, KEY, store.load("audit.jsonl"))
    assert report.problem is not None
    assert report.problem.line == 4


@pytest.mark.p1
def test_another_key_sets_the_file_aside(path: Path) -> None:
    """After a change of the secret a new file begins; the old one is kept whole."""
    audit = open_audit(path)
    audit.append(Event.AUTH_FAIL, {})
    audit.close()
    before = path.read_bytes()
    audit = open_audit(path, key=b"x" * 32)
    audit.close()
    (aside,) = path.parent.glob("audit.jsonl.bad-*")
    assert aside.read_bytes() == before
    assert [note["reason"] for note in file_of(audit).problems] == ["bad", "cut"]
    assert names(path) == ["audit.open", "audit.mend", "audit.mend"]
    assert verify(path, b"x" * 32).ok


def test_a_last_line_that_is_not_the_checkpoints_is_recorded(path: Path) -> None:
    """The file was replaced by one with as many lines."""
    store = Memory()
    for reason in ("expired", "revoked"):
        path.unlink(missing_ok=True)
        audit = open_audit(path, store=store if reason == "expired" else Memory())
        audit.append(Event.AUTH_FAIL, {"reason": reason})
        audit.close()
    audit = open_audit(path, store=store)
    assert file_of(audit).problems == [{"reason": "changed", "seq": 2}]
    audit.close()


def test_a_checkpoint_that_is_gone_is_recorded(path: Path) -> None:
    """Every file has one from its first moment; a new one is left at once."""
    open_audit(path, store=Memory()).close()
    store = Memory()
    audit = open_audit(path, store=store)
    assert file_of(audit).problems == [{"reason": "no_checkpoint", "seq": 1}]
    assert [checkpoint.seq for checkpoint in store.saved] == [1]
    audit.close()


def test_a_store_that_is_away_is_recorded(path: Path) -> None:
    """The gateway starts all the same."""
    store = Memory()
    store.unreadable = True
    audit = open_audit(path, store=store)
    audit.close()
    assert file_of(audit).problems == [{"reason": "checkpoint", "error": "ConnectionError"}]
    assert names(path) == ["audit.open", "audit.mend"]


def test_checkpoints_are_left_every_few_lines_and_at_the_end(path: Path) -> None:
    """The store learns how far the file went."""
    store = Memory()
    audit = open_audit(path, store=store, every=10)
    for number in range(25):
        audit.append(Event.AUTH_FAIL, {"count": number})
        audit.flush()
    assert [checkpoint.seq for checkpoint in store.saved] == [0, 10, 20]
    audit.close()
    assert store.saved[-1].seq == 26
    assert verify(path, KEY, store.load("audit.jsonl")).ok


def test_a_checkpoint_that_failed_is_left_later(path: Path) -> None:
    """The failure counts, and the lines are written."""
    store = Memory()
    store.failures = 2
    audit = open_audit(path, store=store, every=2)
    assert (audit.failures, file_of(audit).trouble) == (1, "ConnectionError")
    audit.append(Event.AUTH_FAIL, {})
    audit.append(Event.AUTH_FAIL, {})
    audit.flush()
    audit.append(Event.AUTH_FAIL, {})
    audit.flush()
    audit.close()
    assert audit.failures == 2
    assert store.saved[-1].seq == 4
    assert len(records(path)) == 4


def test_a_new_day_begins_a_new_file(path: Path) -> None:
    """It opens with a line that is tied to the day before, and old days go after thirty."""
    clock = FakeClock()
    audit = open_audit(path, clock)
    for _ in range(35):
        audit.append(Event.AUTH_FAIL, {})
        assert audit.flush()
        clock.stall(86_400)
    audit.close()
    earlier = sorted(path.parent.glob("audit.jsonl.2023-*"))
    assert len(earlier) == 30
    assert names(path) == ["audit.open", "auth.fail"]
    assert records(path)[0]["prev"] == records(earlier[-1])[-1]["mac"]


def test_a_clock_set_back_begins_no_file(path: Path) -> None:
    """Lines go on where they are."""
    clock = FakeClock()
    audit = open_audit(path, clock)
    clock.set_wall(clock.time() - 86_400)
    audit.append(Event.AUTH_FAIL, {})
    audit.close()
    assert names(path) == ["audit.open", "auth.fail"]


def test_a_restart_on_another_day_begins_a_new_file(path: Path) -> None:
    """The first event of the new day turns the page."""
    clock = FakeClock()
    open_audit(path, clock).close()
    clock.stall(86_400)
    audit = open_audit(path, clock)
    audit.append(Event.AUTH_FAIL, {})
    audit.close()
    assert names(path.with_name("audit.jsonl.2023-11-14")) == ["audit.open"]
    assert names(path) == ["audit.open", "auth.fail"]


@pytest.mark.p1
def test_a_full_disk_loses_nothing_while_there_is_room_in_memory(path: Path) -> None:
    """`/dev/full` under the name of the file: every try fails, nothing raises, the alarm counts."""
    path.symlink_to("/dev/full")
    audit = open_audit(path, store=Memory())
    for _ in range(10):
        audit.append(Event.AUTH_FAIL, {})
    until(lambda: audit.failures > 1)
    assert not audit.flush(timeout=0)
    assert file_of(audit).trouble == "ENOSPC"
    assert audit.lost == 0
    assert len(audit.recent()) == 11
    audit.close()
    assert audit.lost == 11


@pytest.mark.p1
def test_a_full_queue_loses_events_and_says_so_in_the_chain(path: Path, tmp_path: Path) -> None:
    """When there is room again, the number of lost events is the first thing written."""
    (tmp_path / "real").touch()
    path.symlink_to("/dev/full")
    audit = open_audit(path, store=Memory(), capacity=8)
    for _ in range(20):
        audit.append(Event.AUTH_FAIL, {})
    assert audit.lost > 0
    lost = audit.lost
    path.unlink()
    path.symlink_to(tmp_path / "real")
    assert audit.flush()
    audit.append(Event.AUTH_OK, {})
    audit.close()
    written = records(tmp_path / "real")
    assert [record["event"] for record in written][-2:] == ["audit.fail", "auth.ok"]
    assert written[-2]["fields"] == {"count": lost}
    assert verify(tmp_path / "real", KEY).ok


def test_losses_are_owned_up_to_at_the_end(path: Path, tmp_path: Path) -> None:
    """Also when no event comes after them; closing again changes nothing."""
    (tmp_path / "real").touch()
    path.symlink_to("/dev/full")
    audit = open_audit(path, store=Memory(), capacity=8)
    for _ in range(20):
        audit.append(Event.AUTH_FAIL, {})
    lost = audit.lost
    path.unlink()
    path.symlink_to(tmp_path / "real")
    assert audit.flush()
    audit.close()
    audit.close()
    assert audit.lost == lost
    assert records(tmp_path / "real")[-1]["fields"] == {"count": lost}


def test_a_mistake_of_ours_is_a_failure(path: Path) -> None:
    """It costs a batch; the thread lives on, and the gap in the numbers shows."""
    audit = open_audit(path)
    audit.flush()
    audit.append(Event.AUTH_FAIL, {"seconds": float("nan")})  # json refuses it
    audit.flush()
    audit.append(Event.AUTH_OK, {})
    audit.close()
    assert audit.failures == 1
    assert [record["seq"] for record in records(path)] == [1, 3]


@pytest.mark.p1
def test_a_file_that_was_taken_away_is_made_again(path: Path) -> None:
    """It is an alarm; later events are not written into a file without a name."""
    audit = open_audit(path)
    audit.append(Event.AUTH_FAIL, {})
    audit.flush()
    path.unlink()
    audit.append(Event.AUTH_OK, {})
    audit.close()
    assert file_of(audit).trouble == "AuditError"
    assert names(path) == ["auth.ok"]
    report = verify(path, KEY)
    assert report.problem is not None
    assert report.problem.reason == "the beginning of the file is missing"


def test_a_second_writer_is_refused(path: Path) -> None:
    """Two gateways must not be given one audit file."""
    audit = open_audit(path)
    with pytest.raises(AuditError, match="another process"):
        open_audit(path)
    audit.close()


LIMITED = """
import resource, sys
from pathlib import Path
from portward.telemetry import AuditLog, AuditFile, Event
from portward.telemetry.audit.writer import AuditFileOptions
class Clock:
    monotonic = time = staticmethod(lambda: 1_700_000_000.0)
path = Path(sys.argv[1])
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
audit = AuditLog(Clock(), AuditFile(path, b"k" * 32, Clock(), AuditFileOptions(retry=0.001)))
for number in range(100):
    audit.append(Event.AUTH_FAIL, {"count": number})
while not audit.file.trouble:
    audit.flush(timeout=0.001)
print(audit.file.trouble, audit.lost, path.stat().st_size <= 4096)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
print(audit.flush(timeout=40))
audit.close()
"""


@pytest.mark.p1
def test_a_file_that_may_not_grow_is_waited_for(path: Path) -> None:
    """RLIMIT_FSIZE: no half line, and every event once the limit is lifted."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)],
        capture_output=True,
        check=True,
        text=True,
        timeout=50,
    )
    assert done.stdout.splitlines() == ["EFBIG 0 True", "True"]
    assert [record["fields"].get("count") for record in records(path)] == [None, *range(100)]
    assert verify(path, KEY).ok


KILLED = """
import os, sys
from pathlib import Path
from portward.telemetry import AuditLog, AuditFile, Event
class Clock:
    monotonic = time = staticmethod(lambda: 1_700_000_000.0)
audit = AuditLog(Clock(), AuditFile(Path(sys.argv[1]), b"k" * 32, Clock()))
number = 0
while True:
    audit.append(Event.AUTH_FAIL, {"count": number})
    number += 1
    if number == 5000:
        print("ready", flush=True)
"""


@pytest.mark.p1
def test_a_killed_process_leaves_a_chain_that_goes_on(path: Path) -> None:
    """SIGKILL in the middle of a flood of writes."""
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        child.kill()
    audit = open_audit(path)
    audit.append(Event.AUTH_OK, {})
    audit.close()
    assert [note for note in file_of(audit).problems if note["reason"] != "torn"] == []
    assert verify(path, KEY).ok
    assert json.loads(path.read_bytes().splitlines()[-1])["event"] == "auth.ok"


@pytest.mark.p1
def test_a_checkpoint_is_made_when_it_is_asked_for(path: Path) -> None:
    """A mark vouches for everything before it, without waiting for more lines; a second adds nothing."""
    store = Memory()
    audit = open_audit(path, store=store)
    audit.append(Event.AUTH_FAIL, {})
    file_of(audit).mark()
    assert audit.flush()
    checkpoint = file_of(audit).checkpoint
    assert checkpoint is not None
    assert (checkpoint.seq, audit.last) == (2, 2)
    assert store.saved[-1] == checkpoint
    assert verify(path, KEY, checkpoint).ok
    before = len(store.saved)
    file_of(audit).mark()
    audit.flush()
    assert len(store.saved) == before
    audit.close()


def test_a_checkpoint_needs_no_store_beside_the_file(path: Path) -> None:
    """While the file beside it cannot be written, there is a checkpoint for others all the same."""
    store = Memory()
    audit = open_audit(path, store=store)
    store.failures = 1
    audit.append(Event.AUTH_FAIL, {})
    file_of(audit).mark()
    audit.flush()
    checkpoint = file_of(audit).checkpoint
    assert checkpoint is not None
    assert (checkpoint.seq, audit.failures, len(store.saved)) == (2, 1, 1)
    audit.close()


def test_without_a_file_there_is_no_checkpoint() -> None:
    """Events are in memory alone."""
    audit = AuditLog(FakeClock())
    audit.append(Event.AUTH_FAIL, {})
    assert (audit.file, audit.last, audit.began) == (None, 1, 0)


def test_a_run_knows_where_it_began(path: Path) -> None:
    """What an earlier run recorded is told from what this one did, its opening included."""
    audit = open_audit(path)
    assert (audit.began, audit.last) == (0, 1)
    audit.close()
    again = open_audit(path)
    again.append(Event.AUTH_FAIL, {})
    assert (again.began, again.last) == (1, 2)
    again.close()


def test_listeners_are_told() -> None:
    """Who listens hears of each event as it is recorded."""
    audit = AuditLog(FakeClock())
    heard: list[AuditEntry] = []
    audit.listeners.append(heard.append)
    audit.append(Event.AUTH_FAIL, {"reason": "expired"})
    assert heard == audit.recent()


@pytest.mark.p1
def test_a_file_is_betrayed_by_a_checkpoint(path: Path) -> None:
    """A file that was cut together with the checkpoint beside it is found out by one kept elsewhere."""
    audit = open_audit(path, store=Memory())
    for _ in range(5):
        audit.append(Event.AUTH_FAIL, {})
    file_of(audit).mark()
    audit.flush()
    checkpoint = file_of(audit).checkpoint
    audit.close()
    assert checkpoint is not None
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
    audit = open_audit(path, store=Memory())
    for _ in range(5):
        audit.append(Event.AUTH_FAIL, {})
    assert audit.flush()
    assert audit.file is not None
    assert audit.file.contradicts(checkpoint) == "cut"
    audit.close()
    again = open_audit(path, store=Memory())
    assert again.file is not None
    assert again.file.contradicts(checkpoint) == "changed"
    again.close()
