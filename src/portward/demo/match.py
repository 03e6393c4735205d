"""A simulated football match that goes on for ever: kick-off, half-time, final whistle, the next one."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Final, TypeAlias

from portward.model.clock import Clock, Timer

Publish: TypeAlias = Callable[[str, object, str], None]
"""Takes a channel, the data and its key; does not wait."""

MINUTE: Final = 2.0
"""Seconds that a minute of the match takes."""
BREAK: Final = 8.0
"""Seconds of half-time, and between two matches."""
HALF: Final = 45
_GOALS: Final = 0.03
_SWING: Final = 4.0
_LEAST: Final = 25.0
Pairs: TypeAlias = Sequence[tuple[str, str]]
"""Who plays whom."""

LEAGUE: Final[Pairs] = (
    ("Harbour United", "Mill City"),
    ("Northgate Rovers", "Castle Park"),
    ("Riverside Athletic", "Old Bridge"),
)
TRAINING: Final[Pairs] = (("First team", "Reserves"),)


class SimulatedMatch:
    """Publishes in `channel`, under the keys `score`, `clock` and `possession`, while it is started."""

    def __init__(
        self,
        clock: Clock,
        random: Random,
        channel: str,
        publish: Publish,
        *,
        pairs: Pairs = LEAGUE,
    ) -> None:
        self._clock = clock
        self._random = random
        self._channel = channel
        self._publish = publish
        self._timer: Timer | None = None
        self._minute = 0
        self._goals = [0, 0]
        self._pairs = pairs
        self._teams = pairs[0]
        self._held = 50.0

    def start(self) -> None:
        """Kick off."""
        self._minute, self._goals, self._held = 0, [0, 0], 50.0
        self._teams = self._random.choice(self._pairs)
        self._tell_score()
        self._tell_clock("first half")
        self._tell_possession()
        self._later(MINUTE, self._play)

    def stop(self) -> None:
        """Publish no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _later(self, delay: float, what: Callable[[], None]) -> None:
        self._timer = self._clock.call_later(delay, what)

    def _play(self) -> None:
        self._minute += 1
        self._held += self._random.gauss(0, _SWING)
        self._held = min(max(self._held, _LEAST), 100 - _LEAST)
        if self._random.random() < _GOALS:
            self._score()
        self._tell_possession()
        if self._minute == HALF:
            self._tell_clock("half-time")
            self._later(BREAK, self._play)
        elif self._minute >= 2 * HALF:
            self._tell_clock("full time")
            self._later(BREAK, self.start)
        else:
            self._tell_clock("first half" if self._minute < HALF else "second half")
            self._later(MINUTE, self._play)

    def _score(self) -> None:
        """Who has the ball more scores more."""
        away = self._random.uniform(0, 100) > self._held
        self._goals[away] += 1
        self._tell_score()

    def _tell_score(self) -> None:
        (home, away), (ours, theirs) = self._teams, self._goals
        score = [{"team": home, "goals": ours}, {"team": away, "goals": theirs}]
        self._publish(self._channel, score, "score")

    def _tell_clock(self, phase: str) -> None:
        self._publish(self._channel, {"minute": self._minute, "phase": phase}, "clock")

    def _tell_possession(self) -> None:
        home = round(self._held)
        self._publish(self._channel, {"home": home, "away": 100 - home}, "possession")
