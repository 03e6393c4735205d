from random import Random
from typing import Any

from portward.demo.simulations import (
    BREAK,
    HALF,
    LEAGUE,
    MINUTE,
    REFUNDS,
    SALES,
    SimulatedMatch,
    SimulatedShop,
)
from portward.testing.clock import FakeClock

WHOLE = (2 * HALF - 1) * MINUTE + BREAK
"""Seconds from the beginning of a match to its end."""


class Published:
    """What a simulation on a clock that leaps has published."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.random = Random(1)
        self.all: list[tuple[str, Any, str]] = []

    def __call__(self, channel: str, data: object, key: str) -> None:
        """Record a publication."""
        self.all.append((channel, data, key))

    def under(self, key: str) -> list[Any]:
        """Everything published under a key."""
        return [data for _, data, each in self.all if each == key]


def test_a_match_begins() -> None:
    """With a value for every key, so that a snapshot is whole."""
    found = Published()
    SimulatedMatch(found.clock, found.random, "live:event:42", found).start()
    assert [(channel, key) for channel, _, key in found.all] == [
        ("live:event:42", key) for key in ("score", "clock", "possession")
    ]
    score, clock, possession = (data for _, data, _ in found.all)
    assert tuple(side["team"] for side in score) in LEAGUE
    assert [side["goals"] for side in score] == [0, 0]
    assert clock == {"minute": 0, "phase": "first half"}
    assert possession == {"home": 50, "away": 50}


def test_course_of_a_match() -> None:
    """Every minute comes once, the phases in their order, goals one by one; then another match begins."""
    found = Published()
    SimulatedMatch(found.clock, found.random, "live:event:42", found).start()
    found.clock.advance(WHOLE)
    clocks = found.under("clock")
    assert [each["minute"] for each in clocks] == list(range(2 * HALF + 1))
    assert list(dict.fromkeys(each["phase"] for each in clocks)) == [
        "first half",
        "half-time",
        "second half",
        "full time",
    ]
    goals = [sum(side["goals"] for side in score) for score in found.under("score")]
    assert goals == list(range(len(goals)))
    assert all(each["home"] + each["away"] == 100 for each in found.under("possession"))
    found.clock.advance(BREAK)
    assert found.under("clock")[-1]["minute"] == 0


def test_a_shop() -> None:
    """Figures grow every few seconds; refunds are requested, each for another order and with a reason."""
    figures, requests = Published(), Published()
    shop = SimulatedShop(figures.clock, figures.random, figures, requests)
    shop.start()
    figures.clock.advance(max(20 * SALES, 2.5 * REFUNDS))
    orders = [each["orders"] for each in figures.under("figures")]
    assert len(orders) >= 20
    assert orders == sorted(orders)
    assert shop.figures["revenue"] >= 9 * orders[-1] > 0
    assert len({data["order"] for _, data, _ in requests.all}) == len(requests.all) == 3
    for workspace, data, title in requests.all:
        assert (workspace, bool(data["reason"])) == ("w1", True)
        assert title == f"Refund {data['amount']} € for order {data['order']}?"
    assert shop.act("refresh") == shop.figures == figures.all[-1][1]
    assert shop.act("reset") == {"orders": 0, "revenue": 0} == figures.all[-1][1]
    assert shop.act("close") is None


def test_stop() -> None:
    """A stopped simulation publishes nothing more and leaves no timer; stopping twice does nothing."""
    found = Published()
    match = SimulatedMatch(found.clock, found.random, "live:event:42", found)
    shop = SimulatedShop(found.clock, found.random, found, found)
    for each in (match, shop):
        each.start()
        each.stop()
        each.stop()
    count = len(found.all)
    assert found.clock.pending == 0
    found.clock.advance(60.0)
    assert len(found.all) == count
