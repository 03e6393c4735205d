from collections.abc import Callable

import pytest

from portward.telemetry.lag import LoopLag
from portward.testing.clock import FakeClock

Ticks = list[tuple[float, float]]


@pytest.fixture
def ticks() -> Ticks:
    """What was told at each look."""
    return []


def noting(ticks: Ticks) -> Callable[[float, float], None]:
    """A tick that keeps what it is given."""
    return lambda late, jump: ticks.append((late, jump))


@pytest.fixture
def clock() -> FakeClock:
    """Time that leaps."""
    return FakeClock()


@pytest.fixture
def lag(clock: FakeClock, ticks: Ticks) -> LoopLag:
    """A started watch."""
    lag = LoopLag(clock)
    lag.start(noting(ticks))
    return lag


def test_a_loop_in_time_is_not_late(clock: FakeClock, lag: LoopLag, ticks: Ticks) -> None:
    """It looks twice a second."""
    clock.advance(2.0)
    assert ticks == [(0.0, 0.0)] * 4
    assert lag.last == 0.0


def test_a_loop_held_up_is_late_by_so_much(clock: FakeClock, lag: LoopLag, ticks: Ticks) -> None:
    """And in time again afterwards."""
    clock.stall(2.5)
    clock.advance(0.0)
    assert lag.last == pytest.approx(2.0)
    clock.advance(0.5)
    assert lag.last == 0.0
    assert [late for late, _ in ticks] == [pytest.approx(2.0), 0.0]


def test_a_clock_that_is_moved_is_noticed_once(
    clock: FakeClock, lag: LoopLag, ticks: Ticks
) -> None:
    """An hour forward and back; less than two seconds is ordinary correction."""
    clock.set_wall(clock.time() + 3600)
    clock.advance(1.0)
    clock.set_wall(clock.time() - 3600)
    clock.advance(0.5)
    clock.set_wall(clock.time() + 1.5)
    clock.advance(0.5)
    assert [jump for _, jump in ticks] == [pytest.approx(3600), 0.0, pytest.approx(-3600), 0.0]
    assert lag.last == 0.0


def test_it_stops_and_starts_again(clock: FakeClock, lag: LoopLag, ticks: Ticks) -> None:
    """Either may be repeated."""
    lag.start(noting(ticks))
    assert clock.pending == 1
    lag.stop()
    lag.stop()
    clock.advance(5.0)
    assert ticks == []
    lag.start(noting(ticks))
    clock.advance(0.5)
    assert len(ticks) == 1
