"""Call ids and the channels behind them."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from portward.dialects import call_ids
from portward.model.channel import Channel

IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=64)
SHORT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9)
"""Ids that fit whatever they are made of: nine characters of twelve at most."""


@pytest.mark.parametrize(
    ("call_id", "name"),
    [
        ("c1", "c1"),
        ("a:b/c", "a:b/c"),
        ("!#$&'()+,-./09:;<=>@AZ^_`az|~", "!#$&'()+,-./09:;<=>@AZ^_`az|~"),
        ("*", "%2A"),
        ("%2A", "%252A"),
        ("%2a", "%252a"),
        ("a*", "a%2A"),
        ("100%", "100%25"),
        ('? []{}\\"', "%3F%20%5B%5D%7B%7D%5C%22"),
        ("ž", "%C5%BE"),
        ("\u0000\n\u007f", "%00%0A%7F"),
        ("📞", "%F0%9F%93%9E"),
    ],
)
def test_ids_have_channels(call_id: str, name: str) -> None:
    """Characters a channel cannot hold are percent-encoded in upper case; the rest stand as they are."""
    channel = call_ids.encode("alerts", call_id)
    assert channel == f"alerts:{name}"
    assert isinstance(channel, Channel)
    assert call_ids.decode(channel) == call_id


def test_a_star_is_the_combined_channel() -> None:
    """`*` stands for all calls, and nothing else does."""
    assert call_ids.encode("alerts", "*") == Channel.combined("alerts")
    assert call_ids.decode(Channel.combined("alerts")) == "*"


@pytest.mark.parametrize(
    "other",
    [None, True, 1, 1.5, [], {}, b"c1", "", "a" * 65, "ž" * 64, "📞" * 11, "\ud800", "a\udfff"],
    ids=repr,
)
def test_what_is_no_id(other: Any) -> None:
    """Other types, empty, overlong and broken texts have no channel."""
    assert call_ids.encode("alerts", other) is None


def test_lengths() -> None:
    """64 plain characters fit, however long the rest of the channel's name is allowed to be."""
    assert call_ids.encode("n" * 63, "a" * 64) is not None
    assert call_ids.encode("n" * 64, "a" * 64) is None


@given(SHORT)
def test_short_ids_come_back(call_id: str) -> None:
    """Whatever a short id is made of, it has a channel, and comes back from it."""
    channel = call_ids.encode("alerts", call_id)
    assert channel is not None
    assert Channel.parse(channel) == channel
    assert call_ids.decode(channel) == call_id


@given(IDS)
def test_ids_come_back(call_id: str) -> None:
    """An id that has a channel comes back from it."""
    channel = call_ids.encode("alerts", call_id)
    assume(channel is not None)
    assert channel is not None
    assert call_ids.decode(channel) == call_id
    assert channel.is_combined == (call_id == "*")


@given(SHORT, SHORT)
def test_no_two_ids_share_a_channel(one: str, other: str) -> None:
    """Channels are equal when the ids are."""
    same = call_ids.encode("alerts", one) == call_ids.encode("alerts", other)
    assert same == (one == other)


@pytest.mark.parametrize(
    ("name", "shown"), [("%zz", "%zz"), ("%", "%"), ("%FF", "\ufffd"), ("%C5", "\ufffd")]
)
def test_foreign_names_are_shown(name: str, shown: str) -> None:
    """A channel no id has, which only the backend can make, is shown as well as may be."""
    assert call_ids.decode(Channel.parse(f"alerts:{name}")) == shown
