from random import Random
from typing import Any

from portward.demo.match import BREAK, HALF, MINUTE, SimulatedMatch
from portward.testing.clock import FakeClock

WHOLE = (2 * HALF - 1) * MINUTE + BREAK
"""Seconds from kick-off to the final whistle."""


class Watched:
    """A match on a clock that leaps, and everything it published."""

    def __init__(self, seed: int = 1) -> None:
        self.clock = FakeClock()
        self.told: list[tuple[str, Any]] = []
        self.match = SimulatedMatch(self.clock, Random(seed), "live:event:42", self._publish)

    def _publish(self, channel: str, data: object, key: str) -> None:
        assert channel == "live:event:42"
        self.told.append((key, data))

    def under(self, key: str) -> list[Any]:
        """Everything published under a key."""
        return [data for each, data in self.told if each == key]


def test_kick_off() -> None:
    """A match begins with a value for every key, so that a snapshot is whole."""
    watched = Watched()
    watched.match.start()
    assert [key for key, _ in watched.told] == ["score", "clock", "possession"]
    score, clock, possession = (data for _, data in watched.told)
    assert [side["goals"] for side in score] == [0, 0]
    assert score[0]["team"] != score[1]["team"]
    assert clock == {"minute": 0, "phase": "first half"}
    assert possession == {"home": 50, "away": 50}


def test_who_plays() -> None:
    """The teams are among those that were asked for."""
    told: list[object] = []
    pairs = [("a", "b"), ("c", "d")]
    match = SimulatedMatch(
        FakeClock(), Random(1), "live:x", lambda _, data, __: told.append(data), pairs=pairs
    )
    for _ in range(20):
        match.start()
        match.stop()
    played = {(each[0]["team"], each[1]["team"]) for each in told if isinstance(each, list)}
    assert played == set(pairs)


def test_course_of_a_match() -> None:
    """The clock goes through every minute once, with the phases in their order."""
    watched = Watched()
    watched.match.start()
    watched.clock.advance(WHOLE)
    clocks = watched.under("clock")
    assert [each["minute"] for each in clocks] == list(range(2 * HALF + 1))
    phases = list(dict.fromkeys(each["phase"] for each in clocks))
    assert phases == ["first half", "half-time", "second half", "full time"]
    assert all(each["home"] + each["away"] == 100 for each in watched.under("possession"))
    assert all(25 <= each["home"] <= 75 for each in watched.under("possession"))


def test_scores_grow_by_one() -> None:
    """Every score is the one before it and one goal more; over some matches both sides score."""
    sides: set[int] = set()
    for seed in range(10):
        watched = Watched(seed)
        watched.match.start()
        watched.clock.advance(WHOLE)
        before = [0, 0]
        for score in watched.under("score")[1:]:
            now = [side["goals"] for side in score]
            grown = [later - earlier for earlier, later in zip(before, now, strict=True)]
            assert sorted(grown) == [0, 1]
            sides.add(grown.index(1))
            before = now
    assert sides == {0, 1}


def test_next_match() -> None:
    """After the final whistle another match begins by itself."""
    watched = Watched()
    watched.match.start()
    watched.clock.advance(WHOLE + BREAK)
    assert watched.told[-3][0] == "score"
    assert watched.under("clock")[-1] == {"minute": 0, "phase": "first half"}
    assert watched.clock.pending == 1


def test_stop() -> None:
    """A stopped match publishes nothing more; stopping twice does nothing."""
    watched = Watched()
    watched.match.stop()
    watched.match.start()
    watched.match.stop()
    watched.match.stop()
    assert watched.clock.pending == 0
    watched.clock.advance(60.0)
    assert len(watched.told) == 3


def test_same_seed_same_match() -> None:
    """The same random numbers play the same match."""
    first, same, other = Watched(4), Watched(4), Watched(5)
    for each in (first, same, other):
        each.match.start()
        each.clock.advance(WHOLE)
    assert first.told == same.told != other.told
