import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.identity.cookies import (
    are_plain,
    are_readable,
    are_sendable,
    issued,
    readings,
    spellings,
)

NOW = 1_000_000.0


def part(text: str | bytes) -> bytes:
    """A part of a token."""
    data = text.encode() if isinstance(text, str) else text
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def token(payload: str | bytes) -> bytes:
    """A token that nobody has signed."""
    return b".".join((part('{"alg":"HS256"}'), part(payload), part(b"\x00" * 32)))


@pytest.mark.parametrize(
    "cookies",
    ["sid=1", 'sid="1"', 'sid=""', "sid=", "sid=1; refresh=2", "sid=1;x=2", "s.i_d=A-z0.9_~+/=="],
)
def test_plain_cookies(cookies: str) -> None:
    """Token characters, and one pair of quotes around them at most."""
    assert are_plain(cookies)
    assert are_sendable(cookies)


SPELLINGS = [
    'sid=j:"1"',
    'sid=j:"\\u0031"',
    'sid="j:1"',
    "sid=j:1",
    "sid=s:1.sig",
    "sid=s%3A1.sig",
    "sid=%31",
    'sid="%31"',
    'sid="1',
    'sid=1"',
    'sid=""1""',
    'sid="',
    "sid='1'",
    "sid= 1",
    "sid =1",
    "sid=1 2",
    "sid=1\t2",
    "sid=\\1",
    "sid=1,2",
    "sid=caf\xe9",
    "sid=\uff11",
    "sid=1\n",
    "sid",
    "=1",
    "",
    "sid=1;",
    "sid=1; sid=%31",
    "x; sid=1",
]


@pytest.mark.p1
@pytest.mark.parametrize("cookies", SPELLINGS)
def test_cookies_that_are_not_plain(cookies: str) -> None:
    """What one parser takes as it stands and another for something else is not taken at all."""
    assert not are_plain(cookies)


BLANKS = st.text(" \t", max_size=3)
VALUES = st.text("Az09._~+/=-", max_size=8)


@given(st.lists(st.tuples(BLANKS, VALUES, BLANKS), min_size=1, max_size=4))
def test_what_is_plain_can_be_sent(cookies: list[tuple[str, str, str]]) -> None:
    """What passes the narrow gate passes the wide one, wherever blanks are."""
    header = ";".join(f"{before}sid={value}{after}" for before, value, after in cookies)
    assert are_plain(header) == are_sendable(header) == (header == header.strip())


@pytest.mark.parametrize(
    "cookies",
    ["sid=\t", "sid= ", " sid=1", "\tsid=1", "sid=1 ", "sid=1; ", "sid=1;\t", "sid=1;x=2\t"],
)
def test_blanks_at_an_end(cookies: str) -> None:
    """No header has blanks at an end (RFC 9110, section 5.5): such a text is neither plain nor sent."""
    assert (are_plain(cookies), are_sendable(cookies)) == (False, False)


@given(st.text())
def test_any_text(value: str) -> None:
    """Whatever is plain can be sent."""
    for cookies in (value, f"sid={value}", f"{value}=1"):
        assert not are_plain(cookies) or are_sendable(cookies)


READINGS: list[tuple[bytes, set[bytes]]] = [
    (b"", {b""}),
    (b"abc-123", {b"abc-123"}),
    (b" 1 ", {b"1"}),
    (b'"1"', {b'"1"', b"1"}),
    (b'"', {b'"', b""}),
    (b'""1""', {b'""1""', b'"1"', b"1"}),
    (b"%31", {b"%31", b"1"}),
    (b"s%3Aabc", {b"s%3Aabc", b"s:abc"}),
    (b"s%3aabc", {b"s%3aabc", b"s:abc"}),
    (b"s%253Aabc", {b"s%253Aabc", b"s%3Aabc"}),
    (b"a+b", {b"a+b", b"a b"}),
    (b"a%20b", {b"a%20b", b"a b"}),
    (b"a%2Bb", {b"a%2Bb", b"a+b"}),
    (b"%zz%4", {b"%zz%4"}),
    (b'"%31"', {b'"%31"', b'"1"', b"%31", b"1"}),
    (rb'"\141\b"', {rb'"\141\b"', rb"\141\b", b"ab"}),
]


@pytest.mark.parametrize(("value", "found"), READINGS)
def test_readings_of_a_value(value: bytes, found: set[bytes]) -> None:
    """As it stands, without quotes, without escapes, decoded once, with a plus as a blank."""
    assert readings(value) == found


