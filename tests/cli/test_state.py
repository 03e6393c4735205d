import json
import os
from pathlib import Path

import pytest

from portward.cli.state import (
    development_state,
    new_state,
    replace_private,
    state_file,
    state_folder,
)
from portward.cli.terminal import CommandRefused


def test_state_is_made_once(home: Path) -> None:
    """The first need makes the secrets, every later one reads the same."""
    first = development_state()
    assert development_state() == first
    assert len({first.token_secret, first.session_secret, first.admin_key}) == 3
    assert all(len(each) == 64 for each in json.loads(state_file().read_text()).values())


def test_state_is_private() -> None:
    """Only the owner enters the folder and reads the file, whatever the umask."""
    old = os.umask(0)
    try:
        development_state()
    finally:
        os.umask(old)
    assert state_folder().stat().st_mode & 0o777 == 0o700
    assert state_file().stat().st_mode & 0o777 == 0o600
    assert [path.name for path in state_folder().iterdir()] == ["development.json"]


def test_state_others_can_read_is_refused() -> None:
    """A file that others can read is not used, and the text says what to do."""
    development_state()
    state_file().chmod(0o644)
    with pytest.raises(CommandRefused, match="chmod 600"):
        development_state()


def test_damaged_state_is_refused() -> None:
    """A file that holds something else is not used."""
    development_state()
    state_file().write_text("{}")
    with pytest.raises(CommandRefused, match="damaged"):
        development_state()


def test_state_that_cannot_be_kept(home: Path) -> None:
    """A place that cannot be written to is told with the reason."""
    (home / "state").write_text("a file where a folder should be")
    with pytest.raises(CommandRefused, match="cannot keep development secrets"):
        development_state()


def test_two_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes second to make the file takes what the first one made."""
    others = development_state()
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert development_state() == others


def test_folder_follows_the_specification(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """State is below XDG_STATE_HOME when that is absolute, else below the home folder."""
    assert state_folder() == home / "state" / "portward"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/ann")
    assert state_folder() == Path("/home/ann/.local/state/portward")


def test_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any home there is nowhere to keep state."""

    def nowhere() -> Path:
        raise RuntimeError

    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(CommandRefused, match="XDG_STATE_HOME"):
        state_folder()


def test_state_shows_nothing() -> None:
    """The secrets are in no repr."""
    made = new_state()
    assert made.token_secret not in repr(made)


def test_replacing_leaves_no_half(home: Path) -> None:
    """A write that fails leaves the old file and nothing beside it."""
    folder = home / "x"
    folder.mkdir()
    (folder / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        replace_private(folder / "taken", b"new")
    replace_private(folder / "file", b"new")
    assert sorted(path.name for path in folder.iterdir()) == ["file", "taken"]
    assert (folder / "file").stat().st_mode & 0o777 == 0o600
