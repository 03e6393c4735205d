"""Call ids and the channels behind them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.model.channel import Channel
from portward.protocols.alerts import call_ids

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
    [None, True, 1, 1.5, [], {}, b"c1", "", "a" * 65, "\ud800", "a\udfff"],
    ids=repr,
)
def test_what_is_no_id(other: Any) -> None:
    """Other types, empty, overlong and broken texts have no channel."""
    assert call_ids.encode("alerts", other) is None


def test_lengths() -> None:
    """Whatever a long id is made of, it fits beside any name of a namespace that leaves some room."""
    assert call_ids.encode("n" * 63, "a" * 64) == "n" * 63 + ":" + "a" * 64
    for call_id in ("a" * 64, "ž" * 64, "📞" * 64):
        channel = call_ids.encode("n" * 82, call_id)
        assert channel is not None
        assert len(channel) == 128
        assert call_ids.encode("n" * 83, call_id) is None


@given(SHORT)
def test_short_ids_come_back(call_id: str) -> None:
    """Whatever a short id is made of, it has a channel, and comes back from it."""
    channel = call_ids.encode("alerts", call_id)
    assert channel is not None
    assert Channel.parse(channel) == channel
    assert call_ids.decode(channel) == call_id


@given(IDS)
def test_ids_come_back(call_id: str) -> None:
    """Every text of 1 to 64 characters has a channel, and who read it knows it again."""
    ids = call_ids.CallIds("alerts")
    channel = ids.encode(call_id)
    assert channel is not None
    assert channel == call_ids.encode("alerts", call_id)
    assert ids.decode(channel) == call_id
    assert channel.is_combined == (call_id == "*")


@given(IDS | st.text("ž📞%~*", min_size=1, max_size=64), IDS)
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


def test_a_long_id_is_nobody_elses() -> None:
    """Its channel is of a form that no other id has, not even one that looks like it."""
    channel = call_ids.encode("alerts", "ž" * 64)
    assert channel is not None
    assert channel.name.startswith("%~")
    assert call_ids.encode("alerts", channel.name) == f"alerts:%25{channel.name[1:]}"
    assert call_ids.encode("alerts", "ž" * 63) != channel


def test_ids_that_are_remembered() -> None:
    """As many long ids as there is room for are known again, those used last."""
    ids = call_ids.CallIds("alerts")
    assert ids.encode("\ud800" * 64) is None
    texts = [f"{number}".rjust(64, "ž") for number in range(call_ids.REMEMBERED)]
    channels = [channel for text in texts if (channel := ids.encode(text)) is not None]
    assert len(channels) == len(texts)
    assert ids.decode(channels[0]) == texts[0]
    ids.encode("short")
    ids.encode("📞" * 64)
    assert [ids.decode(each) for each in channels[:3]] == [texts[0], channels[1].name, texts[2]]
