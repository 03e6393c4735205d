import contextlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.model.limits import Rate
from portward.settings.build import convert
from portward.settings.describe import shown
from portward.settings.errors import SettingsError
from portward.settings.keys import ApiKey, Scope
from portward.settings.schema import Leaf, SettingEntry, entries, example, leaf_at
from portward.settings.secret import Secret


def leaf(key: str) -> Leaf:
    """Find a key that must exist."""
    found = leaf_at(tuple(key.split(".")))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("key", "raw", "value"),
    [
        ("server.port", 80, 80),
        ("server.drain_timeout", "10m", 600.0),
        ("server.drain_timeout", 3, 3.0),
        ("endpoints.x.max_message", "1KiB", 1024),
        ("gate.accept_rate", "5/s", Rate(5, 1.0, 5)),
        ("limits.auth.rate", "5/s", Rate(5, 1.0, 5)),
        ("tokens.secrets", ["a", "b"], (Secret("a"), Secret("b"))),
        ("admin.api_keys", ["a"], (ApiKey(key=Secret("a")),)),
        (
            "admin.api_keys",
            [{"key": "a", "scopes": ["read"]}],
            (ApiKey(key=Secret("a"), scopes=(Scope.READ,)),),
        ),
    ],
)
def test_a_value_of_the_file_is_read(key: str, raw: object, value: object) -> None:
    """Every form of value comes to what its field holds."""
    assert convert(leaf(key), raw, text=False) == value


@pytest.mark.parametrize(
    ("key", "raw", "value"),
    [
        ("server.port", "80", 80),
        ("server.port", 80, 80),
        ("server.behind_tls_proxy", "true", True),
        ("server.behind_tls_proxy", "0", False),
        ("server.drain_timeout", "25", 25.0),
        ("server.drain_timeout", "25s", 25.0),
        ("server.drain_timeout", "", None),
        ("log.format", "", None),
        ("log.format", "json", "json"),
        ("endpoints.x.max_message", "100", 100),
        ("server.allowed_hosts", "a, b,,", ("a", "b")),
        ("server.allowed_hosts", "", ()),
        ("server.allowed_hosts", ' ["a,b"]', ("a,b",)),
        ("tokens.secrets", "a,b", (Secret("a"), Secret("b"))),
        ("tokens.session_secret", "a,b", Secret("a,b")),
        ("admin.api_keys", "a,b", (ApiKey(key=Secret("a")), ApiKey(key=Secret("b")))),
        (
            "admin.api_keys",
            '[{"key": "a", "scopes": ["read"]}]',
            (ApiKey(key=Secret("a"), scopes=(Scope.READ,)),),
        ),
    ],
)
def test_a_text_of_the_environment_is_read(key: str, raw: object, value: object) -> None:
    """Numbers, switches and lists may be written as texts."""
    assert convert(leaf(key), raw, text=True) == value


@pytest.mark.parametrize(
    ("key", "raw", "problem"),
    [
        ("server.port", "80", "expected a whole number, got a text"),
        ("server.port", 80.5, "expected a whole number, got a number"),
        ("server.port", True, "expected a whole number, got true or false"),
        ("server.port", 70000, "expected a whole number <= 65535"),
        ("server.host", 1, "expected a text, got a whole number"),
        ("server.behind_tls_proxy", "true", "expected true or false, got a text"),
        ("server.allowed_hosts", "a", "expected a list, got a text"),
        ("server.allowed_hosts", ["a", 1], "expected a text, got a whole number in entry 2"),
        ("tokens.secrets", ["a", 1], "expected a text in entry 2"),
        ("tokens.session_secret", 1, "expected a text"),
        ("environment", "prod", "Invalid enum value 'prod'; choose from development, production"),
        ("server.drain_timeout", "25", 'expected a duration such as "25s"'),
        ("admin.api_keys", [{"key": 1}], "expected a text in entry 1.key"),
        ("admin.api_keys", [{"scopes": []}], "missing required field `key` in entry 1"),
        ("admin.api_keys", [{"key": "a", "scope": []}], "unknown field `scope` in entry 1"),
        ("admin.api_keys", [{"key": "a", "scopes": ["x"]}], "'x' in entry 1.scopes[0]"),
    ],
)
def test_a_wrong_value_is_told_in_plain_words(key: str, raw: object, problem: str) -> None:
    """The text says what was expected, and which entry of a list is meant."""
    with pytest.raises(SettingsError) as caught:
        convert(leaf(key), raw, text=False)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("key", "raw"),
    [
        ("tokens.secrets", '["hunter2'),
        ("tokens.secrets", '["hunter2' + "[" * 100_000),
        ("server.port", "hunter2"),
    ],
)
def test_a_wrong_text_is_not_repeated(key: str, raw: str) -> None:
    """What stands in the wrong place may be a secret."""
    with pytest.raises(SettingsError) as caught:
        convert(leaf(key), raw, text=True)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_text_that_is_not_utf_8_is_refused() -> None:
    """Bytes that are no text come in as surrogates, and would break later where they show."""
    with pytest.raises(SettingsError, match="expected UTF-8"):
        convert(leaf("tokens.session_secret"), os.fsdecode(b"\xff"), text=True)


def test_what_is_not_set_stays_none() -> None:
    """None passes where it is allowed, and nowhere else."""
    assert convert(leaf("log.format"), None, text=False) is None
    with pytest.raises(SettingsError, match="expected a whole number"):
        convert(leaf("server.port"), None, text=False)


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.dates(), st.datetimes()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(list(entries(example()))), VALUES, st.booleans())
def test_any_value_is_taken_or_refused(entry: SettingEntry, raw: object, text: bool) -> None:
    """Whatever is written, the answer is a value that can be shown, or a SettingsError."""
    with contextlib.suppress(SettingsError):
        value = convert(entry.leaf, raw, text=text)
        assert isinstance(shown(entry.leaf, value), str)
