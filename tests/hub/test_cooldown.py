"""A listener is told a type once in a while, with the number it was spared."""

import pytest

from portward.hub.cooldown import PENDING, Cooldown, Window
from portward.model.channel import Channel
from portward.model.limits import COOLDOWN_TYPES
from portward.model.publication import Publication
from portward.model.replies import Delivery, Joined

ROOM = Channel.parse("rooms:a")


def push(kind: str | None, data: object = None) -> Delivery:
    """A publication of a type; its data is its urgency where one counts."""
    publication = Publication(id="i", offset=1, time=0, data=data, type=kind)
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
        told.append(cooldown.admit("ann", push("k")))
    assert told == [0, None, None, 2, None, 1]


def test_types_and_listeners_are_apart(times: Times) -> None:
    """Another type, another listener, and no type at all are counted by themselves."""
    cooldown = Cooldown(2.0, times)
    cases = [("ann", "k"), ("ann", "l"), ("bob", "k"), ("ann", None)]
    assert [cooldown.admit(who, push(kind)) for who, kind in cases] == [0] * 4
    assert [cooldown.admit(who, push(kind)) for who, kind in cases] == [None] * 4


def test_only_publications_are_spared(times: Times) -> None:
    """What is no publication always passes."""
    cooldown = Cooldown(2.0, times)
    joined = Joined(channel=ROOM, user="ann")
    assert [cooldown.admit("ann", joined) for _ in range(3)] == [0] * 3


def test_memory_is_bounded(times: Times) -> None:
    """Of very many types the ones told longest ago are forgotten first."""
    cooldown = Cooldown(2.0, times)
    for number in range(COOLDOWN_TYPES + 1):
        cooldown.admit("ann", push(str(number)))
    assert cooldown.admit("ann", push(str(COOLDOWN_TYPES))) is None
    assert cooldown.admit("ann", push("0")) == 0
    assert len(cooldown._listeners["ann"].windows) == COOLDOWN_TYPES


def test_who_left_is_forgotten(times: Times) -> None:
    """After a listener left nothing of it is kept."""
    cooldown = Cooldown(2.0, times)
    cooldown.admit("ann", push("k"))
    cooldown.forget("ann")
    cooldown.forget("ann")
    assert cooldown._listeners == {}
    assert cooldown.admit("ann", push("k")) == 0


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
    assert [cooldown.admit("ann", each) for each in said] == [0, 0]
    assert [cooldown.admit("ann", each) for each in said] == [None, None]


def test_what_is_remembered_has_a_bound(times: Times) -> None:
    """Beyond it the kind told longest ago is told again too early, and that is all."""
    cooldown = Cooldown(2.0, times, 3)
    assert [cooldown.admit("ann", push(kind)) for kind in "abcd"] == [0] * 4
    assert [cooldown.admit("ann", push(kind)) for kind in "bcd"] == [None] * 3
    assert cooldown.admit("ann", push("a")) == 0


class Waiting:
    """A queue that notes what it was given."""

    def __init__(self) -> None:
        self.windows: list[Window] = []

    def add(self, listener: object, window: Window, *, again: bool = False) -> None:  # noqa: ARG002 - the port's
        """Note a window, once unless it is asked for again."""
        if again or not window.queued:
            window.queued = True
            self.windows.append(window)


def ranked(times: Times, remembered: int = COOLDOWN_TYPES) -> Cooldown:
    """A cooldown of two seconds in which the data of a publication is its urgency."""
    return Cooldown(2.0, times, remembered, lambda publication: publication.data)


@pytest.mark.parametrize(
    ("urgencies", "passed"),
    [
        ([1, 2, 3], [0, 0, 0]),
        ([1, 1, 1], [0, None, None]),
        ([3, 2, 1], [0, None, None]),
        ([1, 0, 2, 1, 3], [0, None, 1, None, 1]),
        ([0, 3, 2, 3, 1], [0, 0, None, None, None]),
        ([2, 1, 2, 3, 3], [0, None, None, 2, None]),
    ],
)
def test_the_more_urgent_passes(
    times: Times, urgencies: list[int], passed: list[int | None]
) -> None:
    """What is above the last one sent passes at once, with the number of those left out before it."""
    cooldown = ranked(times)
    assert [cooldown.admit("ann", push("k", each)) for each in urgencies] == passed


