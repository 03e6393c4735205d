from pathlib import Path

import pytest

from portward.telemetry.audit.checkpoint import (
    Checkpoint,
    FileCheckpoints,
    as_text,
    checkpoint_path,
    from_text,
    note_key,
)
from portward.telemetry.keys import AuditError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the checkpoint of an audit file lies."""
    return checkpoint_path(tmp_path / "audit.jsonl")


def test_the_newest_is_kept(path: Path) -> None:
    """Saving replaces; nothing is left lying about."""
    store = FileCheckpoints(path)
    store.save("audit", 20, "aa")
    store.save("audit", 40, "bb")
    assert store.load("audit") == Checkpoint("audit", 40, "bb")
    assert [file.name for file in path.parent.iterdir()] == ["audit.jsonl.checkpoint"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_there_may_never_have_been_one(path: Path) -> None:
    """Then there is none."""
    assert FileCheckpoints(path).load("audit") is None


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"name":1,"seq":2,"mac":"x"}'])
def test_a_spoilt_file_is_an_error_and_not_none(path: Path, content: bytes) -> None:
    """Spoiling it must not make a cut tail pass."""
    path.write_bytes(content)
    with pytest.raises(AuditError, match="cannot be read"):
        FileCheckpoints(path).load("audit")


def test_the_checkpoint_of_another_file_is_an_error(path: Path) -> None:
    """A copied checkpoint is not believed."""
    FileCheckpoints(path).save("another", 1, "aa")
    with pytest.raises(AuditError, match="of another file"):
        FileCheckpoints(path).load("audit")


def test_a_checkpoint_is_written_and_read_as_text() -> None:
    """What is put into an engine comes back, and nothing else is taken for it."""
    checkpoint = Checkpoint("audit.jsonl", 7, "ab")
    text = as_text(checkpoint)
    assert from_text(text, "audit.jsonl", "key") == checkpoint
    with pytest.raises(AuditError, match="key: the checkpoint is of another file"):
        from_text(text, "other.jsonl", "key")
    with pytest.raises(AuditError, match="key: the checkpoint cannot be read"):
        from_text("nonsense", "audit.jsonl", "key")


def test_each_node_has_a_key_for_each_file() -> None:
    """Nodes that share an engine do not share checkpoints."""
    assert note_key("audit.jsonl", "n1") == "audit:audit.jsonl:n1"


def test_a_folder_in_its_place_is_an_error(path: Path) -> None:
    """What is there and cannot be read does not count as nothing."""
    path.mkdir()
    with pytest.raises(AuditError, match="cannot be read"):
        FileCheckpoints(path).load("audit")
