"""Deadlines are met within two ticks, whatever the clock and the sleepers do."""

from collections.abc import Callable

import pytest

from portward.node.sessions.timer_wheel import ASLEEP, LATE, NEVER, TICK, TimerWheel
from portward.testing import FakeClock


class Alarm:
    """A sleeper that notes when it was woken; `again` says when it wants to be woken next."""

    def __init__(self, again: Callable[[float], float] = lambda _: NEVER) -> None:
        self.slot = ASLEEP
        self.woken: list[tuple[float, bool]] = []
        self._again = again

    def fire(self, now: float, *, late: bool) -> float:
        """Note it."""
        self.woken.append((now, late))
        return self._again(now)

    @property
    def times(self) -> list[float]:
        """When it was woken."""
        return [now for now, _ in self.woken]


class WheelSetup:
    """A wheel, its clock and its errors."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.errors: list[BaseException] = []
        self.wheel = TimerWheel(self.clock, self.errors.append)

    def after(self, sleeper: Alarm, seconds: float) -> float:
        """Ask for a sleeper to be woken; returns the moment."""
        moment = self.clock.monotonic() + seconds
        self.wheel.schedule_at(sleeper, moment)
        return moment


@pytest.fixture
def setup() -> WheelSetup:
    """A wheel nobody waits in."""
    return WheelSetup()


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.1, 0.25, 1.0, 25.0, 3600.0])
def test_wakes_in_time(setup: WheelSetup, seconds: float) -> None:
    """A sleeper is woken at its moment or at most two ticks after it, once."""
    alarm = Alarm()
    moment = setup.after(alarm, seconds)
    setup.clock.advance(seconds + 1)
    [(woken, late)] = alarm.woken
    assert moment <= woken <= moment + 2.001 * TICK
    assert not late


def test_moment_in_the_past_wakes_at_the_next_turn(setup: WheelSetup) -> None:
    """A moment that has passed is met at once, also by a wheel that has stood still for long."""
    setup.clock.advance(500)
    alarm = Alarm()
    setup.after(alarm, -100)
    setup.clock.advance(2 * TICK)
    assert len(alarm.woken) == 1


def test_never_is_never(setup: WheelSetup) -> None:
    """A sleeper without a deadline costs nothing."""
    setup.wheel.schedule_at(Alarm(), NEVER)
    assert len(setup.wheel) == 0
    assert setup.clock.pending == 0


def test_earlier_wish_wins(setup: WheelSetup) -> None:
    """Asking again for an earlier moment wakes at that moment, and not again at the old one."""
    alarm = Alarm()
    setup.after(alarm, 10)
    moment = setup.after(alarm, 2)
    setup.clock.advance(20)
    assert len(alarm.woken) == 1
    assert alarm.times[0] == pytest.approx(moment, abs=2.001 * TICK)


def test_later_wish_is_free(setup: WheelSetup) -> None:
    """Asking for a later moment leaves the sleeper in its slot: it is woken early and looks itself."""
    alarm = Alarm()
    moment = setup.after(alarm, 2)
    setup.after(alarm, 10)
    assert len(setup.wheel) == 1
    setup.clock.advance(20)
    assert alarm.times == [pytest.approx(moment, abs=2.001 * TICK)]


def test_asking_again_and_again(setup: WheelSetup) -> None:
    """A sleeper that returns its next moment is woken for each of them."""
    alarm = Alarm(lambda now: now + 5)
    setup.after(alarm, 5)
    setup.clock.advance(26)
    assert len(alarm.woken) == 5


def test_past_return_is_met_in_the_next_turn(setup: WheelSetup) -> None:
    """A sleeper whose next moment has passed is woken each tick, and the loop goes on turning."""
    alarm = Alarm(lambda now: now - 1)
    setup.after(alarm, 0)
    setup.clock.advance(1)
    assert 9 <= len(alarm.woken) <= 11


def test_stands_still_when_nobody_waits(setup: WheelSetup) -> None:
    """A wheel with nobody in it has no timer, and turns again for the next sleeper."""
    setup.after(Alarm(), 1)
    setup.clock.advance(5)
    assert setup.clock.pending == 0
    alarm = Alarm()
    setup.after(alarm, 1)
    setup.clock.advance(2)
    assert len(alarm.woken) == 1


def test_rest_is_no_delay(setup: WheelSetup) -> None:
    """The time in which nobody waited does not count as the loop having been held up."""
    setup.after(Alarm(), 1)
    setup.clock.advance(100)
    alarm = Alarm()
    setup.after(alarm, 0.5)
    setup.clock.advance(1)
    assert [late for _, late in alarm.woken] == [False]


def test_stall_is_told(setup: WheelSetup) -> None:
    """After the loop was held up, everybody due is woken in order and told that it was late."""
    alarms = [Alarm() for _ in range(3)]
    for seconds, alarm in zip((5, 1, 3), alarms, strict=True):
        setup.after(alarm, seconds)
    setup.clock.stall(60)
    setup.clock.advance(TICK)
    assert [late for alarm in alarms for _, late in alarm.woken] == [True] * 3


def test_small_delay_is_no_stall(setup: WheelSetup) -> None:
    """A turn that comes less than a second late accuses nobody."""
    alarm = Alarm()
    setup.after(alarm, 0.2)
    setup.clock.stall(LATE - 2 * TICK)
    setup.clock.advance(TICK)
    assert [late for _, late in alarm.woken] == [False]


def test_leap_over_many_slots(setup: WheelSetup) -> None:
    """A leap of a day wakes each sleeper once."""
    alarms = [Alarm() for _ in range(50)]
    for hours, alarm in enumerate(alarms):
        setup.after(alarm, hours * 1800)
    setup.clock.advance(86400)
    assert all(len(alarm.woken) == 1 for alarm in alarms[:48])
    assert len(setup.wheel) == len([alarm for alarm in alarms if not alarm.woken])


def test_error_of_one_sleeper_is_its_own(setup: WheelSetup) -> None:
    """A sleeper that raises is reported, and the others of its slot are woken all the same."""
    error = RuntimeError("broken")

    def fail(_: float) -> float:
        raise error

    alarms = [Alarm(), Alarm(fail), Alarm(lambda now: now + 1)]
    for alarm in alarms:
        setup.after(alarm, 1)
    setup.clock.advance(3)
    assert setup.errors == [error]
    assert [len(alarm.woken) for alarm in alarms] == [1, 1, 2]


def test_stop_wakes_nobody(setup: WheelSetup) -> None:
    """A wheel that was stopped wakes nobody and leaves no timer behind."""
    alarm = Alarm()
    setup.after(alarm, 1)
    setup.wheel.stop()
    setup.wheel.stop()
    setup.clock.advance(5)
    assert alarm.woken == []
    assert (len(setup.wheel), setup.clock.pending) == (0, 0)


def test_sleeping_again_from_within_a_turn(setup: WheelSetup) -> None:
    """A sleeper may ask for others while it is woken itself."""
    other = Alarm()

    def call(now: float) -> float:
        setup.wheel.schedule_at(other, now + 1)
        return NEVER

    setup.after(Alarm(call), 1)
    setup.clock.advance(3)
    assert len(other.woken) == 1
