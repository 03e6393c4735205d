"""A simulated call-analysis engine, with the interface of a real one."""

from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Any, Final, TypeAlias

from portward.demo.simulations import Simulation
from portward.model.clock import Clock

Handler: TypeAlias = Callable[[Any], object]

CALLS: Final = 6
PACE: Final = (1.2, 1.8)
"""Seconds between two measurements of one call."""
PAUSE: Final = (2.0, 8.0)
"""Seconds between the end of a call and the next one in its place."""
TEAMS: Final = (1, 2)
"""The first digit of a call's number is its team, so that a right can be given by team."""
BEST: Final = 4.5
WORST: Final = 1.0
"""The ends of the MOS scale for a telephone line."""
_GOOD: Final = (3.9, 4.4)
_BAD: Final = (1.8, 3.2)
_LENGTH: Final = (30, 120)
"""Measurements in a call."""
_DISTURBANCE: Final = (4, 12)
"""Measurements in a disturbance of the line."""
_EVENT: Final = 0.1
_ANOMALY: Final = 0.45
_DISTURBED: Final = 0.03
"""Probabilities at each measurement: an event, an anomaly during a disturbance, a new disturbance."""
EVENTS: Final = ("hold", "transfer", "silence", "overtalk", "keyword")
ANOMALIES: Final = ("packet_loss", "jitter_spike", "robotic_voice", "echo")


class SimulatedCall:
    """One call: a random walk of its quality, with disturbances and events."""

    def __init__(self, call_id: str, random: Random) -> None:
        self.id = call_id
        self._random = random
        self._left = self._length = random.randint(*_LENGTH)
        self._disturbed = 0
        self._usual = self._target = self.mos = random.uniform(*_GOOD)
        self.sentiment = random.uniform(-0.2, 0.5)

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._left <= 0

    def step(self, now: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """Go on; yield the events of an engine with their payloads. `now` is in Unix milliseconds."""
        random = self._random
        kinds = ["started"] if self._left == self._length else []
        self._left -= 1
        self._walk()
        if random.random() < _EVENT:
            kinds.append(random.choice(EVENTS))
        if self.over:
            kinds.append("ended")
        yield "result", self._result()
        if kinds:
            events = [{"type": kind, "timestamp": now} for kind in kinds]
            yield "events", {"callId": self.id, "events": events}
        if self._disturbed and random.random() < _ANOMALY:
            confidence = round(random.uniform(0.55, 0.99), 2)
            anomaly = {"type": random.choice(ANOMALIES), "confidence": confidence}
            yield "anomalies", {"callId": self.id, "anomalies": [anomaly]}

    def _walk(self) -> None:
        """Move the quality towards its target, and the sentiment with the quality."""
        random = self._random
        if self._disturbed:
            self._disturbed -= 1
            if not self._disturbed:
                self._target = self._usual
        elif random.random() < _DISTURBED:
            self._disturbed = random.randint(*_DISTURBANCE)
            self._target = random.uniform(*_BAD)
        mos = self.mos + 0.3 * (self._target - self.mos) + random.gauss(0, 0.12)
        self.mos = min(max(mos, WORST), BEST)
        sentiment = self.sentiment - (0.08 if self._disturbed else -0.01)
        self.sentiment = min(max(sentiment + random.gauss(0, 0.15), -1.0), 1.0)

    def _result(self) -> dict[str, Any]:
        lack = (BEST - self.mos) / (BEST - WORST)
        quality = {
            "mosScore": round(self.mos, 2),
            "jitterMs": round(4 + 60 * lack * self._random.uniform(0.7, 1.3), 1),
            "packetLossPercent": round(8 * lack * self._random.uniform(0.5, 1.2), 2),
        }
        return {"callId": self.id, "callQuality": quality, "sentiment": round(self.sentiment, 2)}


class SimulatedEngine(Simulation):
    """Emits `result`, `events` and `anomalies` about several calls at once.

    Handlers are added with `on`, as in pyee's `EventEmitter`, and called with the payload.
    """

    def __init__(self, clock: Clock, random: Random) -> None:
        super().__init__(clock, random)
        self._handlers: dict[str, list[Handler]] = {}
        self._numbers = {team: team * 1000 + random.randint(10, 60) for team in TEAMS}
        self._calls: dict[int, SimulatedCall] = {}

    @property
    def calls(self) -> tuple[str, ...]:
        """The ids of the current calls."""
        return tuple(call.id for _, call in sorted(self._calls.items()))

    def on(self, event: str, handler: Handler) -> None:
        """Call `handler(payload)` whenever `event` is emitted."""
        self._handlers.setdefault(event, []).append(handler)

    def remove_listener(self, event: str, handler: Handler) -> None:
        """Do not call `handler` any more."""
        self._handlers[event].remove(handler)

    def start(self) -> None:
        """Begin the first calls, spread over the time of one measurement."""
        for place in range(CALLS):
            self.later(place, self.random.uniform(0, PACE[0]), partial(self._begin, place))

    def _begin(self, place: int) -> None:
        team = TEAMS[place % len(TEAMS)]
        self._numbers[team] += self.random.randint(1, 5)
        call = self._calls[place] = SimulatedCall(f"call-{self._numbers[team]}", self.random)
        self._measure(place, call)

    def _measure(self, place: int, call: SimulatedCall) -> None:
        reports = list(call.step(int(self.clock.time() * 1000)))
        # The next timer is started first: a handler that raises must not end the simulation.
        if call.over:
            del self._calls[place]
            self.later(place, self.random.uniform(*PAUSE), partial(self._begin, place))
        else:
            self.later(place, self.random.uniform(*PACE), partial(self._measure, place, call))
        for event, payload in reports:
            for handler in tuple(self._handlers.get(event, ())):
                handler(payload)
