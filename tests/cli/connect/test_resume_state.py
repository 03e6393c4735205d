import pytest
from msgspec.structs import replace

from portward.cli.connect.resume_state import ResumeFile, ResumeState, fingerprint
from portward.cli.state import state_folder
from portward.model.position import Position

KEPT = ResumeState(session="s1", credential="c", rooms={"lobby": Position(3, "e")}, current="lobby")


def stored(url: str = "ws://x", user: str = "ann", profile: str = "") -> ResumeFile:
    """What is kept for a user."""
    return ResumeFile(url, user, profile)


def test_kept_is_found_again() -> None:
    """What one client kept, the next one of the same user finds."""
    first = stored()
    assert (first.mine, first.kept) == (True, ResumeState())
    first.keep(KEPT)
    first.close()
    second = stored()
    assert second.kept == KEPT
    second.close()


@pytest.mark.parametrize(
    "other", [("ws://y", "ann", ""), ("ws://x", "bob", ""), ("ws://x", "ann", "2")]
)
def test_kept_apart(other: tuple[str, str, str]) -> None:
    """Another address, user or profile has a memory of its own."""
    first = stored()
    first.keep(KEPT)
    second = stored(*other)
    assert (second.mine, second.kept) == (True, ResumeState())
    first.close()
    second.close()


def test_one_at_a_time() -> None:
    """A second client of the same user keeps nothing, until the first is gone."""
    first = stored()
    first.keep(KEPT)
    second = stored()
    assert (second.mine, second.kept) == (False, ResumeState())
    second.keep(replace(KEPT, session="s2"))
    second.forget()
    second.close()
    first.close()
    third = stored()
    assert third.kept == KEPT
    third.close()


def test_forgotten() -> None:
    """What is forgotten is gone, once and for all."""
    first = stored()
    first.keep(KEPT)
    first.forget()
    first.forget()
    first.close()
    second = stored()
    assert second.kept == ResumeState()
    second.close()


def test_kept_in_private() -> None:
    """What is kept is a session: only its owner reads it."""
    first = stored()
    first.keep(KEPT)
    [path] = (state_folder() / "connect").glob("*.json")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert "s1" not in repr(KEPT)
    first.close()


def test_unchanged_is_not_written() -> None:
    """What is as it was is not written again."""
    first = stored()
    first.keep(KEPT)
    [path] = (state_folder() / "connect").glob("*.json")
    path.unlink()
    first.keep(replace(KEPT))
    assert not path.exists()
    first.close()


def test_damaged_file_is_nothing() -> None:
    """A file that cannot be understood is as good as none."""
    first = stored()
    first.keep(KEPT)
    [path] = (state_folder() / "connect").glob("*.json")
    path.write_text("{")
    first.close()
    second = stored()
    assert second.kept == ResumeState()
    second.close()


def test_fingerprints() -> None:
    """Different credentials have different fingerprints, none of which shows one."""
    assert fingerprint("a", "b") != fingerprint("ab")
    assert "secret" not in fingerprint("secret")
