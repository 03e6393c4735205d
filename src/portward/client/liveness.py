"""Detects dead connections: by silence, and at once after the machine has slept."""

from collections.abc import Callable
from typing import Final

from portward.model.clock import Clock, Timer

SILENCE: Final = 25.0
"""Seconds without a message after which a ping is sent."""
_PATIENCE: Final = 10.0
_PATIENCE_AFTER_SLEEP: Final = 2.0
_TICK: Final = 1.0
_JUMP: Final = 5.0
"""How much more than a tick the wall clock must have advanced for the machine to have slept."""


class LivenessMonitor:
    """Watches one connection from `start` to `stop`; `received` is called for every message."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ping: Callable[[], None] | None = None
        self._drop: Callable[[str], None] | None = None
        self._last = 0.0
        self._last_wall = 0.0
        self._silence: Timer | None = None
        self._deadline: Timer | None = None
        self._deadline_at = 0.0

    def start(self, ping: Callable[[], None], drop: Callable[[str], None]) -> None:
        """Watch a new connection: `ping` sends a ping, `drop` aborts the connection."""
        self._ping, self._drop = ping, drop
        self.received()
        self._arm(SILENCE)

    def stop(self) -> None:
        """Leave no timer."""
        self._ping = self._drop = None
        for timer in (self._silence, self._deadline):
            if timer is not None:
                timer.cancel()
        self._silence = self._deadline = None

    def received(self) -> None:
        """A message was received."""
        self._last = self._clock.monotonic()
        self._last_wall = self._clock.time()
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
            self._arm(SILENCE)

    def woke(self) -> None:
        """The machine has slept: probe a connection that is silent for long by the wall clock."""
        if self._ping is None or self._clock.time() - self._last_wall <= SILENCE:
            return
        self._probe(_PATIENCE_AFTER_SLEEP)

    def _arm(self, seconds: float) -> None:
        if self._silence is not None:
            self._silence.cancel()
        self._silence = self._clock.call_later(seconds, self._due)

    def _due(self) -> None:
        # The timer is not moved at every message: the rest of the time is computed here.
        left = self._last + SILENCE - self._clock.monotonic()
        if left > 0:
            self._arm(left)
        else:
            self._probe(_PATIENCE)

    def _probe(self, patience: float) -> None:
        if self._ping is None:
            return
        deadline = self._clock.monotonic() + patience
        if self._deadline is None:
            self._ping()
        elif deadline < self._deadline_at:
            self._deadline.cancel()  # a probe is in progress: its time is shortened, no second one is sent
        else:
            return
        self._deadline_at = deadline
        self._deadline = self._clock.call_later(patience, self._expired)

    def _expired(self) -> None:
        self._deadline = None
        if self._drop is not None:
            self._drop("no sign of life")


class SleepDetector:
    """Calls `woke` when the wall clock has advanced much more than the timers of the process."""

    def __init__(self, clock: Clock, woke: Callable[[], None]) -> None:
        self._clock = clock
        self._woke = woke
        self._timer: Timer | None = None
        self._wall = 0.0

    def start(self) -> None:
        """Look once a second from now on."""
        if self._timer is None:
            self._again()

    def stop(self) -> None:
        """Leave no timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _again(self) -> None:
        self._wall = self._clock.time()
        self._timer = self._clock.call_later(_TICK, self._look)

    def _look(self) -> None:
        slept = self._clock.time() - self._wall > _TICK + _JUMP
        self._again()
        if slept:
            self._woke()
