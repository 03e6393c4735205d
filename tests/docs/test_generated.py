"""The generated pages follow from the code."""

import pytest

from docs import generate
from portward.telemetry.events import Event
from portward.telemetry.fields import FIELDS


def test_pages_are_up_to_date() -> None:
    """Every generated page says what the code says; `make docs` makes it so."""
    assert generate.stale() == []


def test_every_event_has_a_meaning() -> None:
    """A docstring stands below the row of every event; the words beside the fields cover all of them."""
    assert set(generate.meanings(Event)) == set(Event.__members__)
    assert set(generate.FIELD_MEANINGS) == FIELDS


def test_check_passes_when_nothing_is_stale(capsys: pytest.CaptureFixture[str]) -> None:
    """With `--check` and pages up to date, nothing is said and the exit code is 0."""
    assert generate.main(["--check"]) == 0
    assert capsys.readouterr().out == ""


def test_check_names_a_stale_page(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With `--check` and a page out of date, its name is said and the exit code is 1."""
    monkeypatch.setitem(generate.PAGES, "reference/metrics.md", lambda: "something else")
    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().out == "docs/reference/metrics.md: out of date\n"


def test_a_bar_does_not_end_a_cell() -> None:
    """A vertical bar inside a cell is escaped, so the table keeps its columns."""
    assert generate.table(["a"], [["x|y"]]) == "| a |\n| --- |\n| x&#124;y |"
