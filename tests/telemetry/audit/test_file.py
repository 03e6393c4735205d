import os
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from portward.telemetry.audit import file as journal_module
from portward.telemetry.audit.chain import START, AuditEntry, ChainEnd, sign_line
from portward.telemetry.audit.file import DailyAuditFile, audit_files
from portward.telemetry.keys import AuditError

KEY = b"k" * 32
NOW = datetime(2025, 11, 21, 12, 0, tzinfo=UTC)
DAY = date(2025, 11, 21)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the audit file lies."""
    return tmp_path / "audit.jsonl"


def lines(count: int, last: ChainEnd = START, day: str = "2025-11-21") -> tuple[bytes, ChainEnd]:
    """So many lines of a chain."""
    made = b""
    for _ in range(count):
        entry = AuditEntry(last.seq + 1, f"{day}T11:00:00.000Z", "auth.ok", {})
        line, last = sign_line(KEY, last, entry)
        made += line
    return made, last


def opened(path: Path) -> DailyAuditFile:
    """The journal at `path`."""
    return DailyAuditFile(path, KEY, NOW)


def in_place(journal: DailyAuditFile) -> bool:
    """Asked afresh, as far as the type checker knows."""
    return journal.in_place


def test_a_new_file_is_empty_and_private(path: Path) -> None:
    """Nobody but the owner reads it, and the chain begins at the start."""
    journal = opened(path)
    assert journal.empty
    assert journal.found.link == START
    assert path.stat().st_mode & 0o777 == 0o600
    journal.close()


def test_a_file_goes_on_where_it_was_left(path: Path) -> None:
    """The last line, its day and the events before it are found."""
    data, last = lines(3)
    path.write_bytes(data)
    journal = opened(path)
    assert journal.found.link == last
    assert journal.found.day == DAY
    assert [entry.seq for entry in journal.found.entries] == [1, 2, 3]
    assert not journal.found.torn
    more, _ = lines(1, last)
    journal.append(more)
    journal.close()
    assert path.read_bytes() == data + more


@pytest.mark.p1
def test_a_torn_line_is_put_aside(path: Path) -> None:
    """The file ends with its last whole line again, and the remains are kept."""
    data, last = lines(3)
    path.write_bytes(data[:-30])
    journal = opened(path)
    good, second = lines(2)
    assert journal.found.link == second
    assert journal.found.torn == len(data) - 30 - len(good)
    assert path.read_bytes() == good
    assert path.with_name("audit.jsonl.torn").read_bytes() == data[len(good) : -30] + b"\n"
    journal.close()
    assert last.seq == 3


def test_a_file_of_one_torn_line_is_empty(path: Path) -> None:
    """The chain starts afresh, and the remains are added to earlier ones."""
    for _ in range(2):
        path.write_bytes(b'{"seq":1')
        journal = opened(path)
        assert journal.empty
        assert journal.found.torn == 8
        assert journal.found.link == START
        journal.close()
    assert path.with_name("audit.jsonl.torn").read_bytes() == b'{"seq":1\n' * 2


@pytest.mark.p1
def test_a_file_with_a_bad_end_is_set_aside_whole(path: Path) -> None:
    """It is evidence; a second one gets a name of its own."""
    for _ in range(2):
        path.write_bytes(b"something else\n")
        journal = opened(path)
        assert journal.empty
        assert "not a line" in journal.found.bad
        journal.close()
    assert path.with_name("audit.jsonl.bad-2025-11-21T120000").read_bytes() == b"something else\n"
    assert path.with_name("audit.jsonl.bad-2025-11-21T120000.1").exists()


def test_a_bad_line_further_up_is_left_to_the_verifier(path: Path) -> None:
    """It is not among the events read back, and the chain goes on."""
    data, last = lines(3)
    path.write_bytes(data.replace(b'"seq":2', b'"seq":9'))
    journal = opened(path)
    assert journal.found.link == last
    assert [entry.seq for entry in journal.found.entries] == [1, 3]
    journal.close()


def test_only_the_end_of_a_large_file_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line cut by the window is none; the events before it are not read back."""
    data, last = lines(50)
    path.write_bytes(data)
    monkeypatch.setattr(journal_module, "_WINDOW", len(data) // 2)
    journal = opened(path)
    assert journal.found.link == last
    assert 20 < len(journal.found.entries) < 26
    journal.close()


def test_a_file_without_a_line_feed_in_its_end_is_set_aside(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a line was never ours."""
    path.write_bytes(b"x" * 1000)
    monkeypatch.setattr(journal_module, "_WINDOW", 100)
    journal = opened(path)
    assert journal.found.bad == "no whole line at its end"
    journal.close()


def test_a_new_day_gets_a_new_file(path: Path) -> None:
    """The old one keeps its day as its name."""
    data, _ = lines(2)
    path.write_bytes(data)
    journal = opened(path)
    journal.rotate(DAY)
    assert journal.empty
    assert path.with_name("audit.jsonl.2025-11-21").read_bytes() == data
    journal.rotate(DAY)
    assert audit_files(path) == [path.with_name("audit.jsonl.2025-11-21"), path]
    journal.close()


def test_two_files_of_one_day_keep_their_order(path: Path) -> None:
    """Also when there are more than ten."""
    journal = opened(path)
    last = START
    for _ in range(12):
        data, last = lines(1, last)
        journal.append(data)
        journal.rotate(DAY)
    journal.close()
    chain = b"".join(file.read_bytes() for file in audit_files(path))
    assert chain == lines(12)[0]


def test_an_empty_file_goes_on_where_the_day_before_ended(path: Path) -> None:
    """A crash between two files breaks nothing."""
    data, last = lines(2, day="2025-11-20")
    path.with_name("audit.jsonl.2025-11-20").write_bytes(data)
    journal = opened(path)
    assert journal.empty
    assert journal.found.link == last
    assert journal.found.day is None
    assert len(journal.found.entries) == 2
    journal.close()


def test_a_day_before_that_is_spoilt_is_told(path: Path) -> None:
    """Then there is nothing to go on from."""
    path.with_name("audit.jsonl.2025-11-20").write_bytes(b"spoilt\n")
    journal = opened(path)
    assert journal.found.link == START
    assert "audit.jsonl.2025-11-20: not a line" in journal.found.bad
    journal.close()


def test_old_files_are_removed_and_others_are_not(path: Path) -> None:
    """Only names this module gives are touched."""
    names = [
        *(".2025-10-21", ".2025-10-22", ".2025-10-21.3", ".bad-2025-10-21T000000"),
        *(".bad-2025-11-01T000000.1", ".key", ".2025-10-21.gz", ".torn"),
    ]
    for name in names:
        path.with_name(path.name + name).touch()
    path.with_name("other.jsonl.2025-01-01").touch()
    journal = opened(path)
    journal.prune(date(2025, 10, 22))
    journal.close()
    assert sorted(file.name for file in path.parent.iterdir()) == [
        *("audit.jsonl", "audit.jsonl.2025-10-21.gz", "audit.jsonl.2025-10-22"),
        *("audit.jsonl.bad-2025-11-01T000000.1", "audit.jsonl.key", "audit.jsonl.torn"),
        "other.jsonl.2025-01-01",
    ]


def test_two_processes_cannot_write_one_file(path: Path) -> None:
    """The second is told so, and the file is as the first left it."""
    journal = opened(path)
    journal.append(b'{"seq":1')
    with pytest.raises(AuditError, match="another process is writing it"):
        opened(path)
    assert path.read_bytes() == b'{"seq":1'
    journal.close()


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """The text says which file and why."""
    with pytest.raises(AuditError, match=r"audit\.jsonl: No such file"):
        opened(tmp_path / "missing" / "audit.jsonl")


@pytest.mark.p1
def test_a_failed_write_leaves_nothing_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that stops half way is taken back."""
    journal = opened(path)
    journal.append(b"one\n")
    real = os.write
    calls = 0

    def short(descriptor: int, data: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[:2])

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(OSError, match="No space"):
        journal.append(b"two\n")
    monkeypatch.undo()
    assert path.read_bytes() == b"one\n"
    assert journal.in_place
    journal.append(b"two\n")
    journal.close()
    assert path.read_bytes() == b"one\ntwo\n"


def test_remains_that_could_not_be_taken_back_are_taken_back_later(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the next line is written."""
    journal = opened(path)
    journal.append(b"one\n")
    real = os.write
    calls = 0

    def failing(descriptor: int, data: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError(5, "Input/output error")
        return real(descriptor, data[:2])

    def refuse(_descriptor: int, _size: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "write", failing)
    monkeypatch.setattr(os, "ftruncate", refuse)
    with pytest.raises(OSError, match="Input"):
        journal.append(b"two\n")
    assert path.read_bytes() == b"one\ntw"
    monkeypatch.undo()
    assert journal.in_place
    journal.append(b"two\n")
    journal.close()
    assert path.read_bytes() == b"one\ntwo\n"


@pytest.mark.p1
@pytest.mark.parametrize("what", ["moved", "removed", "cut", "written"])
def test_it_notices_what_others_do_to_the_file(path: Path, what: str) -> None:
    """Moving, removing, cutting and writing it all show."""
    journal = opened(path)
    journal.append(b"one\n")
    assert in_place(journal)
    if what == "moved":
        path.rename(path.with_name("elsewhere"))
        path.touch()
    elif what == "removed":
        path.unlink()
    else:
        path.write_bytes(b"" if what == "cut" else b"one\nforged\n")
    assert not in_place(journal)
    journal.reopen()
    assert in_place(journal)
    journal.sync()
    journal.close()
    journal.close()


def test_a_second_try_of_a_new_day_finds_the_first(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file was renamed, and opening the new one failed."""
    journal = opened(path)
    journal.append(b"one\n")

    def refuse(*_: object) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OSError, match="Too many"):
        journal.rotate(DAY)
    with pytest.raises(OSError, match="Bad file descriptor"):
        journal.append(b"lost\n")
    monkeypatch.undo()
    journal.rotate(DAY)
    assert journal.empty
    assert path.with_name("audit.jsonl.2025-11-21").read_bytes() == b"one\n"
    journal.close()


def test_a_device_is_only_written_to(path: Path) -> None:
    """It has no size, no end and no lock; what fails there is not taken back."""
    path.symlink_to("/dev/null")
    journal, another = opened(path), opened(path)
    journal.append(b"one\n")
    journal.sync()
    assert journal.in_place
    another.close()
    journal.close()