def test_the_more_urgent_begins_anew(times: Times) -> None:
    """From it on the whole time runs again, and it is the one to be above of."""
    cooldown = ranked(times)
    told = []
    for now, urgency in ((0.0, 1), (1.5, 2), (2.5, 2), (3.4, 1), (3.5, 1)):
        times.now = now
        told.append(cooldown.admit("ann", push("k", urgency)))
    assert told == [0, 0, None, None, 2]


def test_the_last_one_left_out_is_kept(times: Times) -> None:
    """One for each kind and listener, that comes late once, without itself in the number left out."""
    cooldown, queue = ranked(times), Waiting()
    cooldown.admit("ann", push("k", 2), queue)
    for urgency in (1, 0, 2):
        assert cooldown.admit("ann", push("k", urgency), queue) is None
    (window,) = queue.windows
    times.now = 2.0
    late = cooldown.late(window)
    assert late is not None
    assert (late.publication.data, late.suppressed, late.late) == (2, 2, True)
    assert cooldown.late(window) is None
    # It was sent: its cooldown runs, and begins the count.
    assert cooldown.admit("ann", push("k", 2), queue) is None
    times.now = 4.0
    assert cooldown.admit("ann", push("k", 2), queue) == 1


def test_one_sent_meanwhile_takes_the_place_of_the_kept(times: Times) -> None:
    """What passes is newer: the kept one counts as left out and comes no more."""
    cooldown, queue = ranked(times), Waiting()
    for urgency in (1, 1, 2):
        cooldown.admit("ann", push("k", urgency), queue)
    (window,) = queue.windows
    assert not window.wanted
    assert cooldown.late(window) is None


def test_who_left_is_owed_nothing(times: Times) -> None:
    """What was kept for a listener is dropped when it leaves, a forgotten kind included."""
    cooldown, queue = ranked(times, remembered=1), Waiting()
    for kind in ("k", "k", "l", "l"):
        cooldown.admit("ann", push(kind, 1), queue)
    cooldown.forget("ann")
    assert [window.wanted for window in queue.windows] == [False] * len(queue.windows)


def test_a_kind_that_is_forgotten_comes_at_once(times: Times) -> None:
    """Beyond what is remembered nothing is lost: what was kept is due now."""
    cooldown, queue = ranked(times, remembered=2), Waiting()
    for kind in ("a", "a", "b", "c"):
        cooldown.admit("ann", push(kind, 1), queue)
    assert [(each.until, each.wanted) for each in queue.windows] == [(0.0, True)] * 2
    assert queue.windows[0] is queue.windows[1]


def test_what_is_kept_has_a_bound(times: Times) -> None:
    """Beyond it nothing is left out: it is sent, however soon after the last."""
    cooldown, queue = ranked(times, remembered=2 * PENDING), Waiting()
    kinds = [str(number) for number in range(PENDING + 5)]
    assert [cooldown.admit("ann", push(kind, 1), queue) for kind in kinds] == [0] * len(kinds)
    told = [cooldown.admit("ann", push(kind, 1), queue) for kind in kinds]
    assert told == [None] * PENDING + [0] * 5
    # One that is kept already is replaced.
    assert cooldown.admit("ann", push(kinds[0], 1), queue) is None
    assert cooldown.admit("bob", push(kinds[0], 1), queue) == 0


def test_recovery_is_told_whatever_the_cooldown(times: Times) -> None:
    """What was missed counts as sent, and nothing kept of its kind is due after it."""
    cooldown, queue = ranked(times), Waiting()
    for _ in range(2):
        cooldown.admit("ann", push("k", 1), queue)
    cooldown.record_written("ann", push("k", 1), queue)
    assert not queue.windows[0].wanted
    times.now = 1.9
    assert cooldown.admit("ann", push("k", 1), queue) is None
    cooldown.record_written("ann", Joined(channel=ROOM, user="bob"))
