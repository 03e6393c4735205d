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


class House:
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
def house() -> House:
    """A wheel nobody waits in."""
    return House()


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.1, 0.25, 1.0, 25.0, 3600.0])
def test_wakes_in_time(house: House, seconds: float) -> None:
    """A sleeper is woken at its moment or at most two ticks after it, once."""
    alarm = Alarm()
    moment = house.after(alarm, seconds)
    house.clock.advance(seconds + 1)
    [(woken, late)] = alarm.woken
    assert moment <= woken <= moment + 2.001 * TICK
    assert not late


def test_moment_in_the_past_wakes_at_the_next_turn(house: House) -> None:
    """A moment that has passed is met at once, also by a wheel that has stood still for long."""
    house.clock.advance(500)
    alarm = Alarm()
    house.after(alarm, -100)
    house.clock.advance(2 * TICK)
    assert len(alarm.woken) == 1


def test_never_is_never(house: House) -> None:
    """A sleeper without a deadline costs nothing."""
    house.wheel.schedule_at(Alarm(), NEVER)
    assert len(house.wheel) == 0
    assert house.clock.pending == 0


def test_earlier_wish_wins(house: House) -> None:
    """Asking again for an earlier moment wakes at that moment, and not again at the old one."""
    alarm = Alarm()
    house.after(alarm, 10)
    moment = house.after(alarm, 2)
    house.clock.advance(20)
    assert len(alarm.woken) == 1
    assert alarm.times[0] == pytest.approx(moment, abs=2.001 * TICK)


def test_later_wish_is_free(house: House) -> None:
    """Asking for a later moment leaves the sleeper in its slot: it is woken early and looks itself."""
    alarm = Alarm()
    moment = house.after(alarm, 2)
    house.after(alarm, 10)
    assert len(house.wheel) == 1
    house.clock.advance(20)
    assert alarm.times == [pytest.approx(moment, abs=2.001 * TICK)]


def test_asking_again_and_again(house: House) -> None:
    """A sleeper that returns its next moment is woken for each of them."""
    alarm = Alarm(lambda now: now + 5)
    house.after(alarm, 5)
    house.clock.advance(26)
    assert len(alarm.woken) == 5


def test_past_return_is_met_in_the_next_turn(house: House) -> None:
    """A sleeper whose next moment has passed is woken each tick, and the loop goes on turning."""
    alarm = Alarm(lambda now: now - 1)
    house.after(alarm, 0)
    house.clock.advance(1)
    assert 9 <= len(alarm.woken) <= 11


def test_stands_still_when_nobody_waits(house: House) -> None:
    """A wheel with nobody in it has no timer, and turns again for the next sleeper."""
    house.after(Alarm(), 1)
    house.clock.advance(5)
    assert house.clock.pending == 0
    alarm = Alarm()
    house.after(alarm, 1)
    house.clock.advance(2)
    assert len(alarm.woken) == 1


def test_rest_is_no_delay(house: House) -> None:
    """The time in which nobody waited does not count as the loop having been held up."""
    house.after(Alarm(), 1)
    house.clock.advance(100)
    alarm = Alarm()
    house.after(alarm, 0.5)
    house.clock.advance(1)
    assert [late for _, late in alarm.woken] == [False]


def test_stall_is_told(house: House) -> None:
    """After the loop was held up, everybody due is woken in order and told that it was late."""
    alarms = [Alarm() for _ in range(3)]
    for seconds, alarm in zip((5, 1, 3), alarms, strict=True):
        house.after(alarm, seconds)
    house.clock.stall(60)
    house.clock.advance(TICK)
    assert [late for alarm in alarms for _, late in alarm.woken] == [True] * 3


def test_small_delay_is_no_stall(house: House) -> None:
    """A turn that comes less than a second late accuses nobody."""
    alarm = Alarm()
    house.after(alarm, 0.2)
    house.clock.stall(LATE - 2 * TICK)
    house.clock.advance(TICK)
    assert [late for _, late in alarm.woken] == [False]


def test_leap_over_many_slots(house: House) -> None:
    """A leap of a day wakes each sleeper once."""
    alarms = [Alarm() for _ in range(50)]
    for hours, alarm in enumerate(alarms):
        house.after(alarm, hours * 1800)
    house.clock.advance(86400)
    assert all(len(alarm.woken) == 1 for alarm in alarms[:48])
    assert len(house.wheel) == len([alarm for alarm in alarms if not alarm.woken])


def test_error_of_one_sleeper_is_its_own(house: House) -> None:
    """A sleeper that raises is reported, and the others of its slot are woken all the same."""
    error = RuntimeError("broken")

    def fail(_: float) -> float:
        raise error

    alarms = [Alarm(), Alarm(fail), Alarm(lambda now: now + 1)]
    for alarm in alarms:
        house.after(alarm, 1)
    house.clock.advance(3)
    assert house.errors == [error]
    assert [len(alarm.woken) for alarm in alarms] == [1, 1, 2]


def test_stop_wakes_nobody(house: House) -> None:
    """A wheel that was stopped wakes nobody and leaves no timer behind."""
    alarm = Alarm()
    house.after(alarm, 1)
    house.wheel.stop()
    house.wheel.stop()
    house.clock.advance(5)
    assert alarm.woken == []
    assert (len(house.wheel), house.clock.pending) == (0, 0)


def test_sleeping_again_from_within_a_turn(house: House) -> None:
    """A sleeper may ask for others while it is woken itself."""
    other = Alarm()

    def call(now: float) -> float:
        house.wheel.schedule_at(other, now + 1)
        return NEVER

    house.after(Alarm(call), 1)
    house.clock.advance(3)
    assert len(other.woken) == 1
