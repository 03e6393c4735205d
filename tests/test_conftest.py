"""The rules of `conftest.py`, tried in runs of pytest of their own."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parent.parent
SKIPS = """
import pytest

def test_inside():
    pytest.skip("redis-server is not on PATH")

@pytest.mark.skip(reason="not today")
def test_marked():
    pass

@pytest.fixture
def missing():
    pytest.skip("chromium is not installed")

def test_by_a_fixture(missing):
    pass

def test_without_ipv6():
    pytest.skip("this machine has no IPv6")

@pytest.mark.xfail(reason="known", strict=True)
def test_known():
    assert False

def test_runs():
    pass
"""
MODULE = """
import pytest
pytest.skip("no such library", allow_module_level=True)
"""


def run(folder: Path, text: str, **environment: str) -> str:
    """Run a file of tests with the rules of this folder; returns what was printed."""
    (folder / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (folder / "test_it.py").write_text(text)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)],
        capture_output=True, text=True, check=False, cwd=folder,
        env={"PATH": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment},
    )  # fmt: skip
    return ran.stdout


def test_skips_are_failures_in_ci(tmp_path: Path) -> None:
    """With CI set a skipped test fails, with its reason; what no package can bring may be missing."""
    printed = run(tmp_path, SKIPS, CI="true")
    assert "1 failed, 1 passed, 1 skipped, 1 xfailed, 2 errors" in printed
    for reason in ("redis-server is not on PATH", "not today", "chromium is not installed"):
        assert f"skipped, which is a failure when CI is set: {reason}" in printed


@pytest.mark.parametrize("environment", [{}, {"CI": ""}, {"CI": "false"}])
def test_elsewhere_they_are_skips(tmp_path: Path, environment: dict[str, str]) -> None:
    """On a machine of a developer a test that needs more than there is, is left out."""
    assert "1 passed, 4 skipped, 1 xfailed" in run(tmp_path, SKIPS, **environment)


def test_files_that_are_skipped_fail_in_ci(tmp_path: Path) -> None:
    """A file that skips itself while it is imported is a failure with CI set."""
    assert "failure when CI is set: no such library" in run(tmp_path, MODULE, CI="true")
    assert "1 skipped" in run(tmp_path, MODULE)


SEEN: list[int] = []


@given(st.integers())
def seen(number: int) -> None:
    """Remember an example."""
    SEEN.append(number)


def test_examples_repeat() -> None:
    """Two runs of one property try the same examples, however slow the machine is."""
    assert hypothesis_settings.default is not None
    assert hypothesis_settings.default.deadline is None
    seen()
    first = SEEN[:]
    SEEN.clear()
    seen()
    assert first == SEEN != []
