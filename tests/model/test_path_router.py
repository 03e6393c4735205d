"""The paths of the public listener, and their patterns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.model.path_router import LONGEST_VALUE, PathPattern, PathRouter, is_pattern

ROUTER = PathRouter(
    {
        "/rooms": "rooms",
        "/socket.io/": "socket.io",
        "/app/health": "health of the applications",
        "/app/{key}": "app",
        "/apps/{id}/users/{user_id}": "user",
    },
    "unknown",
)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/rooms", "rooms"),
        ("/rooms/", "rooms"),
        ("/socket.io", "socket.io"),
        ("/socket.io/", "socket.io"),
        ("/app/health", "health of the applications"),
        ("/app/health/", "health of the applications"),
        *((path, "unknown") for path in ("/rooms//", "//rooms", "//rooms/", "/rooms/x", "/room")),
        *((path, "unknown") for path in ("/ROOMS", "/rooms%2F", "/%72ooms", "/./rooms", "/", "")),
    ],
)
def test_exact_paths(path: str, target: str) -> None:
    """An exact path is found with one slash more or less at its end, and in no other spelling."""
    assert ROUTER.find(path) == (target, ())


@pytest.mark.parametrize("path", ["/", "/a", "/a/", "/a//", "/a/b/"])
def test_a_path_and_its_slash(path: str) -> None:
    """A double slash at the end of a configured path is a part of that path."""
    router = PathRouter({path: 1}, 0)
    other = path[:-1] if path.endswith("/") else f"{path}/"
    assert router.find(path).target == 1
    assert router.find(other).target == (0 if path.endswith("//") else 1)
    assert router.find(f"{path}//").target == 0


def test_two_spellings_are_two_paths() -> None:
    """Where both spellings are configured, each is its own path."""
    router = PathRouter({"/a": "plain", "/a/": "slash"}, "")
    assert (router.find("/a").target, router.find("/a/").target) == ("plain", "slash")


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("/app/k1", (("key", "k1"),)),
        ("/app/k1/", (("key", "k1"),)),
        ("/app/a.b-c_d~e", (("key", "a.b-c_d~e"),)),
        ("/app/...", (("key", "..."),)),
        (f"/app/{'x' * LONGEST_VALUE}", (("key", "x" * LONGEST_VALUE),)),
        ("/apps/7/users/ann", (("id", "7"), ("user_id", "ann"))),
    ],
)
def test_parameters(path: str, parameters: tuple[tuple[str, str], ...]) -> None:
    """The segments at the places of the parameters are their values, as the client wrote them."""
    assert ROUTER.find(path).parameters == parameters


@pytest.mark.parametrize(
    "path",
    [
        *("/app", "/app/", "/app//", "//app/k", "/app//k", "/app/k//", "/app/k/x", "/app/k1/users"),
        *(
            "/app/.",
            "/app/..",
            "/app/../rooms",
            "/app/%2e%2e",
            "/app/a%2Fb",
            "/app/%6b",
            "/app/a b",
        ),
        *("/app/{key}", "/app/a;b", "/app/a@b", "/app/\xe9", "/app/k\n", "/APP/k"),
        f"/app/{'x' * (LONGEST_VALUE + 1)}",
        f"/app/{'x' * 100_000}",
        "/app" * 10_000,
        "/" * 10_000,
        *("/apps/7/users", "/apps//users/ann", "/apps/7/users/", "/apps/7/Users/ann"),
    ],
)
def test_what_no_parameter_takes(path: str) -> None:
    """Encoded and empty segments, dots, and segments that are too long match no pattern."""
    assert ROUTER.find(path) == ("unknown", ())


@given(st.text(max_size=200))
def test_a_value_is_one_plain_segment(text: str) -> None:
    """Whatever a parameter matches can stand in a path unescaped, and is no dot segment."""
    target, parameters = ROUTER.find(f"/app/{text}")
    if target == "app":
        ((_, value),) = parameters
        assert value == text.removesuffix("/")
        assert value.isascii()
        assert not set(value) & set("/%\\?# ")
        assert value not in {".", ".."}


@pytest.mark.parametrize(
    "text",
    [
        *("/{key}", "/{key}/", "/{a}/b"),
        *("/app/{key}.json", "/app/x{key}", "/app/{a}{b}", "/app/{a}-{b}"),
        *(
            "/app/{}",
            "/app/{Key}",
            "/app/{1}",
            "/app/{a b}",
            "/app/{a-b}",
            "/app/{key",
            "/app/key}",
        ),
        *("/app/{{key}}", "/app/{key}/{key}", "/app//{key}", "//app/{key}", "/app/{key}//"),
        f"/app/{{{'k' * 33}}}",
        "/app/{*}",
        "/app/{key:path}",
    ],
)
def test_patterns_that_are_refused(text: str) -> None:
    """A pattern has whole named segments, each name once, and no parameter in front."""
    assert is_pattern(text)
    with pytest.raises(ValueError, match=r"segment|name"):
        PathPattern(text)
    with pytest.raises(ValueError, match=r"segment|name"):
        PathRouter({text: 1}, 0)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("/app/{key}", "/app/{id}", True),
        ("/app/{key}", "/app/{id}/", True),
        ("/app/{key}/x", "/app/y/{id}", True),
        ("/app/{key}", "/apps/{key}", False),
        ("/app/{key}", "/app/{key}/users", False),
        ("/app/{key}/x", "/app/{key}/y", False),
    ],
)
def test_overlaps(one: str, other: str, expected: bool) -> None:
    """Two patterns overlap when some path matches both."""
    first, second = PathPattern(one), PathPattern(other)
    assert first.overlaps(second) is second.overlaps(first) is expected