def test_every_cookie_has_readings() -> None:
    """Each cookie has its name and all its readings, whatever it is called."""
    found = spellings(b"a=1;b=%32; c=x=y;d")
    assert found == [
        (b"a", frozenset({b"1"})),
        (b"b", frozenset({b"%32", b"2"})),
        (b"c", frozenset({b"x=y"})),
        (b"d", frozenset({b""})),
    ]


READABLE = [
    "sid=1",
    "connect.sid=s%3AVq3xJ.%2Bab%2Fc%3D",
    "__Secure-better-auth.session_token=Vq3x.ab%2Bc%3D%3D",
    "_app_session=kJ8%2F--aXY%3D--%2Bq%3D%3D",
    "laravel_session=eyJpdiI6IjEifQ%3D%3D",
    "sid=s:1.sig",
    'sid="a b"',
    'sid={"a":1}',
    "sid=a,b",
    "sid=%E2%82%AC",
    "sid=caf\xe9",
    "sid=%zz",
    "sid=J:1",
    "sid=xj:1",
]


@pytest.mark.parametrize("cookies", READABLE)
def test_cookies_of_any_form(cookies: str) -> None:
    """What Express, better-auth, Rails, Laravel and the like write is taken, where that is asked."""
    assert are_readable(cookies)


AS_JSON = [
    'sid=j:"1"',
    "sid=j:1",
    "sid=j%3A1",
    "sid=%6A%3A1",
    "sid=%6a:1",
    "sid=%256A%253A1",
    'sid="j:1"',
    'sid="%6A:1"',
    r'sid="\152:1"',
    r'sid="\j:1"',
    "sid=  j:1",
    "a=1; sid=j:1",
]


@pytest.mark.p1
@pytest.mark.parametrize("cookies", [*AS_JSON, "", "sid=\n", "sid=1\x00", "sid=\u0100"])
def test_cookies_that_express_reads_as_json(cookies: str) -> None:
    """JSON has too many spellings: `j:` under any reading is refused, as is what cannot be sent."""
    assert not are_readable(cookies)


@given(st.text())
def test_what_is_readable_can_be_sent(value: str) -> None:
    """What is plain is readable, and what is readable can be sent."""
    cookies = f"sid={value}"
    assert not are_plain(cookies) or are_readable(cookies)
    assert not are_readable(cookies) or are_sendable(cookies)


@pytest.mark.parametrize(
    ("iat", "at"),
    [("5", 5.0), ("5.5", 5.5), ("0", 0.0), ("999999", 999_999.0), ("5e2", 500.0)],
)
def test_a_token_says_when_it_was_issued(iat: str, at: float) -> None:
    """Its word counts, whatever else it says."""
    assert issued(token(f'{{"sub":"é","iat":{iat},"exp":"never"}}'), NOW) == at


@pytest.mark.parametrize(
    "iat",
    [
        *("1000000", "1000001", "-1", "-0.1", "true", "false", "null", '"5"', "[5]", "{}"),
        *("NaN", "Infinity", "-Infinity", "1e400", "1" + "0" * 400, "1" + "0" * 5000),
    ],
)
def test_strange_times_are_ignored(iat: str) -> None:
    """What is no time, or none that has passed, says nothing."""
    assert issued(token(f'{{"iat":{iat}}}'), NOW) == NOW


GOOD = part('{"iat":5}')


@pytest.mark.p1
@pytest.mark.parametrize(
    "value",
    [
        *(b"", b".", b"..", b"...", b"1", b"x." + GOOD, b"." + GOOD + b".x"),
        *(b"x.." + GOOD, b"x." + GOOD + b".x.x", b"x." + GOOD + b"=.x", b"x.a.x"),
        *(b"x y." + GOOD + b".x", b"x.\xff.x", b"x." + GOOD[:-1] + b"+.x"),
        *map(token, ["", "5", "[]", "null", '"iat"', "{}", '{"iat":5', '{"iat":5}}']),
        *map(token, [b'{"iat":5,"x":"\xff"}', '{"iat":5}'.encode("utf-16")]),
        *map(token, ["\ufeff{}", "[" * 12_000, '{"a":' * 12_000]),
    ],
)
def test_what_is_no_token_says_nothing(value: bytes) -> None:
    """Three parts, of which the second is a JSON object; nothing else stumbles over."""
    assert issued(value, NOW) == NOW


@given(st.binary(), st.dictionaries(st.text(), st.integers() | st.floats() | st.text()))
def test_no_value_makes_it_stumble(value: bytes, claims: dict[str, object]) -> None:
    """Whatever comes, the answer is a time up to the latest there may be."""
    for each in (value, token(value), token(json.dumps(claims))):
        assert 0 <= issued(each, NOW) <= NOW
