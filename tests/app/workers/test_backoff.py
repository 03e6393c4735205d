from hypothesis import given
from hypothesis import strategies as st

from portward.app.workers.backoff import FIRST, LONGEST, SOUND, RestartBackoff


def test_doubles_up_to_a_bound() -> None:
    """Each death waits twice as long as the one before, up to half a minute."""
    backoff = RestartBackoff()
    delays = [backoff.died(1.0, ready=True) for _ in range(9)]
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_minute_of_life_forgets() -> None:
    """Who lived for a minute is replaced as soon as the first time."""
    backoff = RestartBackoff()
    for _ in range(5):
        backoff.died(1.0, ready=True)
    assert backoff.died(SOUND, ready=True) == FIRST
    assert backoff.died(1.0, ready=True) == 2 * FIRST


def test_counts_deaths_before_ready() -> None:
    """Deaths before the worker was ready are counted in a row."""
    backoff = RestartBackoff()
    backoff.died(1.0, ready=False)
    backoff.died(1.0, ready=False)
    assert backoff.unready == 2
    backoff.died(1.0, ready=True)
    assert backoff.unready == 0


@given(st.lists(st.tuples(st.floats(0, 1e6), st.booleans())))
def test_always_within_bounds(lives: list[tuple[float, bool]]) -> None:
    """Whatever lives there were, the pause lies between half a second and half a minute."""
    backoff = RestartBackoff()
    for lived, ready in lives:
        assert FIRST <= backoff.died(lived, ready=ready) <= LONGEST
