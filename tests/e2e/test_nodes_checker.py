"""The checker of the tests with several nodes finds what it is for."""

import pytest

from portward.client import Event, Joined
from portward.client import Message as Told
from portward.model.position import Position
from tests.e2e.nodes_checker import Acknowledged, History, Loss

ROOM = "hall"


def joined(offset: int, epoch: str = "e", *, recovered: bool | None = None) -> Event:
    """A client is in the room."""
    place = Position(offset, epoch)
    return Joined(room=ROOM, participants=(), position=place, recovered=recovered)


def told(offset: int, epoch: str = "e", content: str = "") -> Event:
    """A client was told a publication."""
    return Told(
        room=ROOM,
        id="0" * 32,
        content=content or str(offset),
        user=None,
        position=Position(offset, epoch),
        time=0,
    )


def acknowledged(*offsets: int, epoch: str = "e") -> list[Acknowledged]:
    """What a publisher had positions for."""
    return [Acknowledged(ROOM, str(each), Position(each, epoch)) for each in offsets]


def test_what_came_in_order_passes() -> None:
    """All that was acknowledged came, over a reconnect that recovered."""
    history = History([joined(1), told(2), joined(4, recovered=True), told(3), told(4)])
    history.check(ROOM, acknowledged(2, 3, 4))
    assert history.losses(ROOM) == []


@pytest.mark.parametrize("offset", [1, 2, 4], ids=["older", "repeat", "gap"])
def test_what_came_out_of_order_is_found(offset: int) -> None:
    """A publication that is older, repeated, or after a gap is found."""
    with pytest.raises(AssertionError, match="a silent gap"):
        History([joined(0), told(1), told(2), told(offset)]).losses(ROOM)


def test_epoch_that_nobody_announced_is_found() -> None:
    """The next offset in another epoch is no continuation."""
    with pytest.raises(AssertionError, match="a silent gap"):
        History([joined(0), told(1), told(2, "f")]).losses(ROOM)


def test_what_vanished_is_found() -> None:
    """What was acknowledged and neither told nor told to be lost is found, at the end too."""
    history = History([joined(0), told(1)])
    with pytest.raises(AssertionError):
        history.check(ROOM, acknowledged(1, 2))


def test_other_words_at_a_position_are_found() -> None:
    """A position that means two things is found, even where a loss was told."""
    history = History([joined(0), told(1, content="other"), joined(5, recovered=False)])
    with pytest.raises(AssertionError):
        history.check(ROOM, acknowledged(1))


def test_loss_covers_what_lies_between() -> None:
    """A loss that was told covers what lies between the two places, and nothing else."""
    history = History([joined(0), told(1), joined(4, recovered=False), told(5)])
    history.check(ROOM, acknowledged(1, 2, 3, 4, 5))
    assert history.losses(ROOM) == [Loss(Position(1, "e"), Position(4, "e"))]
    with pytest.raises(AssertionError):
        history.check(ROOM, acknowledged(6))


def test_loss_covers_the_end_of_one_epoch_and_the_beginning_of_the_next() -> None:
    """When the epoch changed, what followed in the old one and came before in the new one is covered."""
    history = History([joined(7), told(8), joined(2, "f", recovered=False), told(3, "f")])
    history.check(ROOM, acknowledged(8, 9))
    history.check(ROOM, acknowledged(1, 2, 3, epoch="f"))
    with pytest.raises(AssertionError):
        history.check(ROOM, acknowledged(4, epoch="f"))
