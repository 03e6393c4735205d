"""A budget for all: whole for one while there is plenty, shared fairly when it is short, bounded memory."""

import pytest

from portward.model.limits import Rate
from portward.security.fair_budget import FairBudget

RATE = Rate(2000, 1.0, 200)


def passed(budget: FairBudget, offered: dict[str, float], seconds: float) -> dict[str, float]:
    """Offer events evenly at so many a second for each key; the share of each that was allowed."""
    events = sorted(
        ((number + 0.37 + place / len(offered)) / rate, key)
        for place, (key, rate) in enumerate(offered.items())
        for number in range(int(seconds * rate))
    )
    counts = {key: [0, 0] for key in offered}
    for moment, key in events:
        counts[key][0] += 1
        counts[key][1] += not budget.take((key,), 100 + moment)
    return {key: allowed / tried for key, (tried, allowed) in counts.items() if tried}


@pytest.mark.parametrize("rate", [Rate(1, 1.0, 1), Rate(5, 1.0, 5), Rate(20, 10.0, 3)])
def test_never_more_than_the_rate(rate: Rate) -> None:
    """However many keys ask, no more than the burst and the rate are allowed."""
    budget = FairBudget(rate)
    allowed = sum(not budget.take((f"k{n}",), 50 + n / 100) for n in range(3000))
    assert abs(allowed - (rate.burst + 30 * rate.count / rate.period)) <= 1.5


def test_the_whole_budget_for_one() -> None:
    """Where nobody else asks, one key gets all there is."""
    share = passed(FairBudget(RATE), {"one": 3000}, 10)["one"]
    assert share == pytest.approx(2000 / 3000, abs=0.03)


def test_no_limit() -> None:
    """A rate of none allows everything, and keeps nothing."""
    budget = FairBudget(Rate(0, 1.0, 1))
    assert not any(budget.take((str(n),), 1.0) for n in range(1000))
    assert len(budget) == 0


def test_waiting_as_told_is_enough() -> None:
    """A key that waits as long as it was told is allowed, if nobody else took."""
    budget, now = FairBudget(Rate(10, 1.0, 10)), 5.0
    for _ in range(200):
        wait = budget.take(("one",), now)
        if wait:
            now += wait
            assert budget.peek(("one",), now) == 0.0
            assert budget.take(("one",), now) == 0.0
    assert now - 5.0 == pytest.approx(190 / 10, abs=1.5)


def test_peeking_takes_nothing() -> None:
    """Looking whether there is something leaves everything as it was."""
    budget = FairBudget(Rate(1, 1.0, 1))
    assert [budget.peek(("a",), 1.0) for _ in range(5)] == [0.0] * 5
    assert budget.take(("a",), 1.0) == 0.0
    assert budget.peek(("b",), 1.0) == pytest.approx(1.0)


def test_the_last_is_for_those_that_are_known() -> None:
    """When others have taken all they may, a known key finds something, however new the others are."""
    budget = FairBudget(Rate(500, 1.0, 500))
    assert sum(not budget.take((f"new{n}",), 1.0) for n in range(600)) == 475
    assert sum(not budget.take((f"known{n}",), 1.0, known=True) for n in range(50)) == 25
    assert budget.peek(("known",), 1.0, known=True) == pytest.approx(1 / 500)


@pytest.mark.parametrize("rate", [1.98, 4.0, 20.0])
def test_few_are_served_before_many_of_one_key(rate: float) -> None:
    """A thousand keys that take often leave enough for those who come seldom."""
    offered = {f"bad{n}": rate for n in range(1000)} | {f"good{n}": 0.2 for n in range(300)}
    shares = passed(FairBudget(RATE), offered, 10)
    good = [share for key, share in shares.items() if key.startswith("good")]
    assert sum(good) / len(good) >= 0.99
    bad = [share for key, share in shares.items() if key.startswith("bad")]
    assert sum(bad) / len(bad) == pytest.approx(min(1.0, 1.94 / rate), abs=0.05)


def test_equal_keys_get_equal_shares() -> None:
    """Of keys that ask for more than there is, those that ask for much get no more than the others."""
    offered = {f"much{n}": 500.0 for n in range(10)} | {f"less{n}": 250.0 for n in range(10)}
    shares = passed(FairBudget(RATE), offered, 20)
    rates = [share * offered[key] for key, share in shares.items()]
    assert max(rates) / min(rates) < 1.7


def test_an_ipv6_customer_is_few_keys() -> None:
    """The /64s of one /48 together get no more than sixteen others, however many there are."""
    budget = FairBudget(Rate(1000, 1.0, 100))
    allowed = {"many": 0, "others": 0}
    for tick in range(40_000):
        now = 10 + tick / 4000
        keys = (f"2001:db8:0:{tick % 3000:x}::/64", "2001:db8::/48")
        allowed["many"] += not budget.take(keys, now)
        allowed["others"] += not budget.take((f"192.0.2.{tick % 16}",), now)
    assert allowed["many"] / allowed["others"] < 1.6


def test_bounded_memory() -> None:
    """A flood of keys is forgotten again, those that took longest ago first."""
    budget = FairBudget(Rate(10**9, 1.0, 10**9), capacity=100)
    for number in range(10_000):
        budget.take((f"k{number}",), 1.0)
        budget.take(("always",), 1.0)
        assert len(budget) <= 101
    assert "always" in budget._used
