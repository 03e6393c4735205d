"""One timer wheel for all deadlines of all connections: pings, expiry, idleness, handshakes, closing.

An object is called at most two `TICK`s after its moment. It stores the number of its slot. Scheduling it
for an earlier moment adds one dictionary entry without a search; scheduling it for a later one costs
nothing: it is called too early, checks its deadlines, and returns its next moment.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final, Protocol

from portward.model.clock import Clock, Timer

TICK: Final = 0.1
LATE: Final = 1.0
"""When the wheel turns this many seconds late, the event loop of the node was blocked."""
EARLY: Final = 0.001
"""The shortest timer in seconds: a timer may fire early by its resolution, and a zero delay would spin."""
NEVER: Final = float("inf")
ASLEEP: Final = -1


class Timed(Protocol):
    """An object with deadlines."""

    slot: int
    """The slot it waits in, set by the wheel; `ASLEEP` when it waits in none."""

    def fire(self, now: float, *, late: bool) -> float:
        """Act on passed deadlines; return the next moment in monotonic seconds, or `NEVER`.

        `late` means that the event loop was blocked, so missing messages of a peer prove nothing.
        """


class TimerWheel:
    """Turns to the next used slot by the injected clock. Errors go to `failed`."""

    def __init__(self, clock: Clock, failed: Callable[[BaseException], None]) -> None:
        self._clock = clock
        self._failed = failed
        self._slots: dict[int, list[Timed]] = {}
        self._order: list[int] = []
        self._next = 0
        self._timer: Timer | None = None
        self._turning = False

    def __len__(self) -> int:
        return sum(len(slot) for slot in self._slots.values())

    def schedule_at(self, sleeper: Timed, moment: float) -> None:
        """Schedule `sleeper` at `moment` or soon after, unless it is already scheduled earlier."""
        if moment == NEVER:
            return
        slot = int(max(moment, self._clock.monotonic()) / TICK) + 1
        if sleeper.slot != ASLEEP and sleeper.slot <= slot:
            return
        sleeper.slot = slot
        waiting = self._slots.get(slot)
        if waiting is not None:
            waiting.append(sleeper)
            return
        self._slots[slot] = [sleeper]
        heappush(self._order, slot)
        if not self._turning and (self._timer is None or slot < self._next):
            self._set_timer()

    def stop(self) -> None:
        """Drop all entries and stop the timer."""
        self._slots.clear()
        self._order.clear()
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._order:
            self._next = self._order[0]
            left = self._next * TICK - self._clock.monotonic()
            self._timer = self._clock.call_later(max(left, EARLY), self._turn)

    def _turn(self) -> None:
        now = self._clock.monotonic()
        late = now - self._next * TICK > LATE
        self._turning = True
        while self._order and self._order[0] * TICK <= now:
            slot = heappop(self._order)
            for sleeper in self._slots.pop(slot):
                # Another number: it was scheduled again for an earlier slot, and this entry is out of date.
                if sleeper.slot == slot:
                    sleeper.slot = ASLEEP
                    self._wake(sleeper, now, late=late)
        self._turning = False
        self._set_timer()

    def _wake(self, sleeper: Timed, now: float, *, late: bool) -> None:
        try:
            self.schedule_at(sleeper, sleeper.fire(now, late=late))
        except Exception as error:  # noqa: BLE001 - the other sleepers are woken all the same
            self._failed(error)
