import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.identity.cookies import are_plain, are_sendable, carriers, issued

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


@given(st.text())
def test_what_is_plain_can_be_sent(value: str) -> None:
    """What passes the narrow gate passes the wide one."""
    cookies = f"sid={value}"
    assert not are_plain(cookies) or are_sendable(cookies)


@pytest.mark.parametrize(
    ("cookies", "found"),
    [
        (b"a=1", {(b"a", b"1")}),
        (b'a="1"', {(b"a", b"1")}),
        (b"a= 1 ;b=%32", {(b"a", b"1"), (b"b", b"2")}),
        (b"a=1; a=2", {(b"a", b"1"), (b"a", b"2")}),
        (b"a=x=y", {(b"a", b"x=y")}),
        (b"a", {(b"a", b"")}),
        (b"", {(b"", b"")}),
    ],
)
def test_carriers(cookies: bytes, found: set[tuple[bytes, bytes]]) -> None:
    """Every cookie is one, whatever it is called, in one spelling."""
    assert carriers(cookies) == found


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
