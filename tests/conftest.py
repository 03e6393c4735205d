"""What holds for every test: examples that repeat, and no test that is left out without notice."""

import gc
import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "repeatable",
    # Every run tries the same examples: one that fails was broken by the change that is tested.
    derandomize=True,
    # A busy machine is no fault of a test.
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=40,
)
settings.register_profile(
    "explore",
    settings.get_profile("repeatable"),
    derandomize=False,
    database=None,
    max_examples=2000,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

ALLOWED_SKIPS = ("this machine has no IPv6", "no IPv6 here:", "this Python has no IPv6")
"""Reasons to skip that no installed package can remove."""


def in_ci() -> bool:
    """Return whether this run gates a change."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def failed_by_skip(reason: str) -> str | None:
    """Return why a skip is a failure here; None where it may be skipped."""
    reason = reason.removeprefix("Skipped: ")
    if not in_ci() or reason.startswith(ALLOWED_SKIPS):
        return None
    return f"skipped, which is a failure when CI is set: {reason}"


def _reason(longrepr: object) -> str:
    """Return the reason of a skip, which pytest keeps behind the place of the test."""
    return str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect garbage neither while tests are found nor among what was found: it all stays to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failed one where that matters."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        failure = failed_by_skip(_reason(report.longrepr))
        if failure is not None:
            report.outcome = "failed"
            report.longrepr = failure
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a skipped file into a failed one where that matters."""
    report = yield
    if report.skipped:
        failure = failed_by_skip(_reason(report.longrepr))
        if failure is not None:
            report.outcome = "failed"
            report.longrepr = failure
    return report
