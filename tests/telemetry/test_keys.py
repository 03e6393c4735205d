from pathlib import Path

import pytest

from portward.telemetry.keys import AuditError, audit_key, derive, key_path


def test_keys_for_different_purposes_differ() -> None:
    """One secret serves several purposes; text and bytes are the same secret."""
    assert derive("secret", "audit") == derive(b"secret", "audit")
    assert derive("secret", "audit") != derive("secret", "users")
    assert len(derive("secret", "audit")) == 32


def test_a_key_is_made_once_and_read_by_its_owner_alone(tmp_path: Path) -> None:
    """The file is mode 0600, and the next start finds the same key."""
    path = tmp_path / "audit.jsonl"
    key = audit_key(path, create=True)
    assert key_path(path).stat().st_mode & 0o777 == 0o600
    assert audit_key(path, create=True) == key
    assert audit_key(path) == key


def test_two_keys_are_never_the_same(tmp_path: Path) -> None:
    """A made key is random."""
    assert audit_key(tmp_path / "a", create=True) != audit_key(tmp_path / "b", create=True)


def test_verifying_makes_no_key(tmp_path: Path) -> None:
    """Without `create` a missing key is an error that names the file."""
    with pytest.raises(AuditError, match=r"audit\.jsonl\.key: No such file"):
        audit_key(tmp_path / "audit.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_a_key_others_may_read_is_refused(tmp_path: Path) -> None:
    """It may have been copied."""
    path = tmp_path / "audit.jsonl"
    audit_key(path, create=True)
    key_path(path).chmod(0o640)
    with pytest.raises(AuditError, match="mode 0600"):
        audit_key(path)


@pytest.mark.parametrize("text", ["", "abcd", "z" * 64, "é" * 64])
def test_something_else_is_no_key(tmp_path: Path, text: str) -> None:
    """A malformed key file is refused, and its content is not in the message."""
    path = key_path(tmp_path / "audit.jsonl")
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(AuditError, match=r"not a key$"):
        audit_key(tmp_path / "audit.jsonl")


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """It is one of ours, with the path in it."""
    with pytest.raises(AuditError, match="No such file"):
        audit_key(tmp_path / "missing" / "audit.jsonl", create=True)
