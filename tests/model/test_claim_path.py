from typing import Any

import pytest

from portward.model.claim_path import MAX_KEYS, ClaimPath


@pytest.mark.parametrize(
    ("place", "keys", "shown"),
    [
        ("roles", ("roles",), "roles"),
        ("a.b", ("a", "b"), "a.b"),
        ("a..b", ("a..b",), "a..b"),
        (".a", (".a",), ".a"),
        ("", (), ""),
        ((), (), ""),
        (("a.b", "c"), ("a.b", "c"), '["a.b", "c"]'),
        (("a.b",), ("a.b",), "a.b"),
        ('["a.b", "c"]', ("a.b", "c"), '["a.b", "c"]'),
        ("cognito:groups", ("cognito:groups",), "cognito:groups"),
    ],
)
def test_places_are_read(place: str | tuple[str, ...], keys: tuple[str, ...], shown: str) -> None:
    """A text is a name and a path, a list is keys; both are shown as they are written."""
    path = ClaimPath.parse(place)
    assert (path.keys, str(path)) == (keys, shown)


@pytest.mark.parametrize(
    "place",
    [("a", ""), ("a", 5), "[", "[1]", "[[]]", '["a", ""]', "[" * 5000, "a" + ".b" * MAX_KEYS],
)
def test_places_that_cannot_be_read(place: Any) -> None:
    """Keys are texts that are not empty, and not too many."""
    with pytest.raises(ValueError, match="expected"):
        ClaimPath.parse(place)


def test_a_value_is_put_where_it_is_found() -> None:
    """Objects on the way are made, and take the place of what is none."""
    claims: dict[str, Any] = {"a": 5, "x": {"y": 1}}
    for place in ("a.b", "x.z", "s"):
        path = ClaimPath.parse(place)
        path.put(claims, place)
        assert path.find(claims) == place
    assert claims == {"a": {"b": "a.b"}, "x": {"y": 1, "z": "x.z"}, "s": "s"}
