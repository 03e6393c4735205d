"""A simulated call-analysis engine: what an application would connect in its place looks the same."""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, Final, TypeAlias, TypeVar

from portward.demo.calls import SimulatedCall
from portward.model.clock import Clock, Timer

Handler: TypeAlias = Callable[[Any], object]
H = TypeVar("H", bound=Handler)

CALLS: Final = 6
PACE: Final = (1.2, 1.8)
"""Seconds between two measurements of one call."""
PAUSE: Final = (2.0, 8.0)
"""Seconds until the next call begins on a line where one has ended."""
TEAMS: Final = (1, 2)
"""The first digit of a call's number says whose it is, so that a right can be given by team."""


class SimulatedEngine:
    """Emits `result`, `events` and `anomalies` about `calls` calls at once, while it is started.

    Handlers are added with `on`, as in pyee's `EventEmitter`, and called with the payload. The same
    `random` on the same clock tells the same story.
    """

    def __init__(self, clock: Clock, random: Random, *, calls: int = CALLS) -> None:
        self._clock = clock
        self._random = random
        self._handlers: dict[str, list[Handler]] = {}
        self._numbers = {team: team * 1000 + random.randint(10, 60) for team in TEAMS}
        self._count = calls
        self._lines: dict[int, SimulatedCall] = {}
        self._timers: dict[int, Timer] = {}

    @property
    def calls(self) -> tuple[str, ...]:
        """The ids of the calls under way."""
        return tuple(self._lines[line].id for line in sorted(self._lines))

    def on(self, event: str, handler: H) -> H:
        """Call `handler(payload)` whenever `event` is emitted."""
        self._handlers.setdefault(event, []).append(handler)
        return handler

    def remove_listener(self, event: str, handler: Handler) -> None:
        """Call `handler` no more.

        Raises:
            KeyError: it was not called for this event.
        """
        try:
            self._handlers[event].remove(handler)
        except ValueError:
            raise KeyError(event) from None

    def emit(self, event: str, payload: dict[str, Any]) -> bool:
        """Hand `payload` to everyone who listens to `event`; False when nobody does."""
        handlers = tuple(self._handlers.get(event, ()))
        for handler in handlers:
            handler(payload)
        return bool(handlers)

    def start(self) -> None:
        """Let the first calls begin, spread over the time of one measurement."""
        for line in range(self._count):
            self._later(line, self._random.uniform(0, PACE[0]), partial(self._begin, line))

    def stop(self) -> None:
        """Fall silent."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _later(self, line: int, delay: float, what: Callable[[], None]) -> None:
        self._timers[line] = self._clock.call_later(delay, what)

    def _begin(self, line: int) -> None:
        team = TEAMS[line % len(TEAMS)]
        self._numbers[team] += self._random.randint(1, 5)
        call = self._lines[line] = SimulatedCall(f"call-{self._numbers[team]}", self._random)
        self._measure(line, call)

    def _measure(self, line: int, call: SimulatedCall) -> None:
        reports = list(call.step(int(self._clock.time() * 1000)))
        # What comes next is settled first: a handler that fails ends nothing.
        if call.over:
            del self._lines[line]
            self._later(line, self._random.uniform(*PAUSE), partial(self._begin, line))
        else:
            self._later(line, self._random.uniform(*PACE), partial(self._measure, line, call))
        for event, payload in reports:
            self.emit(event, payload)
