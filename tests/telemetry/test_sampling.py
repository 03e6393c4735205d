from portward.telemetry.events import Event
from portward.telemetry.sampling import Sampler
from portward.testing.clock import FakeClock


def test_so_many_a_second_and_no_more() -> None:
    """The limit holds for each event by itself, and afresh each second."""
    clock = FakeClock()
    sampler = Sampler(2, clock.monotonic)
    assert [sampler.admits(Event.AUTH_FAIL) for _ in range(4)] == [True, True, False, False]
    assert sampler.admits(Event.AUTH_OK)
    clock.stall(1.0)
    assert [sampler.admits(Event.AUTH_FAIL) for _ in range(3)] == [True, True, False]


def test_what_was_left_out_is_told_once_when_its_second_is_over() -> None:
    """Nothing is told of a second that still runs."""
    clock = FakeClock()
    sampler = Sampler(1, clock.monotonic)
    for _ in range(5):
        sampler.admits(Event.AUTH_FAIL)
    sampler.admits(Event.AUTH_OK)
    assert sampler.over() == {}
    clock.stall(1.0)
    assert sampler.over() == {Event.AUTH_FAIL: 4}
    assert sampler.over() == {}


def test_counts_of_several_seconds_add_up() -> None:
    """A flood that goes on between two looks loses no count."""
    clock = FakeClock()
    sampler = Sampler(1, clock.monotonic)
    for _ in range(3):
        for _ in range(10):
            sampler.admits(Event.AUTH_FAIL)
        clock.stall(1.0)
    assert sampler.over() == {Event.AUTH_FAIL: 27}


def test_at_the_end_everything_is_told() -> None:
    """The second that still runs is not waited for."""
    sampler = Sampler(1, FakeClock().monotonic)
    for _ in range(3):
        sampler.admits(Event.AUTH_FAIL)
    assert sampler.over(everything=True) == {Event.AUTH_FAIL: 2}
