import pytest

from portward.model.claim_path import ClaimPath
from portward.model.identity import ChannelRight
from portward.security import tokens
from portward.security.jws import TokenReason, TokenRefused

at = ClaimPath.parse


@pytest.mark.p0
@pytest.mark.parametrize(
    "channels",
    [
        {},
        "alerts:*",
        False,
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
        tokens.channel_claims({"rights": channels}, at("rights"))
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
    found = tokens.channel_claims({"rights": [{"channel": pattern, "allow": allow}]}, at("rights"))
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
        assert tokens.number_claim({"exp": value}, "exp") == seconds
        return
    with pytest.raises(TokenRefused) as caught:
        tokens.number_claim({"exp": value}, "exp")
    assert caught.value.claim == "exp"


TEXTS: list[tuple[object, frozenset[str] | None]] = [
    ([], frozenset()),
    ("user", frozenset({"user"})),
    (["user", "admin", "user"], frozenset({"user", "admin"})),
    (["x" * 256], frozenset({"x" * 256})),
    (["x" * 257], None),
    (["a\x00"], None),
    ([5], None),
    ([None], None),
    (None, frozenset()),
    ({"user": 1}, None),
    ("a b", frozenset({"a b"})),
]


@pytest.mark.parametrize(("value", "found"), TEXTS)
def test_texts_are_a_list_or_one(value: object, found: frozenset[str] | None) -> None:
    """One string is a list of one; anything that is no string refuses the token."""
    if found is not None:
        assert tokens.text_claims({"roles": value}, at("roles")) == found
        return
    with pytest.raises(TokenRefused):
        tokens.text_claims({"roles": value}, at("roles"))


def test_absent_claims_are_empty() -> None:
    """What an issuer does not say grants nothing and breaks nothing."""
    assert tokens.number_claim({}, "exp") is None
    assert tokens.text_claim({}, at("email")) is None
    assert tokens.text_claims({}, at("roles")) == frozenset()
    assert tokens.channel_claims({}, at("channels")) is None
    assert tokens.channel_claims({"channels": []}, at("channels")) == ()


def test_text_has_a_bound_and_no_control_characters() -> None:
    """Empty is absent; too long, or unfit for a log line, is wrong."""
    assert tokens.text_claim({"email": ""}, at("email")) is None
    assert tokens.text_claim({"email": "x" * 8}, at("email"), 8) == "x" * 8
    for value in ("x" * 9, "a\nb", "\ud800", 5, False):
        with pytest.raises(TokenRefused):
            tokens.text_claim({"email": value}, at("email"), 8)


NESTED: dict[str, object] = {
    "realm_access": {"roles": ["a", "b"]},
    "realm_access.roles": None,
    "resource_access": {"my.client": {"roles": ["c"]}},
    "https://x.example/roles": ["d"],
    "https://y.example": {"app": {"roles": "e f  g"}},
    "literal.name": "h",
    "literal": {"name": "not this"},
    "empty": {"roles": []},
    "null": {"roles": None},
    "none": None,
    "text": "t",
    "list": [{"roles": "r"}],
    "number": 5,
}
PLACES: list[tuple[str | tuple[str, ...], frozenset[str] | None]] = [
    ("realm_access.roles", frozenset("ab")),
    (("realm_access", "roles"), frozenset("ab")),
    ('["realm_access", "roles"]', frozenset("ab")),
    (("resource_access", "my.client", "roles"), frozenset("c")),
    ("resource_access.my.client.roles", frozenset()),
    ("https://x.example/roles", frozenset("d")),
    (("https://x.example/roles",), frozenset("d")),
    (("https://y.example", "app", "roles"), frozenset({"e f  g"})),
    ("literal.name", frozenset("h")),
    (("literal", "name"), frozenset({"not this"})),
    ("empty.roles", frozenset()),
    ("null.roles", frozenset()),
    ("none.roles", frozenset()),
    ("absent.roles", frozenset()),
    ("", frozenset()),
    ((), frozenset()),
    ("text.roles", None),
    ("list.roles", None),
    ("number.roles", None),
    ("realm_access", None),
    ("number", None),
    ("list", None),
]


@pytest.mark.parametrize(("place", "found"), PLACES)
def test_a_claim_is_a_name_or_a_path(
    place: str | tuple[str, ...], found: frozenset[str] | None
) -> None:
    """The literal name comes first, then the path; null is absent, and no object on the way is wrong."""
    path = at(place)
    if found is not None:
        assert tokens.text_claims(NESTED, path) == found
        return
    with pytest.raises(TokenRefused) as caught:
        tokens.text_claims(NESTED, path)
    assert (caught.value.reason, caught.value.claim) == (TokenReason.CLAIMS, str(path))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("a b", frozenset("ab")),
        ("  a   b ", frozenset("ab")),
        ("a", frozenset("a")),
        ("", frozenset()),
        (" ", frozenset()),
        (["a b", "c"], frozenset({"a b", "c"})),
        (" ".join(f"{n}" * 200 for n in range(9)), frozenset(f"{n}" * 200 for n in range(9))),
        ("a\tb", None),
        ("a\nb", None),
        ("x" * 257, None),
        (5, None),
        ({"a": 1}, None),
    ],
)
def test_a_text_is_split_at_blanks_where_that_is_asked(
    value: object, found: frozenset[str] | None
) -> None:
    """A scope is many; each part is bounded as a text is, the whole is not."""
    if found is not None:
        assert tokens.text_claims({"scope": value}, at("scope"), split=True) == found
        return
    with pytest.raises(TokenRefused):
        tokens.text_claims({"scope": value}, at("scope"), split=True)
