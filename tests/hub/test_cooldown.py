"""A listener is told a type once in a while, with the number it was spared."""

import pytest

from portward.hub.cooldown import Cooldown
from portward.model.channel import Channel
from portward.model.limits import COOLDOWN_TYPES
from portward.model.publication import Publication
from portward.model.replies import Delivery, Joined, Push

ROOM = Channel.parse("rooms:a")


def push(kind: str | None) -> Push:
    """A publication of a type."""
    publication = Publication(id="i", offset=1, time=0, data=None, type=kind)
    return Delivery(channel=ROOM, publication=publication, epoch="e")


class Times:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        """Read it."""
        return self.now


@pytest.fixture
def times() -> Times:
    """The time."""
    return Times()


def test_once_in_a_while(times: Times) -> None:
    """The first passes, the next are counted, and the one after the time brings their number."""
    cooldown = Cooldown(2.0, times)
    told = []
    for now in (0.0, 0.5, 1.9, 2.0, 3.9, 4.0):
        times.now = now
        told.append(cooldown.passes("ann", push("k")))
    assert told == [0, None, None, 2, None, 1]


def test_types_and_listeners_are_apart(times: Times) -> None:
    """Another type, another listener, and no type at all are counted by themselves."""
    cooldown = Cooldown(2.0, times)
    cases = [("ann", "k"), ("ann", "l"), ("bob", "k"), ("ann", None)]
    assert [cooldown.passes(who, push(kind)) for who, kind in cases] == [0] * 4
    assert [cooldown.passes(who, push(kind)) for who, kind in cases] == [None] * 4


def test_only_publications_are_spared(times: Times) -> None:
    """What is no publication always passes."""
    cooldown = Cooldown(2.0, times)
    joined = Joined(channel=ROOM, user="ann")
    assert [cooldown.passes("ann", joined) for _ in range(3)] == [0] * 3


def test_memory_is_bounded(times: Times) -> None:
    """Of very many types the ones told longest ago are forgotten first."""
    cooldown = Cooldown(2.0, times)
    for number in range(COOLDOWN_TYPES + 1):
        cooldown.passes("ann", push(str(number)))
    assert cooldown.passes("ann", push(str(COOLDOWN_TYPES))) is None
    assert cooldown.passes("ann", push("0")) == 0
    assert len(cooldown._told["ann"]) == COOLDOWN_TYPES


def test_who_left_is_forgotten(times: Times) -> None:
    """After a listener left nothing of it is kept."""
    cooldown = Cooldown(2.0, times)
    cooldown.passes("ann", push("k"))
    cooldown.forget("ann")
    cooldown.forget("ann")
    assert cooldown._told == {}
    assert cooldown.passes("ann", push("k")) == 0


def test_in_a_combined_channel_each_origin_counts_apart(times: Times) -> None:
    """The same type from another channel is another thing."""
    cooldown = Cooldown(2.0, times)
    origins = [Channel.parse("rooms:a"), Channel.parse("rooms:b")]
    said = [
        Delivery(
            channel=Channel.combined("rooms"),
            publication=Publication(id="i", offset=1, time=0, data=None, type="k", origin=origin),
            epoch="e",
        )
        for origin in origins
    ]
    assert [cooldown.passes("ann", each) for each in said] == [0, 0]
    assert [cooldown.passes("ann", each) for each in said] == [None, None]


def test_what_is_remembered_has_a_bound(times: Times) -> None:
    """Beyond it the kind told longest ago is told again too early, and that is all."""
    cooldown = Cooldown(2.0, times, 3)
    assert [cooldown.passes("ann", push(kind)) for kind in "abcd"] == [0] * 4
    assert [cooldown.passes("ann", push(kind)) for kind in "bcd"] == [None] * 3
    assert cooldown.passes("ann", push("a")) == 0
