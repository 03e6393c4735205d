"""Cooldown: one listener is sent the same type from the same channel only once in a while.

A publication that is more urgent than the last one sent passes at once. Of those that are left out the
last one is kept, where its listener can be told that it comes late, and is due when the cooldown ends.
"""

from collections.abc import Callable
from typing import Final, Protocol

from portward.model.channel import Channel
from portward.model.limits import COOLDOWN_TYPES
from portward.model.publication import Publication
from portward.model.replies import Delivery, Push

Kind = tuple[Channel | None, str | None]
"""The channel it was published in, for a combined channel, and its type."""
PENDING: Final = 256
"""Publications that are kept for one listener. Beyond them none is left out: it is sent at once."""


class SubscriberCooldowns:
    """The cooldowns of one listener, by kind; those begun last come last."""

    __slots__ = ("gone", "pending", "windows")

    def __init__(self) -> None:
        self.windows: dict[Kind, Window] = {}
        self.pending = 0
        self.gone = False


class Window:
    """One cooldown: when it ends, the urgency that was sent, and what was left out since."""

    __slots__ = ("last", "listener", "queued", "suppressed", "until", "urgency")

    def __init__(self, listener: SubscriberCooldowns) -> None:
        self.listener = listener
        self.until = 0.0
        self.urgency = 0
        self.suppressed = 0
        self.last: Delivery | None = None
        self.queued = False
        """Whether it waits in the queue of what comes late."""

    def keep(self, push: Delivery) -> None:
        """Keep a publication in place of the one before."""
        self.listener.pending += self.last is None
        self.last = push

    def release(self) -> None:
        """Keep nothing any more."""
        self.listener.pending -= self.last is not None
        self.last = None

    def begin(self, until: float, urgency: int) -> int:
        """Begin anew, as something is sent; how many were left out before it."""
        suppressed, self.suppressed = self.suppressed, 0
        self.until, self.urgency = until, urgency
        self.release()
        return suppressed

    @property
    def wanted(self) -> bool:
        """Whether something is kept for a listener that is still there."""
        return self.last is not None and not self.listener.gone


def all_alike(_: Publication) -> int:
    """The urgency of publications that are not ranked."""
    return 0


class Cooldown:
    """The cooldowns of one channel's listeners, each `seconds` long.

    Per listener at most `remembered` kinds are remembered, the ones begun last. `urgency` ranks
    publications; without it all are alike. `queue` is called with a window that keeps its first
    publication, and with one that is forgotten and keeps one still: then its `until` is now.
    """

    __slots__ = ("_listeners", "_now", "_queue", "_remembered", "_seconds", "_urgency")

    def __init__(
        self,
        seconds: float,
        now: Callable[[], float],
        remembered: int = COOLDOWN_TYPES,
        urgency: Callable[[Publication], int] = all_alike,
    ) -> None:
        self._seconds = seconds
        self._now = now
        self._remembered = remembered
        self._urgency = urgency
        self._listeners: dict[object, SubscriberCooldowns] = {}

    def admit(self, listener: object, push: Push, queue: "Queue | None" = None) -> int | None:
        """Judge a push: None leaves it out, else it is sent with the number of those left out before it.

        With a `queue` the last one left out is kept until its cooldown ends.
        """
        if not isinstance(push, Delivery):
            return 0
        publication = push.publication
        held = self._listeners.get(listener)
        if held is None:
            held = self._listeners[listener] = SubscriberCooldowns()
        kind = (publication.origin, publication.type)
        window = held.windows.get(kind)
        now = self._now()
        if (
            window is not None
            and now < window.until
            and self._urgency(publication) <= window.urgency
            and (queue is None or window.last is not None or held.pending < PENDING)
        ):
            window.suppressed += 1
            if queue is not None:
                window.keep(push)
                queue.add(listener, window)
            return None
        return self._begin(listener, held, kind, publication, now, queue)

    def told(self, listener: object, push: Push, queue: "Queue | None" = None) -> None:
        """Note what a listener is sent whatever its cooldown: the history it missed."""
        if isinstance(push, Delivery):
            held = self._listeners.setdefault(listener, SubscriberCooldowns())
            publication = push.publication
            kind = (publication.origin, publication.type)
            self._begin(listener, held, kind, publication, self._now(), queue)

    def _begin(
        self,
        listener: object,
        held: SubscriberCooldowns,
        kind: Kind,
        publication: Publication,
        now: float,
        queue: "Queue | None",
    ) -> int:
        window = held.windows.pop(kind, None) or Window(held)
        held.windows[kind] = window
        suppressed = window.begin(now + self._seconds, self._urgency(publication))
        if len(held.windows) > self._remembered:
            forgotten = held.windows.pop(next(iter(held.windows)))
            if queue is not None and forgotten.wanted:
                forgotten.until = now
                queue.add(listener, forgotten, again=True)
        return suppressed

    def late(self, window: Window) -> Delivery | None:
        """Take what a window keeps, as it is to be sent now: its cooldown begins anew."""
        last, suppressed = window.last, window.suppressed
        if last is None:
            return None
        window.begin(self._now() + self._seconds, self._urgency(last.publication))
        return Delivery(
            channel=last.channel,
            publication=last.publication,
            epoch=last.epoch,
            suppressed=suppressed - 1,
            late=True,
        )

    def forget(self, listener: object) -> None:
        """Forget a listener that left, and what was kept for it."""
        held = self._listeners.pop(listener, None)
        if held is not None:
            held.gone = True
            for window in held.windows.values():
                window.release()


class Queue(Protocol):
    """Where windows wait for their end."""

    def add(self, listener: object, window: Window, *, again: bool = False) -> None:
        """Have a window looked at when it ends; one that waits already only when asked `again`."""
