import pytest

from portward.client.backoff import Backoff


@pytest.mark.parametrize(
    ("attempt", "delay"), [(0, 0.5), (1, 1.0), (3, 4.0), (6, 30.0), (999, 30.0)]
)
def test_range_doubles_up_to_the_longest(attempt: int, delay: float) -> None:
    """The widest wait doubles with each attempt and stops at the longest."""
    assert Backoff(draw=lambda: 1.0).delay(attempt) == delay


def test_any_moment_of_the_range() -> None:
    """The wait is as much of the range as was drawn."""
    assert Backoff(first=8.0, draw=lambda: 0.25).delay(0) == 2.0


def test_draws_by_itself() -> None:
    """Without a draw of its own the wait is somewhere in the range."""
    assert 0 <= Backoff().delay(2) <= 2.0
