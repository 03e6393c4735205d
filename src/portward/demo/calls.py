"""One simulated phone call: how well it is heard, how its people feel, what happens in it."""

from collections.abc import Iterator
from random import Random
from typing import Any, Final, TypeAlias

Report: TypeAlias = tuple[str, dict[str, Any]]
"""The name of an engine's event, and its payload."""

BEST: Final = 4.5
WORST: Final = 1.0
"""The ends of the MOS scale that a phone line can come to."""
GOOD: Final = (3.9, 4.4)
BAD: Final = (1.8, 3.2)
LENGTH: Final = (30, 120)
"""Steps a call lasts, between."""
SPELL: Final = (4, 12)
"""Steps a bad spell of the line lasts, between."""
_SPELLS: Final = 0.03
_HAPPENINGS: Final = 0.10
_TROUBLE: Final = 0.45
_PULL: Final = 0.3
_NOISE: Final = 0.12
_SENTIMENT_NOISE: Final = 0.15
EVENTS: Final = ("hold", "transfer", "silence", "overtalk", "keyword")
ANOMALIES: Final = ("packet_loss", "jitter_spike", "robotic_voice", "echo")


class SimulatedCall:
    """A random walk. It begins with `started`, ends with `ended`, and has bad spells between."""

    def __init__(self, call_id: str, random: Random) -> None:
        self.id = call_id
        self._random = random
        self._left = random.randint(*LENGTH)
        self._fresh = True
        self._usual = random.uniform(*GOOD)
        self._heading = self._usual
        self._spell = 0
        self.mos = self._usual
        self.sentiment = random.uniform(-0.2, 0.5)

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._left <= 0

    @property
    def spoilt(self) -> bool:
        """Whether the line is in a bad spell."""
        return self._spell > 0

    def step(self, now: int) -> Iterator[Report]:
        """Go on a little; yield what an engine reports of it at `now`, in Unix milliseconds."""
        self._left -= 1
        self._drift()
        kinds = ["started"] if self._fresh else []
        self._fresh = False
        if self._random.random() < _HAPPENINGS:
            kinds.append(self._random.choice(EVENTS))
        if self.over:
            kinds.append("ended")
        yield "result", self._result()
        if kinds:
            events = [{"type": kind, "timestamp": now} for kind in kinds]
            yield "events", {"callId": self.id, "events": events}
        if self.spoilt and self._random.random() < _TROUBLE:
            yield "anomalies", {"callId": self.id, "anomalies": [self._anomaly()]}

    def _drift(self) -> None:
        """Move towards where the line is heading, and the mood after the line."""
        random = self._random
        if self.spoilt:
            self._spell -= 1
        elif random.random() < _SPELLS:
            self._spell = random.randint(*SPELL)
            self._heading = random.uniform(*BAD)
        if not self.spoilt:
            self._heading = self._usual
        pulled = self.mos + _PULL * (self._heading - self.mos)
        self.mos = min(max(pulled + random.gauss(0, _NOISE), WORST), BEST)
        mood = self.sentiment - (0.08 if self.spoilt else -0.01)
        self.sentiment = min(max(mood + random.gauss(0, _SENTIMENT_NOISE), -1.0), 1.0)

    def _result(self) -> dict[str, Any]:
        lack = (BEST - self.mos) / (BEST - WORST)
        quality = {
            "mosScore": round(self.mos, 2),
            "jitterMs": round(4 + 60 * lack * self._random.uniform(0.7, 1.3), 1),
            "packetLossPercent": round(8 * lack * self._random.uniform(0.5, 1.2), 2),
        }
        return {
            "callId": self.id,
            "callQuality": quality,
            "sentiment": round(self.sentiment, 2),
        }

    def _anomaly(self) -> dict[str, Any]:
        confidence = round(self._random.uniform(0.55, 0.99), 2)
        return {"type": self._random.choice(ANOMALIES), "confidence": confidence}
