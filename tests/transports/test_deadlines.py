from portward.testing.clock import FakeClock
from portward.transports.deadlines import Deadlines


class Waiter:
    """Remembers when it was called."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.calls: list[float] = []

    def overdue(self) -> None:
        """Remember the time."""
        self.calls.append(self.clock.monotonic() - 1000.0)

    def abort(self) -> None:
        """Never happen."""
        raise AssertionError("deadlines never abort")


def test_each_waiter_is_called_once_at_its_own_time() -> None:
    """Everyone waits the same time from when it was added."""
    clock = FakeClock()
    deadlines: Deadlines[Waiter] = Deadlines(clock, 5.0)
    one, two = Waiter(clock), Waiter(clock)
    deadlines.add(one)
    clock.advance(2.0)
    deadlines.add(two)
    clock.advance(20.0)

    assert (one.calls, two.calls) == ([5.0], [7.0])
    assert len(deadlines) == 0
    assert clock.pending == 0


def test_adding_again_does_not_start_the_time_again() -> None:
    """A deadline is absolute."""
    clock = FakeClock()
    deadlines: Deadlines[Waiter] = Deadlines(clock, 5.0)
    waiter = Waiter(clock)
    deadlines.add(waiter)
    clock.advance(3.0)
    deadlines.add(waiter)
    clock.advance(10.0)

    assert waiter.calls == [5.0]


def test_who_was_removed_is_not_called() -> None:
    """Removing is enough, and removing a stranger is harmless."""
    clock = FakeClock()
    deadlines: Deadlines[Waiter] = Deadlines(clock, 5.0)
    one, two = Waiter(clock), Waiter(clock)
    deadlines.add(one)
    deadlines.add(two)
    deadlines.remove(one)
    deadlines.remove(one)
    assert deadlines.waiting() == [two]
    clock.advance(10.0)

    assert (one.calls, two.calls) == ([], [5.0])


def test_one_timer_serves_everyone() -> None:
    """The number of waiters does not show in the clock."""
    clock = FakeClock()
    deadlines: Deadlines[Waiter] = Deadlines(clock, 5.0)
    waiters = [Waiter(clock) for _ in range(100)]
    for waiter in waiters:
        deadlines.add(waiter)
        clock.advance(0.01)

    assert clock.pending == 1
    clock.advance(10.0)
    assert all(len(waiter.calls) == 1 for waiter in waiters)


def test_a_timer_that_comes_early_is_set_again() -> None:
    """A clock with a coarse timer does not make a deadline early, nor spin."""

    class Coarse(FakeClock):
        def call_later(self, delay, callback):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
            """Come a little early."""
            return super().call_later(max(delay - 0.0005, 0.0), callback)

    clock = Coarse()
    deadlines: Deadlines[Waiter] = Deadlines(clock, 5.0)
    waiter = Waiter(clock)
    deadlines.add(waiter)
    clock.advance(4.9999)
    assert waiter.calls == []
    clock.advance(1.0)

    assert len(waiter.calls) == 1


def test_stopping_forgets_everyone_and_the_timer() -> None:
    """After the end nothing is called."""
    clock = FakeClock()
    deadlines: Deadlines[Waiter] = Deadlines(clock, 5.0)
    waiter = Waiter(clock)
    deadlines.add(waiter)
    deadlines.stop()
    deadlines.stop()
    clock.advance(10.0)

    assert waiter.calls == []
    assert clock.pending == 0
