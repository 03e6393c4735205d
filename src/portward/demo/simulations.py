"""Simulated football matches for the live endpoint, and a simulated shop for the workspaces endpoint."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from random import Random
from typing import Final, TypeAlias

from portward.model.clock import Clock, Timer

Publish: TypeAlias = Callable[[str, object, str], None]
"""Takes a channel or room, the data, and a key or the name of an event; does not wait."""

MINUTE: Final = 2.0
"""Seconds that a minute of a match takes."""
BREAK: Final = 8.0
"""Seconds of half-time, and between two matches."""
HALF: Final = 45
LEAGUE: Final = (
    ("Harbour United", "Mill City"),
    ("Northgate Rovers", "Castle Park"),
    ("Riverside Athletic", "Old Bridge"),
)
TRAINING: Final = (("First team", "Reserves"),)
_GOALS: Final = 0.03
_SWING: Final = 4.0
_LEAST: Final = 25.0

WORKSPACE: Final = "w1"
SALES: Final = 2.0
"""Seconds between two figures."""
REFUNDS: Final = 20.0
"""Seconds between two requests for approval."""
DECISION: Final = 180.0
"""Seconds in which a request can be decided."""
_FIRST: Final = 3.0
_REASONS: Final = ("arrived broken", "never arrived", "ordered twice", "wrong size")
_AMOUNTS: Final = (9, 120)


class Simulation(ABC):
    """Something that happens by timers, between `start` and `stop`."""

    def __init__(self, clock: Clock, random: Random) -> None:
        self.clock = clock
        self.random = random
        self._timers: dict[object, Timer] = {}

    @abstractmethod
    def start(self) -> None:
        """Start the first timers."""

    def stop(self) -> None:
        """Stop all timers."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def later(self, name: object, delay: float, what: Callable[[], None]) -> None:
        """Call `what` after `delay` seconds; each name has one timer."""
        self._timers[name] = self.clock.call_later(delay, what)


class SimulatedMatch(Simulation):
    """Publishes the keys `score`, `clock` and `possession` of one match after another."""

    def __init__(
        self,
        clock: Clock,
        random: Random,
        channel: str,
        publish: Publish,
        teams: tuple[tuple[str, str], ...] = LEAGUE,
    ) -> None:
        super().__init__(clock, random)
        self._channel = channel
        self._publish = publish
        self._teams = teams

    def start(self) -> None:
        """Begin a match."""
        self._minute, self._goals, self._held = 0, [0, 0], 50.0
        self._playing = self.random.choice(self._teams)
        self._show_score()
        self._show("clock", minute=0, phase="first half")
        self._show("possession", home=50, away=50)
        self.later("match", MINUTE, self._play)

    def _play(self) -> None:
        self._minute += 1
        swung = self._held + self.random.gauss(0, _SWING)
        self._held = min(max(swung, _LEAST), 100 - _LEAST)
        if self.random.random() < _GOALS:
            self._goals[self.random.uniform(0, 100) > self._held] += 1
            self._show_score()
        home = round(self._held)
        self._show("possession", home=home, away=100 - home)
        phase, delay, following = "first half", MINUTE, self._play
        if self._minute == HALF:
            phase, delay = "half-time", BREAK
        elif self._minute >= 2 * HALF:
            phase, delay, following = "full time", BREAK, self.start
        elif self._minute > HALF:
            phase = "second half"
        self._show("clock", minute=self._minute, phase=phase)
        self.later("match", delay, following)

    def _show_score(self) -> None:
        pairs = zip(self._playing, self._goals, strict=True)
        score = [{"team": team, "goals": goals} for team, goals in pairs]
        self._publish(self._channel, score, "score")

    def _show(self, key: str, **data: object) -> None:
        self._publish(self._channel, data, key)


class SimulatedShop(Simulation):
    """Emits the figures of a shop to its dashboard, and requests approval of refunds."""

    def __init__(self, clock: Clock, random: Random, emit: Publish, request: Publish) -> None:
        super().__init__(clock, random)
        self._emit = emit
        self._request = request
        self._order = 1000
        self._orders = self._revenue = 0

    @property
    def figures(self) -> dict[str, int]:
        """The current figures."""
        return {"orders": self._orders, "revenue": self._revenue}

    def start(self) -> None:
        """Begin to sell, and to request refunds."""
        self.later("sale", SALES, self._sell)
        self.later("refund", _FIRST, self._refund)

    def act(self, action: str) -> dict[str, int] | None:
        """Carry out a user's action, `reset` or `refresh`; returns the figures, None for another action."""
        if action == "reset":
            self._orders = self._revenue = 0
        elif action != "refresh":
            return None
        self._show()
        return self.figures

    def _show(self) -> None:
        self._emit(f"workspace:{WORKSPACE}:dashboard", self.figures, "figures")

    def _sell(self) -> None:
        for _ in range(self.random.randint(0, 3)):
            self._orders += 1
            self._revenue += self.random.randint(*_AMOUNTS)
        self._show()
        self.later("sale", SALES, self._sell)

    def _refund(self) -> None:
        self._order += self.random.randint(1, 9)
        amount, why = self.random.randint(*_AMOUNTS), self.random.choice(_REASONS)
        data = {"order": self._order, "amount": amount, "reason": why}
        self._request(WORKSPACE, data, f"Refund {amount} € for order {self._order}?")
        self.later("refund", REFUNDS, self._refund)
