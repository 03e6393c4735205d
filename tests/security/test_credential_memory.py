"""What is remembered of credentials: by which hash, for how long, and how many."""

import pytest

from portward.model.errors import CommandError, ErrorKind
from portward.security.credential_memory import (
    GOOD_TIME,
    LONGEST_PAUSE,
    REFUSED_TIME,
    CredentialForm,
    CredentialMemory,
    RetryTime,
)

SECRET = b"x" * 32
BAD = CommandError(ErrorKind.AUTHENTICATION_FAILED, detail="signature", claim="exp")
REVOKED = CommandError(ErrorKind.TOKEN_REVOKED, detail="revoked")


@pytest.fixture
def memory() -> CredentialMemory:
    """A memory with room for a hundred."""
    return CredentialMemory(SECRET, 100)


def test_hashes(memory: CredentialMemory) -> None:
    """They are short, hide the credential, depend on the secret, and tell kinds apart."""
    keys = [
        memory.key(form, text)
        for form in CredentialForm
        for text in ("a", "b", "tokena", "\ud800", "")
    ]
    assert len(set(keys)) == len(keys)
    assert {len(key) for key in keys} == {16}
    assert memory.key(CredentialForm.TOKEN, "a") == CredentialMemory(SECRET).key(
        CredentialForm.TOKEN, "a"
    )
    assert memory.key(CredentialForm.TOKEN, "a") != CredentialMemory(b"y" * 32).key(
        CredentialForm.TOKEN, "a"
    )


def test_a_refusal_is_remembered_for_its_time(memory: CredentialMemory) -> None:
    """From the first refusal on, however often it is seen; what it is answered is the same each time."""
    memory.refuse(b"k", BAD, RetryTime.NEVER, 0.0)
    for moment in (1.0, REFUSED_TIME / 2, REFUSED_TIME - 1):
        found = memory.refused(b"k", moment)
        assert found is not None
        assert (found.again, found.counted) == (float("inf"), False)
        fault = found.fault()
        assert (fault.kind, fault.detail, fault.claim) == (BAD.kind, "signature", "exp")
        assert fault is not found.fault()
        memory.refuse(b"k", BAD, RetryTime.NEVER, moment)
    assert memory.refused(b"k", REFUSED_TIME) is None
    assert len(memory) == 0


def test_what_may_be_good_at_any_moment(memory: CredentialMemory) -> None:
    """It is judged again each time; that it was counted stays known."""
    memory.refuse(b"k", BAD, RetryTime.AT_ONCE, 5.0).counted = True
    found = memory.refused(b"k", 6.0)
    assert found is not None
    assert found.again <= 6.0
    assert memory.refuse(b"k", REVOKED, RetryTime.AT_ONCE, 7.0).counted
    assert found.fault().kind is ErrorKind.TOKEN_REVOKED


def test_pauses_grow(memory: CredentialMemory) -> None:
    """Each refusal is good for twice as long as the one before, up to a bound."""
    now, pauses = 0.0, []
    for _ in range(6):
        found = memory.refuse(b"k", BAD, RetryTime.PAUSED, now)
        pauses.append(found.again - now)
        now = found.again
    assert pauses == [2.0, 4.0, 8.0, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]


def test_good_credentials(memory: CredentialMemory) -> None:
    """One is known for a day from when it was last good, unless it is refused in between."""
    assert not memory.is_known(b"k", 0.0)
    memory.refuse(b"k", BAD, RetryTime.AT_ONCE, 0.0)
    memory.accept(b"k", 1.0)
    assert memory.refused(b"k", 2.0) is None
    assert memory.is_known(b"k", GOOD_TIME)
    assert not memory.is_known(b"k", GOOD_TIME + 1)
    memory.accept(b"k", 10.0)
    assert memory.is_known(b"k", GOOD_TIME + 1)
    memory.refuse(b"k", BAD, RetryTime.NEVER, 20.0)
    assert not memory.is_known(b"k", 20.0)


def test_bounded_memory(memory: CredentialMemory) -> None:
    """A flood pushes out what was seen longest ago, of refused and of good ones."""
    memory.refuse(b"seen", BAD, RetryTime.NEVER, 0.0)
    memory.refuse(b"unseen", BAD, RetryTime.NEVER, 0.0)
    memory.accept(b"good", 0.0)
    for number in range(1000):
        memory.refuse(f"bad{number}".encode(), BAD, RetryTime.NEVER, 1.0)
        memory.accept(f"good{number}".encode(), 1.0)
        assert memory.refused(b"seen", 1.0) is not None
        memory.accept(b"good", 1.0)
        assert len(memory) <= 100
    assert memory.refused(b"unseen", 1.0) is None
    assert memory.is_known(b"good", 2.0)
    assert not memory.is_known(b"good0", 2.0)


def test_forgetting_refusals(memory: CredentialMemory) -> None:
    """They are gone at once, and what is known to be good stays known."""
    memory.refuse(b"bad", BAD, RetryTime.NEVER, 0.0)
    memory.accept(b"good", 0.0)
    memory.forget_refusals()
    assert memory.refused(b"bad", 0.0) is None
    assert memory.is_known(b"good", 1.0)
