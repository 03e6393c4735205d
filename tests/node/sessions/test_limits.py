"""Limits as the node applies them to addresses and users."""

from collections.abc import Iterator
from io import StringIO

import pytest

from portward.model.errors import CommandError, ErrorKind
from portward.model.limits import LimitMode, LimitName, Rate
from portward.node.sessions.limits import Limiter
from portward.settings import Settings
from portward.telemetry import make_telemetry
from portward.telemetry.telemetry import Telemetry
from portward.testing import FakeClock


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    """Where refusals are counted."""
    telemetry = make_telemetry(Settings(), FakeClock(), StringIO())
    yield telemetry
    telemetry.close()


def counted(telemetry: Telemetry, name: LimitName, mode: LimitMode) -> float:
    """How often a limit was exceeded."""
    labels = {"limit": name.value, "mode": mode.value}
    found = telemetry.metrics.registry.get_sample_value("portward_limit_refusals_total", labels)
    return found or 0.0


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (LimitName.MESSAGES, ErrorKind.RATE_LIMITED),
        (LimitName.HISTORY, ErrorKind.RATE_LIMITED),
        (LimitName.AUTH, ErrorKind.AUTH_RATE_LIMITED),
        (LimitName.JOIN, ErrorKind.SUBSCRIBE_RATE_LIMITED),
    ],
)
def test_refusal_has_its_kind_and_time(
    telemetry: Telemetry, name: LimitName, kind: ErrorKind
) -> None:
    """Each limit is refused in its own words, with the milliseconds to wait, rounded up."""
    limiter = Limiter(name, Rate(2, 1.0, 1), telemetry)
    limiter.check(("user ann",), 10.0)
    with pytest.raises(CommandError) as caught:
        limiter.check(("user ann",), 10.2)
    assert caught.value.kind is kind
    assert caught.value.retry_after == 301
    limiter.check(("user ann",), 10.2 + caught.value.retry_after / 1000)
    assert counted(telemetry, name, LimitMode.ENFORCE) == 1


@pytest.mark.parametrize("times", [1, 2, 100])
def test_allowed_count(telemetry: Telemetry, times: int) -> None:
    """At once, twice or a hundred times the limit: as many pass as the burst and the time allow."""
    limiter = Limiter(LimitName.MESSAGES, Rate(60, 60.0, 60), telemetry)
    events = 60 * times
    passed = sum(not limiter.wait(("k",), 100 + 60 * n / events) for n in range(events))
    expected = 60 if times == 1 else 60 + 59
    assert abs(passed - expected) <= 1


def test_wide_bucket_of_an_ipv6_customer(telemetry: Telemetry) -> None:
    """Many /64 of one /48 together have sixteen times the room of one of them, and no more."""
    limiter = Limiter(LimitName.ATTEMPTS, Rate(4, 60.0, 4), telemetry)
    passed = sum(not limiter.wait((f"net{n % 100}", "wide"), 0.0) for n in range(1000))
    assert passed == 64


def test_observing_refuses_nobody(telemetry: Telemetry) -> None:
    """A limit that observes passes everything, counts, and never says to wait."""
    limiter = Limiter(LimitName.AUTH, Rate(1, 60.0, 1, LimitMode.OBSERVE), telemetry)
    for _ in range(3):
        limiter.check(("k", "wide"), 0.0)
    assert limiter.peek(("k",), 0.0) == 0.0
    assert counted(telemetry, LimitName.AUTH, LimitMode.OBSERVE) == 2


def test_peeking_does_not_count(telemetry: Telemetry) -> None:
    """Looking whether something would pass costs nothing."""
    limiter = Limiter(LimitName.AUTH, Rate(1, 60.0, 1), telemetry)
    assert [limiter.peek(("k",), 0.0) for _ in range(3)] == [0.0] * 3
    limiter.check(("k",), 0.0)
    assert limiter.peek(("k",), 0.0) == pytest.approx(60)


def test_no_limit(telemetry: Telemetry) -> None:
    """A rate of nothing limits nothing."""
    limiter = Limiter(LimitName.JOIN, Rate(0, 60.0, 1), telemetry)
    for _ in range(1000):
        limiter.check(("k",), 0.0)
