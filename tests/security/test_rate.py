import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.model.limits import Rate
from portward.security.rate import ConcurrencyTable, RateTable, gcra

MINUTE = Rate(60, 60.0, 60)


def test_burst_passes_at_once_and_the_next_waits() -> None:
    """A key may spend its burst in one moment and then goes at the rate."""
    table = RateTable(MINUTE)
    assert [table.take("a", 100.0) for _ in range(60)] == [0.0] * 60
    assert table.take("a", 100.0) == pytest.approx(1.0)
    assert table.take("a", 100.5) == pytest.approx(0.5)
    assert table.take("a", 101.0) == 0.0
    assert table.take("a", 101.0) == pytest.approx(1.0)


def test_keys_do_not_touch_each_other() -> None:
    """One key's debt is nobody else's."""
    table = RateTable(Rate(1, 60.0, 1))
    assert table.take("a", 0.0) == 0.0
    assert table.take("b", 0.0) == 0.0
    assert table.take("a", 0.0) == pytest.approx(60.0)
    assert len(table) == 2


def test_refused_event_costs_nothing() -> None:
    """Hammering does not push the end of the wait away."""
    table = RateTable(Rate(1, 10.0, 1))
    table.take("a", 0.0)
    waits = [table.take("a", float(second)) for second in range(1, 10)]
    assert waits == pytest.approx([9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0])
    assert table.take("a", 10.0) == 0.0


def test_peek_says_what_take_would_and_counts_nothing() -> None:
    """Looking is free."""
    table = RateTable(Rate(1, 10.0, 1))
    assert table.peek("a", 5.0) == 0.0
    assert len(table) == 0
    table.take("a", 5.0)
    assert table.peek("a", 6.0) == pytest.approx(9.0)
    assert table.peek("a", 15.0) == 0.0


def test_cost_takes_several_at_once_but_never_more_than_a_full_bucket() -> None:
    """A dear event needs that much room; the dearest needs all of it."""
    table = RateTable(Rate(10, 10.0, 10))
    assert table.take("a", 0.0, 4) == 0.0
    assert table.take("a", 0.0, 7) == pytest.approx(1.0)
    assert table.take("a", 0.0, 6) == 0.0
    assert table.take("b", 0.0, 1000) == 0.0
    assert table.peek("b", 0.0, 1000) == pytest.approx(10.0)
    assert table.take("b", 1.0, 1000) == pytest.approx(9.0)


def test_count_of_zero_is_no_limit_and_keeps_no_state() -> None:
    """An unlimited rate never refuses."""
    table = RateTable(Rate(0, 60.0, 0))
    assert {table.take("a", 0.0) for _ in range(1000)} == {0.0}
    assert table.peek("a", 0.0) == 0.0
    assert len(table) == 0


def test_burst_of_zero_still_lets_one_through() -> None:
    """A limit without a burst is a limit, not an absent one."""
    table = RateTable(Rate(1, 10.0, 0))
    assert table.take("a", 0.0) == 0.0
    assert table.take("a", 0.0) == pytest.approx(10.0)


@pytest.mark.p0
@given(
    count=st.integers(1, 1000),
    burst=st.integers(1, 50),
    start=st.floats(0, 1e6),
    gaps=st.lists(st.floats(0, 3), min_size=1, max_size=200),
)
def test_never_more_than_burst_and_rate(
    count: int, burst: int, start: float, gaps: list[float]
) -> None:
    """In any stretch of time a key gets its burst and what the rate adds, give or take one."""
    table = RateTable(Rate(count, 60.0, burst))
    now = start
    passed: list[float] = []
    for gap in gaps:
        now += gap
        if table.take("k", now) == 0.0:
            passed.append(now)
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            earned = (passed[last] - passed[first]) * count / 60.0
            assert last - first + 1 <= burst + earned + 1


@pytest.mark.p0
@given(
    count=st.floats(0.1, 1000),
    burst=st.integers(1, 400),
    start=st.floats(0, 1e7),
    spent=st.integers(0, 500),
)
def test_wait_that_was_told_is_enough(count: float, burst: int, start: float, spent: int) -> None:
    """A client that comes back exactly when it was told gets through the first time."""
    table = RateTable(Rate(count, 1.0, burst))
    for _ in range(spent):
        table.take("k", start)
    wait = table.take("k", start)
    if wait:
        assert table.take("k", start + wait) == 0.0


