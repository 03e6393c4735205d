import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.security.forwarded import node_from, split_from_right


@pytest.mark.parametrize(
    ("text", "elements"),
    [
        ("", [""]),
        ("for=a", ["for=a"]),
        ("for=a, for=b,for=c", ["for=c", " for=b", "for=a"]),
        ('for="a,b", for=c', [" for=c", 'for="a,b"']),
        (r'for=a;host="x\", for=\"y", for=c', [" for=c", r'for=a;host="x\", for=\"y"']),
        (r'for="a\\", for=b', [" for=b", r'for="a\\"']),
        ('"', [""]),
        ('for=a", for=b', [" for=b", ""]),
        (r"\", for=b", [" for=b", ""]),
    ],
)
def test_elements_come_last_first(text: str, elements: list[str]) -> None:
    """Commas part elements unless they stand in a quoted string."""
    assert list(split_from_right(text)) == elements


@given(st.text(alphabet='abc=;, "\\', max_size=40))
def test_what_comes_before_does_not_change_the_last_element(before: str) -> None:
    """A client cannot reach into what the proxy appended after a comma."""
    assert next(split_from_right(f'{before},for="[::1]:80"')) == 'for="[::1]:80"'


@pytest.mark.parametrize(
    ("element", "node"),
    [
        ("for=192.0.2.43", "192.0.2.43"),
        (" For=192.0.2.43 ", "192.0.2.43"),
        ('for="[2001:db8:cafe::17]:4711"', "[2001:db8:cafe::17]:4711"),
        ("proto=http; for=192.0.2.60 ;by=203.0.113.43", "192.0.2.60"),
        ('host="a;for=evil";for=192.0.2.60', "192.0.2.60"),
        ("for=unknown", "unknown"),
        ("for=_hidden", "_hidden"),
        ("", ""),
        ("by=203.0.113.43", ""),
        ("for=1.2.3.4;for=5.6.7.8", ""),
        ("for=1.2.3.4 5.6.7.8", ""),
        ("for=[::1]", ""),
        ('for="1.2.3.4', ""),
        ("for", ""),
        ("=1.2.3.4", ""),
    ],
)
def test_node_is_the_one_for_parameter(element: str, node: str) -> None:
    """A malformed element, or one that says it twice, says nothing."""
    assert node_from(element) == node
