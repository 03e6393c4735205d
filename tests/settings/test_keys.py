from hashlib import sha256

import pytest

from portward.settings.keys import ApiKey, Scope
from portward.settings.secret import Secret


def test_a_key_and_its_digest_mean_the_same() -> None:
    """Whichever is written down, a presented key is compared with the same 32 bytes."""
    digest = sha256(b"key").digest()
    plain, hashed = ApiKey(key=Secret("key")), ApiKey(key=Secret(f"sha256:{digest.hex().upper()}"))
    assert plain.digest == hashed.digest == digest
    assert (plain.hashed, hashed.hashed) == (False, True)


@pytest.mark.parametrize("tail", ["", "00", "zz" * 32, "00" * 33, "00" * 32 + "\n"])
def test_a_broken_digest_is_an_error(tail: str) -> None:
    """What follows `sha256:` is 64 hexadecimal digits; the error does not repeat it."""
    with pytest.raises(ValueError, match="64 hexadecimal digits") as caught:
        _ = ApiKey(key=Secret(f"sha256:{tail}")).digest
    assert not tail.strip() or tail not in str(caught.value)


def test_a_key_shows_its_scopes_alone() -> None:
    """Neither text nor repr has the key."""
    key = ApiKey(key=Secret("hunter2"), scopes=(Scope.READ, Scope.PUBLISH))
    assert str(key) == "*** (read, publish)"
    assert "hunter2" not in repr(key)


def test_a_key_without_scopes_may_do_everything() -> None:
    """The default is every scope."""
    assert ApiKey(key=Secret("key")).scopes == tuple(Scope)