@pytest.mark.p0
def test_table_never_outgrows_its_capacity() -> None:
    """A flood of new keys within one moment stays in bounds."""
    table = RateTable(MINUTE, capacity=100)
    for index in range(10_000):
        table.take(f"k{index}", 0.0)
        assert len(table) <= 100
    assert table.peek("k9999", 0.0, 60) > 0


@pytest.mark.p0
def test_paid_keys_are_dropped_before_any_other() -> None:
    """Keys that owe nothing make room; the one that does keeps its debt."""
    table = RateTable(Rate(1, 60.0, 10), capacity=100)
    for index in range(99):
        table.take(f"old{index}", 0.0)
    for _ in range(10):
        table.take("busy", 50.0)
    table.take("new", 61.0)
    assert len(table) == 101 - 99
    assert table.take("busy", 61.0) > 0


@pytest.mark.p0
@pytest.mark.parametrize("capacity", [1, 4, 100, 5000])
def test_indebted_key_outlives_a_flood(capacity: int) -> None:
    """Spraying addresses does not make the table forget who is at its limit."""
    table = RateTable(MINUTE, capacity=capacity)
    table.take("early", 0.0)
    for _ in range(60):
        table.take("offender", 0.0)
    for index in range(3 * capacity if capacity > 1 else 0):
        table.take(f"k{index}", 0.0)
    assert table.take("offender", 0.0) > 0


def test_oldest_goes_first_among_equals() -> None:
    """When all owe the same, the newest are kept."""
    table = RateTable(MINUTE, capacity=8)
    for index in range(9):
        table.take(f"k{index}", 0.0)
    assert table.peek("k0", 0.0, 60) == 0.0
    assert table.peek("k7", 0.0, 60) > 0
    assert table.peek("k8", 0.0, 60) > 0


def test_table_shrinks_by_itself() -> None:
    """Keys that went away leave nothing behind, without anyone sweeping."""
    table = RateTable(Rate(1, 1.0, 1))
    for index in range(50_000):
        table.take(f"k{index}", float(index))
    assert len(table) <= 1100
    table.sweep(1e9)
    assert len(table) == 0


def test_gcra_keeps_its_state_with_the_caller() -> None:
    """One float of a connection is its whole limit."""
    tat = 0.0
    for _ in range(20):
        tat, wait = gcra(tat, 1000.0, 0.1, 20)
        assert wait == 0.0
    refused, wait = gcra(tat, 1000.0, 0.1, 20)
    assert refused == tat
    assert wait == pytest.approx(0.1)
    assert gcra(tat, 1000.1, 0.1, 20)[1] == 0.0
    assert gcra(0.0, 0.0, 0.0, 0)[1] == 0.0


def test_concurrency_stops_at_the_limit_and_comes_back() -> None:
    """As many as allowed, and one more after one was given back."""
    table = ConcurrencyTable()
    assert table.acquire("a", 2)
    assert table.acquire("a", 2)
    assert not table.acquire("a", 2)
    assert table.acquire("b", 2)
    table.release("a")
    assert table.acquire("a", 2)
    assert table.count("a") == 2


def test_concurrency_without_a_limit_only_counts() -> None:
    """Zero is no limit."""
    table = ConcurrencyTable()
    assert all(table.acquire("a", 0) for _ in range(1000))
    assert table.count("a") == 1000


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc")), max_size=100))
def test_concurrency_is_never_negative_and_forgets_at_zero(steps: list[tuple[bool, str]]) -> None:
    """Whatever the order of taking and giving back, counts match a plain model."""
    table = ConcurrencyTable()
    model = dict.fromkeys("abc", 0)
    for take, key in steps:
        if take and table.acquire(key, 3):
            model[key] += 1
        elif not take:
            table.release(key)
            model[key] = max(0, model[key] - 1)
    assert {key: table.count(key) for key in "abc"} == model
    assert len(table) == sum(1 for held in model.values() if held)
