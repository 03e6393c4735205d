import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.identity.breaker import FAILURES, LONGEST, SHORTEST, Breaker, Permit


def fail(breaker: Breaker, now: float, times: int = 1) -> None:
    """So many calls that fail, one after the other."""
    for _ in range(times):
        permit = breaker.enter(now)
        assert permit is not None
        breaker.failed(permit, now)


@pytest.fixture
def breaker() -> Breaker:
    """A circuit nothing has happened in."""
    return Breaker()


@pytest.fixture
def opened(breaker: Breaker) -> Breaker:
    """A circuit that opened at second 0."""
    fail(breaker, 0.0, FAILURES)
    return breaker


def test_calls_pass_at_first(breaker: Breaker) -> None:
    """A circuit begins closed."""
    assert breaker.closed
    assert not breaker.refuses(0.0)
    assert breaker.enter(0.0) is not None


def test_opens_at_the_tenth_failure(breaker: Breaker) -> None:
    """One failure fewer in a row leaves it closed."""
    fail(breaker, 0.0, 9)
    assert not breaker.refuses(0.0)
    fail(breaker, 0.0)
    assert not breaker.closed
    assert breaker.refuses(0.0)
    assert breaker.enter(4.9) is None


def test_success_begins_the_row_anew(breaker: Breaker) -> None:
    """Only failures in a row count."""
    fail(breaker, 0.0, FAILURES - 1)
    breaker.succeeded()
    fail(breaker, 0.0, FAILURES - 1)
    assert breaker.closed


def test_withdrawn_calls_do_not_count(breaker: Breaker) -> None:
    """A call that says nothing neither adds to the row nor ends it."""
    fail(breaker, 0.0, FAILURES - 1)
    permit = breaker.enter(0.0)
    assert permit is not None
    breaker.withdrawn(permit)
    assert breaker.closed
    fail(breaker, 0.0)
    assert not breaker.closed


def test_one_probe_passes(opened: Breaker) -> None:
    """After the pause one call is let through, and no second while it lasts."""
    assert opened.enter(SHORTEST) is not None
    assert opened.refuses(SHORTEST)
    assert opened.enter(1000.0) is None


def test_success_of_the_probe_closes(opened: Breaker) -> None:
    """All pass again, and the next pause is as short as the first."""
    opened.enter(SHORTEST)
    opened.succeeded()
    assert opened.closed
    fail(opened, 10.0, FAILURES)
    assert opened.enter(10.0 + SHORTEST) is not None


def test_failed_probes_double_the_pause(opened: Breaker) -> None:
    """Each pause is twice the one before, and never longer than a minute."""
    now, pauses = SHORTEST, []
    for _ in range(6):
        fail(opened, now)
        pause = next(second for second in range(1, 100) if not opened.refuses(now + second))
        pauses.append(pause)
        now += pause
    assert pauses == [10, 20, 40, 60, 60, 60]
    assert pauses[-1] == LONGEST


def test_withdrawn_probe_gives_way_to_another(opened: Breaker) -> None:
    """When a probe says nothing, the next call is one, without a new pause."""
    permit = opened.enter(SHORTEST)
    assert permit is not None
    opened.withdrawn(permit)
    assert not opened.closed
    assert opened.enter(SHORTEST) is not None


def test_late_failures_are_no_failed_probe(breaker: Breaker) -> None:
    """Calls begun before the circuit opened do not prolong the pause, nor end the probe."""
    late = breaker.enter(0.0)
    assert late is not None
    fail(breaker, 0.0, FAILURES)
    breaker.failed(late, 4.0)
    probe = breaker.enter(SHORTEST)
    assert probe is not None
    breaker.failed(late, SHORTEST)
    breaker.withdrawn(late)
    assert breaker.enter(SHORTEST) is None


def test_late_success_closes(breaker: Breaker) -> None:
    """A call begun before the circuit opened, and answered, shows that the service is there."""
    assert breaker.enter(0.0) is not None
    fail(breaker, 0.0, FAILURES)
    breaker.succeeded()
    assert breaker.closed


def test_probe_overtaken_by_a_success_is_a_call_like_others(opened: Breaker) -> None:
    """When it fails after all that is the first failure of a row."""
    probe = opened.enter(SHORTEST)
    assert probe is not None
    opened.succeeded()
    opened.failed(probe, SHORTEST)
    assert opened.closed
    fail(opened, SHORTEST, FAILURES - 2)
    assert opened.closed
    fail(opened, SHORTEST)
    assert not opened.closed


@given(st.lists(st.sampled_from(["enter", "succeeded", "failed", "withdrawn", "wait"])))
def test_never_more_than_one_call_while_open(steps: list[str]) -> None:
    """Whatever happens, an open circuit has one probe out at most, and never stays shut for good."""
    breaker, now, probes = Breaker(), 0.0, 0
    out: list[tuple[Permit, bool]] = []
    for step in steps * 4:
        if step == "wait":
            now += 3.0
        elif step == "enter":
            was_open = not breaker.closed
            permit = breaker.enter(now)
            if permit is not None:
                out.append((permit, was_open))
        elif out:
            permit, _ = out.pop()
            if step == "succeeded":
                breaker.succeeded()
                out = [(each, False) for each, _ in out]
            elif step == "failed":
                breaker.failed(permit, now)
            else:
                breaker.withdrawn(permit)
        probes = sum(probe for _, probe in out)
        assert probes <= 1
    if not probes:
        assert breaker.enter(now + LONGEST) is not None
