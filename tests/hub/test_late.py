"""The queue of what comes late: in time, once, and no larger than what waits in it."""

import pytest

from portward.hub.cooldown import SubscriberCooldowns, Window
from portward.hub.late import NEVER, LateQueue
from portward.model.channel import Channel
from portward.model.publication import Publication
from portward.model.replies import Delivery

ROOM = Channel.parse("rooms:a")
PUSH = Delivery(
    channel=ROOM, publication=Publication(id="i", offset=1, time=0, data=None), epoch="e"
)


class Sent:
    """A queue that is emptied by hand, and all that was due."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, object]] = []
        self.queue: LateQueue[str] = LateQueue()

    def take(self, now: float) -> float:
        """Note what is due, and take it out of its window; return when the next is due."""
        for each in self.queue.take(now):
            self.sent.append((each.state, each.listener))
            each.window.release()
        return self.queue.next

    def window(self, until: float, who: SubscriberCooldowns | None = None) -> Window:
        """A window that keeps something until a moment."""
        made = Window(who or SubscriberCooldowns())
        made.until = until
        made.keep(PUSH)
        return made


@pytest.fixture
def sent() -> Sent:
    """A queue."""
    return Sent()


def test_in_the_order_of_their_ends(sent: Sent) -> None:
    """Each is sent when its window has ended, whatever the order they came in."""
    for name, until in (("b", 3.0), ("a", 1.0), ("c", 2.0)):
        sent.queue.of("rooms").add(name, sent.window(until))
    assert sent.queue.next == 1.0
    assert sent.take(0.9) == 1.0
    assert sent.sent == []
    assert sent.take(2.0) == 3.0
    assert sent.sent == [("rooms", "a"), ("rooms", "c")]
    assert sent.take(9.0) == NEVER
    assert len(sent.queue) == 0


def test_a_window_waits_once(sent: Sent) -> None:
    """Added again it is not looked at twice; asked again it is, and sent once."""
    window, queue = sent.window(1.0), sent.queue.of("rooms")
    queue.add("ann", window)
    queue.add("ann", window)
    assert len(sent.queue) == 1
    window.until = 0.0
    queue.add("ann", window, again=True)
    sent.take(0.0)
    sent.take(1.0)
    assert sent.sent == [("rooms", "ann")]
    assert not window.queued


def test_a_window_that_began_anew_waits_on(sent: Sent) -> None:
    """It is looked at when it ends now, not when it would have."""
    window = sent.window(1.0)
    sent.queue.of("rooms").add("ann", window)
    window.until = 2.5
    assert sent.take(1.0) == 2.5
    assert sent.sent == []
    sent.take(2.5)
    assert sent.sent == [("rooms", "ann")]


def test_what_nobody_waits_for_is_dropped(sent: Sent) -> None:
    """A window that was emptied, or whose listener is gone, is passed over."""
    gone = SubscriberCooldowns()
    empty, left = sent.window(1.0), sent.window(1.0, gone)
    for window in (empty, left):
        sent.queue.of("rooms").add("ann", window)
    empty.release()
    gone.gone = True
    assert sent.take(1.0) == NEVER
    assert sent.sent == []
    assert (empty.queued, left.queued) == (False, False)


def test_the_heap_is_bounded_by_what_is_kept(sent: Sent) -> None:
    """Entries of emptied windows do not pile up, however many there were."""
    kept = [sent.window(9.0) for _ in range(10)]
    for window in kept:
        sent.queue.of("rooms").add("ann", window)
    for _ in range(10_000):
        window = sent.window(9.0)
        sent.queue.of("rooms").add("bob", window)
        window.release()
    assert len(sent.queue) < 2000
    sent.take(9.0)
    assert sent.sent == [("rooms", "ann")] * 10
