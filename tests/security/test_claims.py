import pytest

from portward.model.identity import ChannelRight
from portward.security import claims
from portward.security.jws import TokenReason, TokenRefused


@pytest.mark.p0
@pytest.mark.parametrize(
    "channels",
    [
        {},
        "alerts:*",
        None,
        [None],
        ["alerts:*"],
        [[]],
        [{}],
        [{"channel": "alerts:a"}],
        [{"allow": []}],
        [{"channel": "alerts:a", "allow": [], "deny": []}],
        [{"channel": 5, "allow": []}],
        [{"channel": None, "allow": []}],
        [{"channel": "", "allow": []}],
        [{"channel": "alerts", "allow": []}],
        [{"channel": ":a", "allow": []}],
        [{"channel": ":*", "allow": []}],
        [{"channel": "alerts:*a", "allow": []}],
        [{"channel": "*alerts:a", "allow": []}],
        [{"channel": "alerts:a**", "allow": []}],
        [{"channel": "alerts:a?", "allow": []}],
        [{"channel": "alerts:[a]", "allow": []}],
        [{"channel": "alerts: a", "allow": []}],
        [{"channel": "alerts:é*", "allow": []}],
        [{"channel": "a:" + "x" * 127, "allow": []}],
        [{"channel": "alerts:a", "allow": "subscribe"}],
        [{"channel": "alerts:a", "allow": None}],
        [{"channel": "alerts:a", "allow": ["read"]}],
        [{"channel": "alerts:a", "allow": ["Subscribe"]}],
        [{"channel": "alerts:a", "allow": ["subscribe", 5]}],
        [{"channel": "alerts:a", "allow": [["subscribe"]]}],
        [{"channel": "alerts:a", "allow": ["subscribe"]}, {"channel": "x", "allow": []}],
    ],
)
def test_rights_that_cannot_be_understood_refuse_the_token(channels: object) -> None:
    """Nothing in the channels claim is narrowed or skipped."""
    with pytest.raises(TokenRefused) as caught:
        claims.channels({"rights": channels}, "rights")
    assert caught.value.reason is TokenReason.CLAIMS
    assert caught.value.claim == "rights"


@pytest.mark.parametrize(
    ("pattern", "channel", "covers"),
    [
        ("alerts:call-*", "alerts:call-1", True),
        ("alerts:call-*", "alerts:other", False),
        ("alerts:*", "alerts:x", True),
        ("alerts:*", "alerts2:x", False),
        ("al*", "alerts:x", True),
        ("*", "anything:x", True),
        ("alerts:a", "alerts:a", True),
        ("alerts:a", "alerts:ab", False),
        ("a:" + "x" * 125 + "*", "a:" + "x" * 126, True),
    ],
)
def test_star_stands_for_the_rest_of_a_name(pattern: str, channel: str, covers: bool) -> None:
    """A pattern is a whole name, or its beginning."""
    allow = ["subscribe", "history", "presence", "publish"]
    found = claims.channels({"rights": [{"channel": pattern, "allow": allow}]}, "rights")
    assert found is not None
    (right,) = found
    assert right == ChannelRight(pattern, tuple(allow))
    assert right.covers(channel) is covers


NUMBERS: list[tuple[object, float | None]] = [
    (0, 0.0),
    (-1.5, -1.5),
    (2**53 - 1, float(2**53 - 1)),
    (2**53, None),
    (-(2**53), None),
    (float("inf"), None),
    (True, None),
    ("1", None),
    (None, None),
    ([1], None),
]


@pytest.mark.parametrize(("value", "seconds"), NUMBERS)
def test_number_is_a_finite_number_and_nothing_else(value: object, seconds: float | None) -> None:
    """Booleans, strings and what other languages cannot hold are no numbers."""
    if seconds is not None:
        assert claims.number({"exp": value}, "exp") == seconds
        return
    with pytest.raises(TokenRefused) as caught:
        claims.number({"exp": value}, "exp")
    assert caught.value.claim == "exp"


TEXTS: list[tuple[object, frozenset[str] | None]] = [
    ([], frozenset()),
    ("user", frozenset({"user"})),
    (["user", "admin", "user"], frozenset({"user", "admin"})),
    (["x" * 256], frozenset({"x" * 256})),
    (["x" * 257], None),
    (["a\x00"], None),
    ([5], None),
    (None, None),
    ({"user": 1}, None),
]


@pytest.mark.parametrize(("value", "found"), TEXTS)
def test_texts_are_a_list_or_one(value: object, found: frozenset[str] | None) -> None:
    """One string is a list of one; anything that is no string refuses the token."""
    if found is not None:
        assert claims.texts({"roles": value}, "roles") == found
        return
    with pytest.raises(TokenRefused):
        claims.texts({"roles": value}, "roles")


def test_absent_claims_are_empty() -> None:
    """What an issuer does not say grants nothing and breaks nothing."""
    assert claims.number({}, "exp") is None
    assert claims.text({}, "email") is None
    assert claims.texts({}, "roles") == frozenset()
    assert claims.channels({}, "channels") is None
    assert claims.channels({"channels": []}, "channels") == ()


def test_text_has_a_bound_and_no_control_characters() -> None:
    """Empty is absent; too long, or unfit for a log line, is wrong."""
    assert claims.text({"email": ""}, "email") is None
    assert claims.text({"email": "x" * 8}, "email", 8) == "x" * 8
    for value in ("x" * 9, "a\nb", "\ud800", 5, None):
        with pytest.raises(TokenRefused):
            claims.text({"email": value}, "email", 8)
