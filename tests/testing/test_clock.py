"""Time that leaps only when told to."""

from collections.abc import Callable

from portward.model.clock import Clock
from portward.testing import FakeClock


def test_stands_still() -> None:
    """Without a leap no time passes, on either reading."""
    clock: Clock = FakeClock(wall=5_000.0)
    assert (clock.monotonic(), clock.time()) == (clock.monotonic(), 5_000.0)


def test_leaps() -> None:
    """A leap moves both readings by as much."""
    clock = FakeClock()
    before = clock.monotonic(), clock.time()
    clock.advance(2.5)
    assert (clock.monotonic() - before[0], clock.time() - before[1]) == (2.5, 2.5)


def test_calls_in_order_at_their_moments() -> None:
    """On the way of a leap calls are made in the order of their moments, each at its own."""
    clock = FakeClock()
    calls: list[tuple[float, float]] = []
    start = clock.monotonic()

    def call(delay: float) -> Callable[[], None]:
        return lambda: calls.append((delay, clock.monotonic() - start))

    for delay in (3.0, 1.0, 2.0, 1.0):
        clock.call_later(delay, call(delay))
    clock.advance(2.0)
    assert calls == [(1.0, 1.0), (1.0, 1.0), (2.0, 2.0)]
    assert clock.pending == 1
    clock.advance(1.0)
    assert calls[-1] == (3.0, 3.0)


def test_calls_that_call() -> None:
    """A call may ask for another, which is made in the same leap when it is due."""
    clock, calls = FakeClock(), []

    def again() -> None:
        calls.append(clock.monotonic())
        clock.call_later(1.0, again)

    clock.call_later(1.0, again)
    clock.advance(5.5)
    assert len(calls) == 5


def test_cancelled_call() -> None:
    """A call that was taken back is not made; taking it back later is harmless."""
    clock, calls = FakeClock(), []
    timer = clock.call_later(1.0, lambda: calls.append(1))
    timer.cancel()
    kept = clock.call_later(1.0, lambda: calls.append(2))
    clock.advance(2.0)
    kept.cancel()
    assert (calls, clock.pending) == ([2], 0)


def test_stall() -> None:
    """A stall passes time without a call; what is due is made at the next leap."""
    clock, calls = FakeClock(), []
    clock.call_later(1.0, lambda: calls.append(clock.monotonic()))
    before = clock.monotonic()
    clock.stall(10.0)
    assert calls == []
    clock.advance(0.0)
    assert calls == [before + 10.0]


def test_wall_clock_alone() -> None:
    """The wall clock can be set without time passing."""
    clock = FakeClock()
    before = clock.monotonic()
    clock.set_wall(42.0)
    clock.advance(1.0)
    assert (clock.time(), clock.monotonic() - before) == (43.0, 1.0)


def test_past_is_now() -> None:
    """A call asked for in the past is made at once."""
    clock, calls = FakeClock(), []
    clock.call_later(-5.0, lambda: calls.append(clock.monotonic()))
    before = clock.monotonic()
    clock.advance(0.0)
    assert calls == [before]
