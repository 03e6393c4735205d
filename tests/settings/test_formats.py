import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.model.limits import Rate
from portward.settings.formats import (
    UNLIMITED,
    parse_duration,
    parse_keys,
    parse_networks,
    parse_rate,
    parse_size,
    show_duration,
    show_list,
    show_rate,
    show_size,
)
from portward.settings.secret import Secret


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("25s", 25.0),
        ("10m", 600.0),
        ("10min", 600.0),
        ("1h", 3600.0),
        ("2d", 172800.0),
        ("250ms", 0.25),
        ("1.5s", 1.5),
        (" 3 s ", 3.0),
        ("0s", 0.0),
        (7, 7.0),
        (0.5, 0.5),
    ],
)
def test_a_duration_is_read(written: object, seconds: float) -> None:
    """Numbers with a unit, and bare numbers of seconds, are durations."""
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    "written",
    [
        "", "25", "s", "-1s", "1 week", "1h30m", "25S", "1e3s", "٣s", -1, -0.5, True, None, [], {},
        math.nan, math.inf, -math.inf, 10**400, "9999999999s", 4e9,
    ],
)  # fmt: skip
def test_what_is_no_duration_is_refused(written: object) -> None:
    """Anything else is a ValueError, whatever its type and size."""
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(written)


@given(st.integers(0, 10**9))
def test_a_shown_duration_reads_back(milliseconds: int) -> None:
    """Showing loses nothing, down to the millisecond."""
    seconds = milliseconds / 1000
    shown = show_duration(seconds)
    assert parse_duration(shown) == pytest.approx(seconds, rel=1e-5)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0, "0s"), (0.25, "250ms"), (1.5, "1.5s"), (90.0, "90s"), (60.0, "1m"), (86400.0, "1d")],
)
def test_a_duration_is_shown_shortly(seconds: float, shown: str) -> None:
    """The largest unit that divides it is used."""
    assert show_duration(seconds) == shown


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("64KiB", 65536),
        ("64kib", 65536),
        ("1MiB", 1048576),
        ("1.5KiB", 1536),
        ("100kB", 100_000),
        ("2 MB", 2_000_000),
        ("1GiB", 1024**3),
        ("1GB", 1000**3),
        ("12B", 12),
        (100, 100),
        (100.0, 100),
    ],
)
def test_a_size_is_read(written: object, size: int) -> None:
    """Numbers with a unit, and bare numbers of bytes, are sizes."""
    assert parse_size(written) == size


@pytest.mark.parametrize(
    "written",
    ["", "64", "KiB", "-1B", "1.5B", "64 kilobytes", 1.5, -1, True, None, math.nan, 2**50],
)
def test_what_is_no_size_is_refused(written: object) -> None:
    """Anything else, parts of bytes among it, is a ValueError."""
    with pytest.raises(ValueError, match="expected a size"):
        parse_size(written)


@given(st.integers(0, 2**40))
def test_a_shown_size_reads_back(size: int) -> None:
    """Showing loses nothing."""
    shown = show_size(size)
    assert parse_size(int(shown) if shown.isdigit() else shown) == size


@pytest.mark.parametrize(
    ("written", "rate"),
    [
        ("60/min", Rate(60, 60.0, 60)),
        ("500/s", Rate(500, 1.0, 500)),
        ("10/60s", Rate(10, 60.0, 10)),
        ("1/hour", Rate(1, 3600.0, 1)),
        ("5 / second", Rate(5, 1.0, 5)),
        ("5/sec", Rate(5, 1.0, 5)),
        ("3/minute", Rate(3, 60.0, 3)),
        ("0.5/s", Rate(0.5, 1.0, 1)),
        ("none", UNLIMITED),
        ("0/s", Rate(0, 1.0, 0)),
    ],
)
def test_a_rate_is_read(written: str, rate: Rate) -> None:
    """Events per unit or per duration are a rate whose burst is its count, rounded up."""
    assert parse_rate(written) == rate


def test_a_rate_stays_one() -> None:
    """What is a rate already is left alone."""
    assert parse_rate(Rate(1, 2.0, 3)) == Rate(1, 2.0, 3)


@pytest.mark.parametrize(
    "written", ["", "60", "60/", "/min", "60/fortnight", "60/0s", "-1/s", "a/s", 60, True, None, []]
)
def test_what_is_no_rate_is_refused(written: object) -> None:
    """Anything else is a ValueError."""
    with pytest.raises(ValueError, match="expected a rate"):
        parse_rate(written)


@pytest.mark.parametrize("text", ["60/min", "500/s", "1/h", "10/90s", "0.5/s", "none"])
def test_a_rate_is_shown_as_it_is_written(text: str) -> None:
    """Showing and reading are each other's opposite."""
    assert show_rate(parse_rate(text)) == text


def test_networks_are_checked() -> None:
    """Addresses and blocks of both families pass, and the word for Unix sockets."""
    written = ["10.0.0.0/8", "192.0.2.1", "::1", "2001:db8::/32", "unix:"]
    assert parse_networks(written) == written


@pytest.mark.parametrize(
    "entry",
    ["", "x", "10.0.0.0/33", "10.0.0.1/8", "10.0.0", 10, None, "unix", "UNIX:", "unix:/run/p"],
)
def test_what_is_no_network_is_refused_by_its_number(entry: object) -> None:
    """The text says which entry is wrong."""
    with pytest.raises(ValueError, match="entry 2 is not a network"):
        parse_networks(["::/0", entry])


def test_what_is_no_list_is_left_to_the_type() -> None:
    """The forms of lists pass on what they cannot judge."""
    assert parse_networks("10.0.0.0/8") == "10.0.0.0/8"
    assert parse_keys("key") == "key"


def test_plain_keys_become_tables() -> None:
    """A text stands for a table with that key; tables stay."""
    assert parse_keys(["a", {"key": "b"}, 3]) == [{"key": "a"}, {"key": "b"}, 3]


def test_a_list_shows_its_entries() -> None:
    """Entries show themselves, masked where they are secrets."""
    assert show_list(("a", Secret("b"))) == "[a, ***]"
