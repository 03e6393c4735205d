import hmac
from hashlib import sha256

import pytest
from starlette.datastructures import Headers

from portward.admin.errors import ApiError
from portward.admin.keys import Keyring
from portward.settings import Secret
from portward.settings.keys import ApiKey, Scope
from tests.admin.service import ADMIN, KEYS, READER


def headers(*pairs: tuple[str, str]) -> Headers:
    """Request headers, repeated ones included."""
    return Headers(raw=[(name.encode(), value.encode()) for name, value in pairs])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-api-key", ADMIN),
        ("authorization", f"apikey {ADMIN}"),
        ("authorization", f"ApiKey  {ADMIN} "),
    ],
)
def test_a_key_is_found_where_it_may_stand(name: str, value: str) -> None:
    """A key is taken from X-API-Key or from Authorization, whatever the case of the scheme."""
    caller = Keyring(KEYS).caller(headers((name, value)))
    assert caller.scopes == frozenset(Scope)


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        ([], "an API key is needed"),
        ([("authorization", f"Bearer {ADMIN}")], "an API key is needed"),
        ([("x-api-key", "")], "unknown API key"),
        ([("x-api-key", ADMIN[:-1])], "unknown API key"),
        ([("x-api-key", ADMIN + "x")], "unknown API key"),
        ([("x-api-key", "ü\udce4".encode("utf-8", "surrogateescape").decode("latin-1"))], "unk"),
        ([("x-api-key", ADMIN), ("x-api-key", ADMIN)], "unknown API key"),
        ([("x-api-key", ADMIN), ("authorization", f"apikey {ADMIN}")], "unknown API key"),
    ],
)
def test_anything_else_is_unauthorized(pairs: list[tuple[str, str]], says: str) -> None:
    """No key, a wrong key and a key in two places are refused with 401."""
    with pytest.raises(ApiError) as caught:
        Keyring(KEYS).caller(headers(*pairs))
    assert (caught.value.status, caught.value.body.code) == (401, 101)
    assert says in caught.value.body.message
    assert caught.value.headers == {"WWW-Authenticate": "apikey"}


def test_another_scheme_beside_the_key_is_left_alone() -> None:
    """A proxy's own Authorization header does not stand in the way of X-API-Key."""
    pairs = headers(("authorization", "Basic dTpw"), ("x-api-key", READER))
    assert Keyring(KEYS).caller(pairs).scopes == {Scope.READ}


def test_a_digest_in_the_settings_is_enough() -> None:
    """A key that is configured by its SHA-256 is recognised when it is presented."""
    stored = ApiKey(key=Secret("sha256:" + sha256(b"plain").hexdigest()), scopes=(Scope.READ,))
    caller = Keyring([stored]).find("plain")
    assert caller is not None
    assert caller.label == sha256(b"plain").hexdigest()[:8]


def test_every_key_is_compared_whichever_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of comparisons, each in constant time, does not tell which key is right."""
    compared: list[int] = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append(len(a))
        return a == b

    keyring = Keyring(KEYS)
    monkeypatch.setattr(hmac, "compare_digest", compare)
    for presented in (ADMIN, READER, "neither"):
        compared.clear()
        keyring.find(presented)
        assert compared == [32, 32, 32]


def test_keys_are_exchanged_as_a_whole() -> None:
    """New keys replace the old ones; an unusable one among them changes nothing."""
    keyring = Keyring(KEYS[:1])
    with pytest.raises(ValueError, match="hexadecimal"):
        keyring.adopt([ApiKey(key=Secret("other")), ApiKey(key=Secret("sha256:short"))])
    assert keyring.find(ADMIN) is not None
    keyring.adopt(KEYS[2:])
    assert keyring.find(ADMIN) is None
    assert keyring.find(READER) is not None


def test_no_key_means_nobody() -> None:
    """Without any configured key nobody is let in, an empty key included."""
    assert Keyring([]).find("") is None


def test_a_scope_is_insisted_on() -> None:
    """A caller with a scope passes, one without is refused with 403 and told which it lacks."""
    reader = Keyring(KEYS).find(READER)
    assert reader is not None
    reader.needs(Scope.READ)
    with pytest.raises(ApiError, match="no scope manage") as caught:
        reader.needs(Scope.MANAGE)
    assert (caught.value.status, caught.value.body.code) == (403, 103)
