"""One wheel for every deadline of every connection: pings, expiry, idleness, handshakes, closing.

A sleeper asks to be woken at a moment and is woken at most two `TICK`s after it. It keeps the
number of the slot it waits in, so asking again for an earlier moment costs one dictionary entry and
no search, and asking for a later one costs nothing: it is woken early, looks at its deadlines and
asks again.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final, Protocol

from portward.model.clock import Clock, Timer

TICK: Final = 0.1
LATE: Final = 1.0
"""A turn of the loop that comes so many seconds late is the node's own fault, not the peers'."""
EARLY: Final = 0.001
"""A timer may come early by its resolution: it is never set again for no time at all."""
NEVER: Final = float("inf")
ASLEEP: Final = -1


class Timed(Protocol):
    """Something with deadlines."""

    slot: int
    """The slot it waits in; the wheel's own note, `ASLEEP` when it waits in none."""

    def fire(self, now: float, *, late: bool) -> float:
        """Act on what is due; return when to be woken next, in monotonic seconds, or `NEVER`.

        `late` tells that the loop itself was held up, so a peer's silence proves nothing.
        """


class TimerWheel:
    """Turns by the injected clock to the next slot somebody waits in. Errors go to `failed`."""

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
        """Wake `sleeper` at `moment` or soon after, unless it is to be woken earlier anyway."""
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
        """Wake nobody any more."""
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
