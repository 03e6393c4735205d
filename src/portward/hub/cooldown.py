"""Cooldown: limits how often one subscriber gets publications of the same type from the same channel.

A publication with a higher urgency than the last one sent is sent at once. Of the suppressed
publications the last one is kept, if the protocol of the subscriber can mark it as late, and is sent when
the cooldown ends.
"""

from collections.abc import Callable
from typing import Final, Protocol

from portward.model.channel import Channel
from portward.model.limits import COOLDOWN_TYPES
from portward.model.publication import Publication
from portward.model.replies import Delivery, Push

Kind = tuple[Channel | None, str | None]
"""The origin channel (for a combined channel) and the publication type."""
PENDING: Final = 256
"""Publications kept for one subscriber. Above this number none is suppressed: it is sent at once."""


class SubscriberCooldowns:
    """The cooldown windows of one subscriber by kind, in the order in which they began."""

    __slots__ = ("gone", "pending", "windows")

    def __init__(self) -> None:
        self.windows: dict[Kind, Window] = {}
        self.pending = 0
        self.gone = False


class Window:
    """One cooldown: when it ends, the urgency last sent, and what was suppressed since."""

    __slots__ = ("last", "listener", "queued", "suppressed", "until", "urgency")

    def __init__(self, listener: SubscriberCooldowns) -> None:
        self.listener = listener
        self.until = 0.0
        self.urgency = 0
        self.suppressed = 0
        self.last: Delivery | None = None
        self.queued = False
        """Whether this window is in the queue of late publications."""

    def keep(self, push: Delivery) -> None:
        """Keep a publication, and replace the one kept before."""
        self.listener.pending += self.last is None
        self.last = push

    def release(self) -> None:
        """Drop the kept publication."""
        self.listener.pending -= self.last is not None
        self.last = None

    def begin(self, until: float, urgency: int) -> int:
        """Start the cooldown again after a send. Returns how many publications were suppressed before it."""
        suppressed, self.suppressed = self.suppressed, 0
        self.until, self.urgency = until, urgency
        self.release()
        return suppressed

    @property
    def wanted(self) -> bool:
        """Whether a publication is kept and its subscriber has not left."""
        return self.last is not None and not self.listener.gone


def all_alike(_: Publication) -> int:
    """Return the same urgency for every publication."""
    return 0


class Cooldown:
    """The cooldowns of all subscribers of one channel, each `seconds` long.

    At most `remembered` kinds are stored per subscriber, the ones that began last. `urgency` ranks
    publications; without it all have the same rank. `admit` adds a window to its queue when the window
    keeps its first publication. It also adds a window that is removed from the store while it keeps one:
    then `until` is now.
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
        """Decide whether to send a push now. Returns None to suppress it, else the number suppressed before.

        With a `queue`, the last suppressed publication is kept until its cooldown ends.
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

    def record_written(self, listener: object, push: Push, queue: "Queue | None" = None) -> None:
        """Record a publication that is sent regardless of the cooldown, for example recovered history."""
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
        # Remove and add again: the order of the dictionary is the order in which cooldowns began.
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
        """Take the kept publication of a window for sending, and start the cooldown again."""
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
        """Remove a subscriber that left, with the publications kept for it."""
        held = self._listeners.pop(listener, None)
        if held is not None:
            held.gone = True
            for window in held.windows.values():
                window.release()


class Queue(Protocol):
    """The queue of windows that wait for their end."""

    def add(self, listener: object, window: Window, *, again: bool = False) -> None:
        """Schedule a check at the end of the window. A queued window is added once more only with `again`."""
