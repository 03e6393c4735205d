"""Channel names: checked once, then a type of their own."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.model.channel import Channel

GOOD = ["a:b", "rooms:General", "a:b:c", "#:!", "x" * 63 + ":" + "y" * 64, "A:~", "alerts:call-1.2"]
BAD = [
    "", "a", ":", "a:", ":b", "a b:c", "a:b c", "a:*", "a:?", "a:[b]", "a:{b}", 'a:"', "a:\\", "a:\n",
    "a:b\n", "a:\x00", "a:\x7f", "ä:b", "a:b\u200b", "x" * 64 + ":" + "y" * 64, "\u0430:b",
]  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_good_names(text: str) -> None:
    """A name of the grammar becomes a channel that equals it, with its two parts."""
    channel = Channel.parse(text)
    assert channel == text
    assert f"{channel.namespace}:{channel.name}" == text
    assert ":" not in channel.namespace


@pytest.mark.parametrize("text", BAD)
def test_bad_names(text: str) -> None:
    """A text outside the grammar is no channel."""
    with pytest.raises(ValueError, match="channel"):
        Channel.parse(text)


@given(st.text(max_size=140))
def test_grammar(text: str) -> None:
    """Printable ASCII without a few characters, a namespace and a name, at most 128 long."""
    allowed = set(string.ascii_letters + string.digits + string.punctuation) - set('*?[]{}"\\')
    namespace, colon, name = text.partition(":")
    sound = bool(namespace and colon and name) and set(text) <= allowed and len(text) <= 128
    try:
        Channel.parse(text)
    except ValueError:
        assert not sound
    else:
        assert sound


def test_case_matters() -> None:
    """Names that differ in case are different channels."""
    assert Channel.parse("rooms:A") != Channel.parse("rooms:a")
