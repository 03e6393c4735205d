"""The comparison of two checkouts."""

from pathlib import Path

import pytest

from bench import compare
from bench.compare import Line, main, summarise, table

UNITS = {"P1": "µs"}


def test_the_ratio_is_that_of_the_rounds() -> None:
    """Each round is compared with itself, so that a slow minute of the machine does not count."""
    old = {("P1", "portward (library)"): [10.0, 20.0, 10.0]}
    new = {("P1", "portward (library)"): [9.0, 18.0, 8.0]}
    (line,) = summarise(old, new, UNITS)
    assert line == Line("P1", "portward (library)", "µs", 10.0, 9.0, 0.9, 0.8, 0.9)
    assert "| P1 | portward (library) | 10.00 µs | 9.00 µs | 0.900 | 0.800 to 0.900 |" in table(
        [line]
    )


def test_what_one_side_has_not_is_left_out() -> None:
    """A contender that only one checkout knows cannot be compared."""
    old = {("P1", "a"): [1.0], ("P1", "b"): [1.0]}
    assert [line.contender for line in summarise(old, {("P1", "b"): [2.0]}, UNITS)] == ["b"]


def test_rounds_alternate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every second round begins with the newer checkout, and each figure has its rounds together."""
    asked: list[tuple[str, str]] = []

    def measure(checkout: Path, figure: str, *, quick: bool) -> tuple[str, dict[str, float]]:
        assert quick
        asked.append((checkout.name, figure))
        return "µs", {"portward": 1.0 if checkout.name == "old" else 2.0}

    monkeypatch.setattr(compare, "measure", measure)
    lines = compare.compare([Path("old"), Path("new")], ["P1", "P3"], 2, quick=True)
    order = ["old", "new", "new", "old"]
    assert asked == [(name, figure) for figure in ("P1", "P3") for name in order]
    assert [line.ratio for line in lines] == [2.0, 2.0]


def test_what_cannot_be_measured_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder without an environment is named, and one folder is not compared with itself."""
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    assert main([str(tmp_path / "old"), str(tmp_path / "new"), "P1"]) == 1
    assert str(tmp_path / "old") in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([str(tmp_path), str(tmp_path)])
