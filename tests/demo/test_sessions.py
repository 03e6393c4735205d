import re

import pytest

from portward.demo.people import User
from portward.demo.sessions import CookieSessions
from portward.testing.clock import FakeClock

ANN = User(email="ann@example.com", first_name="Ann", last_name="A", role="r")


@pytest.fixture
def clock() -> FakeClock:
    """A clock that leaps."""
    return FakeClock()


def test_tokens_are_random(clock: FakeClock) -> None:
    """Every session has a token of its own, of 256 bits."""
    sessions = CookieSessions(clock)
    tokens = {sessions.open(ANN) for _ in range(20)}
    assert len(tokens) == len(sessions) == 20
    assert all(re.fullmatch("[0-9a-f]{64}", token) for token in tokens)


def test_life_of_a_session(clock: FakeClock) -> None:
    """A session is known until it is too old, and then takes no room."""
    sessions = CookieSessions(clock, life=60.0)
    token = sessions.open(ANN)
    clock.advance(59.9)
    assert sessions.user(token) is ANN
    clock.advance(0.1)
    assert sessions.user(token) is None
    assert len(sessions) == 0


def test_end_of_a_session(clock: FakeClock) -> None:
    """A session that was closed is unknown, and closing it again does nothing."""
    sessions = CookieSessions(clock)
    token, other = sessions.open(ANN), sessions.open(ANN)
    sessions.close(token)
    sessions.close(token)
    assert sessions.user(token) is None
    assert sessions.user(other) is ANN


@pytest.mark.parametrize("token", ["", "x", "0" * 64, "\xff", "é" * 5000])
def test_unknown_token(clock: FakeClock, token: str) -> None:
    """What was never handed out is nobody's, whatever it is made of."""
    sessions = CookieSessions(clock)
    sessions.open(ANN)
    assert sessions.user(token) is None


def test_table_is_bounded(clock: FakeClock) -> None:
    """One session too many ends the oldest."""
    sessions = CookieSessions(clock, size=3)
    tokens = [sessions.open(ANN) for _ in range(5)]
    assert [sessions.user(token) is ANN for token in tokens] == [False, False, True, True, True]
    assert len(sessions) == 3


def test_tokens_are_not_kept(clock: FakeClock) -> None:
    """Only a hash of a token is held."""
    sessions = CookieSessions(clock)
    token = sessions.open(ANN)
    assert token.encode() not in sessions._open
    assert token not in repr(vars(sessions))
