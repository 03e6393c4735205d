import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.security.forwarded import (
    BROKEN,
    EMPTY,
    Element,
    parse_element,
    split_from_right,
    split_list,
)


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("", []),
        (" , ,\t", []),
        ("for=a", ["for=a"]),
        ("for=a,", ["for=a"]),
        (",,for=a , ,for=b,", ["for=b", "for=a "]),
        ("for=a, for=b,for=c", ["for=c", " for=b", "for=a"]),
        ('for="a,b", for=c', [" for=c", 'for="a,b"']),
        ('for="a,,b",, for=c,', [" for=c", 'for="a,,b"']),
        (r'for=a;host="x\", for=\"y", for=c', [" for=c", r'for=a;host="x\", for=\"y"']),
        (r'for="a\\", for=b', [" for=b", r'for="a\\"']),
        ('"', [BROKEN]),
        ('for=a", for=b', [" for=b", BROKEN]),
        (r"\", for=b", [" for=b", BROKEN]),
    ],
)
def test_elements_come_last_first(text: str, elements: list[str]) -> None:
    """Commas part elements unless they stand in a quoted string; empty elements are skipped."""
    assert list(split_from_right(text)) == elements


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("", []),
        ("a", ["a"]),
        ("a,", ["a"]),
        (",a", ["a"]),
        (",,a , ,b", ["b", "a"]),
        ("a,\t,b, ", ["b", "a"]),
        ("a" + "," * EMPTY, ["a"]),
        ("a" + "," * (EMPTY + 1), []),
    ],
)
def test_a_list_is_read_from_the_right_without_empty_elements(
    text: str, elements: list[str]
) -> None:
    """Empty elements are skipped, and after a hundred of them nothing more is read."""
    assert list(split_list(text)) == elements


@given(st.text(alphabet='abc=;, "\\', max_size=40))
def test_what_comes_before_does_not_change_the_last_element(before: str) -> None:
    """A client cannot reach into what the proxy appended after a comma."""
    assert next(split_from_right(f'{before},for="[::1]:80"')) == 'for="[::1]:80"'


@pytest.mark.parametrize(
    ("element", "node", "proto"),
    [
        ("for=192.0.2.43", "192.0.2.43", ""),
        (" For=192.0.2.43 ", "192.0.2.43", ""),
        ('for="[2001:db8:cafe::17]:4711"', "[2001:db8:cafe::17]:4711", ""),
        ("proto=http; for=192.0.2.60 ;by=203.0.113.43", "192.0.2.60", "http"),
        ('for=192.0.2.60;PROTO="https"', "192.0.2.60", "https"),
        ("for=192.0.2.60;;proto=wss;", "192.0.2.60", "wss"),
        (" ; for=192.0.2.60", "192.0.2.60", ""),
        ('host="a;for=evil;proto=https";for=192.0.2.60', "192.0.2.60", ""),
        ("for=unknown;proto=https", "unknown", "https"),
        ("for=_hidden", "_hidden", ""),
        ("proto=https", "", "https"),
        ("", "", ""),
        ("by=203.0.113.43", "", ""),
        ("for=1.2.3.4;for=5.6.7.8;proto=http", "", "http"),
        ("for=1.2.3.4;proto=http;proto=https", "1.2.3.4", ""),
        ("for=1.2.3.4 5.6.7.8", "", ""),
        ("for=[::1];proto=https", "", ""),
        ('for="1.2.3.4', "", ""),
        ("for", "", ""),
        ("=1.2.3.4", "", ""),
        (BROKEN, "", ""),
    ],
)
def test_node_and_scheme_are_the_one_parameter_each(element: str, node: str, proto: str) -> None:
    """A malformed element says nothing, and neither does a parameter that is there twice."""
    assert parse_element(element) == Element(node, proto)
