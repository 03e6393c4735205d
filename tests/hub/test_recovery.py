"""What a returning subscriber is told: all it missed, or that it cannot be told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.hub.recovery import merge
from portward.model.channel import Channel
from portward.model.limits import RECOVERY_LIMIT
from portward.model.position import Position
from portward.model.publication import HistoryPage, Publication
from portward.model.replies import Delivery, Joined, Push

ROOM = Channel.parse("rooms:a")
JOINED = Joined(channel=ROOM, user="ann")


def publication(offset: int) -> Publication:
    """A publication at an offset."""
    return Publication(id=str(offset), offset=offset, time=0, data=offset)


def delivery(offset: int, epoch: str = "e") -> Delivery:
    """Its arrival."""
    return Delivery(channel=ROOM, publication=publication(offset), epoch=epoch)


def page(first: int, last: int, *, complete: bool = True, epoch: str = "e") -> HistoryPage:
    """A page of the publications from `first` to `last`, which is where the stream stands."""
    publications = tuple(publication(offset) for offset in range(first, last + 1))
    return HistoryPage(publications, Position(last, epoch), complete=complete)


def test_nothing_asked() -> None:
    """Without a position nothing is recovered, and what the page covers is not told again."""
    collected: list[Push] = [delivery(3), JOINED, delivery(4)]
    recovery = merge(None, page(1, 3), collected)
    assert (recovery.recovered, recovery.missed, recovery.result) == (None, (), None)
    assert recovery.later == (JOINED, delivery(4))
    assert recovery.position == Position(3, "e")


def test_recovered() -> None:
    """What was missed goes into the answer, what came meanwhile follows, in order."""
    recovery = merge(Position(1, "e"), page(2, 4), [delivery(3), delivery(4), delivery(5), JOINED])
    assert recovery.recovered is True
    assert [each.offset for each in recovery.missed] == [2, 3, 4]
    assert recovery.later == (delivery(5), JOINED)
    assert recovery.result == "recovered"


@pytest.mark.parametrize(
    ("since", "given_page", "result"),
    [
        (Position(4, "e"), HistoryPage((), Position(4, "e")), "recovered"),
        (Position(1, "x"), page(2, 4), "epoch"),
        (Position(5, "e"), HistoryPage((), Position(4, "e")), "epoch"),
        (Position(1, "e"), page(3, 4, complete=False), "trimmed"),
        (Position(1, "e"), page(3, 4), "trimmed"),
        (Position(0, "e"), page(1, RECOVERY_LIMIT), "recovered"),
        (Position(0, "e"), page(1, RECOVERY_LIMIT + 1), "too_many"),
    ],
)
def test_judgement(since: Position, given_page: HistoryPage, result: str) -> None:
    """Each reason for which nothing can be recovered has its word, and then nothing is."""
    recovery = merge(since, given_page, [])
    assert recovery.result == result
    assert recovery.recovered is (result == "recovered")
    assert recovery.recovered or recovery.missed == ()
    assert recovery.position == given_page.position


def test_publications_of_another_life() -> None:
    """What arrived in another epoch than the page's is not covered by it."""
    recovery = merge(None, page(1, 3), [delivery(1, "f")])
    assert recovery.later == (delivery(1, "f"),)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
def test_no_gap_and_no_repeat(since: int, read: int, came: int) -> None:
    """Whatever was read and whatever came meanwhile, all of it is told once, in order."""
    last = since + read
    collected: list[Push] = [delivery(offset) for offset in range(since + 1, last + came + 1)]
    recovery = merge(Position(since, "e"), page(since + 1, last), collected)
    told = [each.offset for each in recovery.missed]
    told += [push.publication.offset for push in recovery.later if isinstance(push, Delivery)]
    assert told == list(range(since + 1, last + came + 1))
