import pytest
from msgspec.structs import replace

from portward.cli.connect.memory import Kept, Memory, fingerprint
from portward.cli.state import state_folder
from portward.model.position import Position

KEPT = Kept(session="s1", credential="c", rooms={"lobby": Position(3, "e")}, current="lobby")


def memory(url: str = "ws://x", user: str = "ann", profile: str = "") -> Memory:
    """What is kept for a user."""
    return Memory(url, user, profile)


def test_kept_is_found_again() -> None:
    """What one client kept, the next one of the same user finds."""
    first = memory()
    assert (first.mine, first.kept) == (True, Kept())
    first.keep(KEPT)
    first.close()
    second = memory()
    assert second.kept == KEPT
    second.close()


@pytest.mark.parametrize(
    "other", [("ws://y", "ann", ""), ("ws://x", "bob", ""), ("ws://x", "ann", "2")]
)
def test_kept_apart(other: tuple[str, str, str]) -> None:
    """Another address, user or profile has a memory of its own."""
    first = memory()
    first.keep(KEPT)
    second = memory(*other)
    assert (second.mine, second.kept) == (True, Kept())
    first.close()
    second.close()


def test_one_at_a_time() -> None:
    """A second client of the same user keeps nothing, until the first is gone."""
    first = memory()
    first.keep(KEPT)
    second = memory()
    assert (second.mine, second.kept) == (False, Kept())
    second.keep(replace(KEPT, session="s2"))
    second.forget()
    second.close()
    first.close()
    third = memory()
    assert third.kept == KEPT
    third.close()


def test_forgotten() -> None:
    """What is forgotten is gone, once and for all."""
    first = memory()
    first.keep(KEPT)
    first.forget()
    first.forget()
    first.close()
    second = memory()
    assert second.kept == Kept()
    second.close()


def test_kept_in_private() -> None:
    """What is kept is a session: only its owner reads it."""
    first = memory()
    first.keep(KEPT)
    [path] = (state_folder() / "connect").glob("*.json")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert "s1" not in repr(KEPT)
    first.close()


def test_unchanged_is_not_written() -> None:
    """What is as it was is not written again."""
    first = memory()
    first.keep(KEPT)
    [path] = (state_folder() / "connect").glob("*.json")
    path.unlink()
    first.keep(replace(KEPT))
    assert not path.exists()
    first.close()


def test_damaged_file_is_nothing() -> None:
    """A file that cannot be understood is as good as none."""
    first = memory()
    first.keep(KEPT)
    [path] = (state_folder() / "connect").glob("*.json")
    path.write_text("{")
    first.close()
    second = memory()
    assert second.kept == Kept()
    second.close()


def test_fingerprints() -> None:
    """Different credentials have different fingerprints, none of which shows one."""
    assert fingerprint("a", "b") != fingerprint("ab")
    assert "secret" not in fingerprint("secret")
