"""One wheel for every deadline of every connection: pings, expiry, idleness, handshakes, closing.

A sleeper asks to be woken at a moment and is woken at most two `TICK`s after it. It keeps the
number of the slot it waits in, so asking again for an earlier moment costs one dictionary entry and
no search, and asking for a later one costs nothing: it is woken early, looks at its deadlines and
asks again.
"""

from collections.abc import Callable
from typing import Final, Protocol

from portward.model.clock import Clock, Timer

TICK: Final = 0.1
LATE: Final = 1.0
"""A turn of the loop that comes so many seconds late is the node's own fault, not the peers'."""
NEVER: Final = float("inf")
ASLEEP: Final = -1


class Sleeper(Protocol):
    """Something with deadlines."""

    slot: int
    """The slot it waits in; the wheel's own note, `ASLEEP` when it waits in none."""

    def wake(self, now: float, *, late: bool) -> float:
        """Act on what is due; return when to be woken next, in monotonic seconds, or `NEVER`.

        `late` tells that the loop itself was held up, so a peer's silence proves nothing.
        """


class Wheel:
    """Turns by the injected clock while anybody waits. Errors of sleepers go to `failed`."""

    def __init__(self, clock: Clock, failed: Callable[[BaseException], None]) -> None:
        self._clock = clock
        self._failed = failed
        self._slots: dict[int, list[Sleeper]] = {}
        self._turned = int(clock.monotonic() / TICK)
        self._timer: Timer | None = None

    def __len__(self) -> int:
        return sum(len(slot) for slot in self._slots.values())

    def wake_at(self, sleeper: Sleeper, moment: float) -> None:
        """Wake `sleeper` at `moment` or soon after, unless it is to be woken earlier anyway."""
        if moment == NEVER:
            return
        if self._timer is None:
            self._turned = max(self._turned, int(self._clock.monotonic() / TICK))
            self._timer = self._clock.call_later(TICK, self._turn)
        slot = max(int(moment / TICK) + 1, self._turned + 1)
        if sleeper.slot != ASLEEP and sleeper.slot <= slot:
            return
        sleeper.slot = slot
        self._slots.setdefault(slot, []).append(sleeper)

    def stop(self) -> None:
        """Wake nobody any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._slots.clear()

    def _turn(self) -> None:
        now = self._clock.monotonic()
        target = int(now / TICK)
        late = (target - self._turned) * TICK > LATE
        due = []
        while self._turned < target:
            self._turned += 1
            due += [(self._turned, sleeper) for sleeper in self._slots.pop(self._turned, ())]
        self._timer = self._clock.call_later(TICK, self._turn) if self._slots or due else None
        for slot, sleeper in due:
            if sleeper.slot == slot:
                sleeper.slot = ASLEEP
                self._wake(sleeper, now, late=late)

    def _wake(self, sleeper: Sleeper, now: float, *, late: bool) -> None:
        try:
            self.wake_at(sleeper, sleeper.wake(now, late=late))
        except Exception as error:  # noqa: BLE001 - the other sleepers are woken all the same
            self._failed(error)
