"""The fan-out of a channel that was empty, from a position that is not kept to the first publication."""

import pytest

from portward.model.position import Position
from portward.model.publication import Publication
from tests.hub.listening import ROOM, Ear, Hub

EMPTY = Position(0, "~a")


def publication(offset: int) -> Publication:
    """A publication at an offset."""
    return Publication(id="0" * 32, offset=offset, time=1, data="x")


def test_an_empty_channel_goes_on_with_its_first_publication() -> None:
    """Where the first publication continues the empty epoch nobody has to be told of another name."""
    hub = Hub()
    ear = Ear()
    hub.channels.join(ROOM, ear)
    hub.channels.settle(ROOM, ear, hub.voice, EMPTY)
    assert hub.channels.position(ROOM) == EMPTY
    assert hub.channels.deliver(ROOM, publication(1), "~a")
    assert hub.channels.position(ROOM) == Position(1, "~a")
    assert hub.watch.beginnings == []


def test_another_epoch_is_not_taken_on_trust() -> None:
    """A publication of another epoch may be late, of a life that is over: it is left to be looked up."""
    hub = Hub()
    ear = Ear()
    hub.channels.join(ROOM, ear)
    hub.channels.settle(ROOM, ear, hub.voice, EMPTY)
    assert not hub.channels.deliver(ROOM, publication(1), "b")
    hub.channels.begin(ROOM, "b")
    assert hub.channels.deliver(ROOM, publication(1), "b")
    assert hub.watch.beginnings == [(ROOM, frozenset({"~a"}), "b")]


def test_whoever_comes_with_the_first_publication() -> None:
    """An answer that has the first publication already is not told it again; the others are."""
    hub = Hub()
    first, second = Ear(), Ear()
    hub.channels.join(ROOM, first)
    hub.channels.settle(ROOM, first, hub.voice, EMPTY)
    hub.channels.join(ROOM, second)
    assert hub.channels.follows(ROOM, second, Position(1, "~a"))
    hub.channels.settle(ROOM, second, hub.voice, Position(1, "~a"))
    assert hub.channels.deliver(ROOM, publication(1), "~a")
    hub.channels.flush()
    assert (len(first.writes), len(second.writes)) == (1, 0)


@pytest.mark.parametrize("answer", [Position(0, "~b"), Position(1, "b"), Position(1, "~b")])
def test_an_answer_of_another_epoch_does_not_follow(answer: Position) -> None:
    """Between two epochs of an empty channel a whole life may lie: whoever comes so comes once more."""
    hub = Hub()
    first, second = Ear(), Ear()
    hub.channels.join(ROOM, first)
    hub.channels.settle(ROOM, first, hub.voice, EMPTY)
    hub.channels.join(ROOM, second)
    assert not hub.channels.follows(ROOM, second, answer)
    hub.channels.settle(ROOM, second, hub.voice, answer)
    assert hub.channels.position(ROOM) == EMPTY
    assert hub.watch.beginnings == []


def test_whoever_read_before_the_first_publication() -> None:
    """An answer from before it joins on what was collected, and its epoch gets known as well."""
    hub = Hub()
    first, second = Ear(), Ear()
    hub.channels.join(ROOM, first)
    hub.channels.settle(ROOM, first, hub.voice, EMPTY)
    hub.channels.join(ROOM, second)
    hub.channels.begin(ROOM, "b")
    assert hub.channels.deliver(ROOM, publication(1), "b")
    assert hub.channels.follows(ROOM, second, EMPTY)
    collected = hub.channels.settle(ROOM, second, hub.voice, EMPTY, "~d")
    assert len(collected) == 1
    names = [each for _, each, _ in hub.watch.beginnings]
    assert names == [frozenset({"~a"}), frozenset({"~d"})]


def test_an_empty_answer_does_not_follow_a_life() -> None:
    """Whoever reads that a channel is empty, where it was not, comes in once more."""
    hub = Hub()
    first, second = Ear(), Ear()
    hub.channels.join(ROOM, first)
    hub.channels.settle(ROOM, first, hub.voice, Position(3, "b"))
    hub.channels.join(ROOM, second)
    assert not hub.channels.follows(ROOM, second, EMPTY)


def test_an_empty_position_is_renewed() -> None:
    """A newer one takes its place, as long as nothing was published; the older one is remembered."""
    hub = Hub()
    ear = Ear()
    hub.channels.join(ROOM, ear)
    hub.channels.settle(ROOM, ear, hub.voice, EMPTY)
    for number in range(100):
        known = hub.channels.position(ROOM)
        assert known is not None
        hub.channels.renew(ROOM, known, Position(0, f"~{number}"))
    hub.channels.renew(ROOM, EMPTY, Position(0, "~late"))
    assert hub.channels.position(ROOM) == Position(0, "~99")
    hub.channels.begin(ROOM, "b")
    ((_, names, _),) = hub.watch.beginnings
    assert len(names) <= 32
    assert "~98" in names
    hub.channels.renew(ROOM, Position(0, "b"), Position(0, "~x"))
