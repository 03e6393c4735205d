"""The queue of publications that a cooldown suppressed and that are sent when it ends.

One heap per node, checked by one deadline of the hub on the timer wheel: there is no timer per publication
or per subscriber.
"""

from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any, Final, Generic, NamedTuple, TypeVar

from portward.hub.cooldown import Window

S = TypeVar("S")
NEVER: Final = float("inf")
_ENTRIES: Final = 1024
"""Heap size above which entries without a kept publication are removed."""


class Due(NamedTuple, Generic[S]):
    """A window that may have ended, with the channel state and the subscriber it belongs to."""

    state: S
    listener: Any
    window: Window


class LateQueue(Generic[S]):
    """The heap of windows. `next` is when the first of them is due, in monotonic seconds."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Due[S]]] = []
        self._number = count()
        self._limit = _ENTRIES

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next(self) -> float:
        """The moment of the first check, `NEVER` without one."""
        return self._heap[0][0] if self._heap else NEVER

    def of(self, state: S) -> "ChannelQueue[S]":
        """Return the queue for the cooldown of one channel."""
        return ChannelQueue(self, state)

    def put(self, due: Due[S], moment: float) -> None:
        """Add a check of a window at `moment` or soon after."""
        due.window.queued = True
        heappush(self._heap, (moment, next(self._number), due))
        if len(self._heap) > self._limit:
            self._tidy()

    def take(self, now: float) -> list[Due[S]]:
        """Remove and return what is due."""
        due: list[Due[S]] = []
        while self._heap and self._heap[0][0] <= now:
            entry = heappop(self._heap)[2]
            window = entry.window
            if window.wanted and window.until > now:
                self.put(entry, window.until)  # a more urgent publication was sent meanwhile
                continue
            window.queued = False
            if window.wanted:
                due.append(entry)
        return due

    def _tidy(self) -> None:
        """Remove entries whose window keeps nothing, so that kept publications bound the size of the heap."""
        kept = [entry for entry in self._heap if entry[2].window.wanted]
        for entry in self._heap:
            entry[2].window.queued = entry[2].window.wanted
        heapify(kept)
        self._heap = kept
        self._limit = max(_ENTRIES, 2 * len(kept))


class ChannelQueue(Generic[S]):
    """The queue for one channel; implements `hub.cooldown.Queue`."""

    __slots__ = ("_queue", "_state")

    def __init__(self, queue: LateQueue[S], state: S) -> None:
        self._queue = queue
        self._state = state

    def add(self, listener: object, window: Window, *, again: bool = False) -> None:
        """Schedule a check at the end of the window. A queued window is added once more only with `again`."""
        if again or not window.queued:
            self._queue.put(Due(self._state, listener, window), window.until)
