import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import report
from bench.chart import chart
from bench.figure import Figure, Reach, Rounds, Row, at_most, below, flat, rounds, table
from bench.processes import BenchError
from bench.servers import NotInstalledError

FLOOR = Row("floor", (4.0, 5.0, 6.0), 1.0)
OURS = Row("portward", (6.0, 6.0, 6.6), 1.2, ours=True)


def figure(*reaches: Reach) -> Figure:
    """A small figure."""
    return Figure("P1", "fan-out <paced>", "µs", "floor", (FLOOR, OURS), reaches, ("nats: absent",))


def failing(error: Exception) -> float:
    """Stands for a contender that cannot be measured."""
    raise error


def test_the_value_of_a_row_is_its_median_run() -> None:
    """One wild run does not move the value."""
    assert Row("ours", (1.0, 2.0, 90.0)).value == 2.0


def test_ratios_are_taken_round_by_round() -> None:
    """A run is compared with the base of its own round, and the median of these ratios counts."""
    rows = table({"base": [1.0, 2.0, 4.0], "ours": [2.0, 4.0, 4.0]}, "base", ours=("ours",))
    assert [(row.ratio, row.ours) for row in rows] == [(1.0, False), (2.0, True)]


def test_rounds_are_interleaved() -> None:
    """Every contender is measured once before any is measured again."""
    order: list[str] = []

    def measure(name: str) -> float:
        order.append(name)
        return 1.0

    rounds("P0", {"a": lambda: measure("a"), "b": lambda: measure("b")}, 2)
    assert order == ["a", "b", "a", "b"]


def test_what_is_not_installed_is_told_apart_from_what_broke() -> None:
    """A peer that is absent is missing; one that does something else than asked has failed."""
    result = rounds(
        "P0",
        {
            "absent": lambda: failing(NotInstalledError("no such program")),
            "broken": lambda: failing(BenchError("lost a message")),
            "well": lambda: 1.0,
        },
        2,
    )
    assert result == Rounds(
        {"well": [1.0, 1.0]}, ["absent: no such program"], ["broken: lost a message"]
    )


@pytest.mark.parametrize(("value", "met"), [(1.35, True), (1.36, False), (None, None)])
def test_a_limit_is_met_at_or_under_it(value: float | None, met: bool | None) -> None:
    """The limit itself is within reach; what was not measured is not judged."""
    assert at_most("at most 1.35", value, 1.35, "of the floor").met is met


def test_below_compares_with_the_least_of_the_peers() -> None:
    """One cheaper peer is enough to miss."""
    dear, cheap = Row("dear", (9.0,)), Row("cheap", (5.0,))
    assert below(OURS, [dear], "µs").met is True
    assert below(OURS, [dear, cheap], "µs").met is False
    assert below(OURS, [], "µs").met is None


def test_flat_allows_the_given_share_between_any_two_sizes() -> None:
    """The largest value may be a fifth over the smallest, whichever sizes they belong to."""
    assert flat("flat", {"10": 1.2, "100": 1.0, "1000": 1.1}, 0.2).met is True
    assert flat("flat", {"10": 1.0, "100": 1.21}, 0.2).met is False
    assert flat("flat", {"10": 1.0}, 0.2).met is None


def test_the_summary_says_met_or_missed() -> None:
    """The table holds what was wanted, what was measured, and a verdict."""
    lines = report.summary([figure(Reach("≤ 1", "0.9", True), Reach("≤ 2", "2.1", False))])
    assert lines[2] == "| P1 | fan-out <paced> | ≤ 1 | 0.9 | met |"
    assert lines[3] == "|  |  | ≤ 2 | 2.1 | missed |"


def test_the_chart_is_well_formed() -> None:
    """The drawing parses as XML, has one bar a row, and marks ours."""
    root = ElementTree.fromstring(chart([figure(), figure()]))  # noqa: S314 - made just above
    bars = [each.get("class") for each in root.iter("{http://www.w3.org/2000/svg}rect")]
    assert bars == ["sheet", "bar", "bar ours", "bar", "bar ours"]


def test_results_survive_a_round_trip_through_json() -> None:
    """What is written as JSON is read back as the same figures."""
    figures, about = [figure(Reach("≤ 1", "0.9", None))], {"cores": "2"}
    text = json.dumps(report.as_data(figures, about))
    assert report.from_data(json.loads(text)) == (figures, about)


def test_the_results_are_put_between_the_marks_of_a_page(tmp_path: Path) -> None:
    """What stands around the marks stays, what stood between them goes."""
    results, page = tmp_path / "results.json", tmp_path / "page.md"
    results.write_text(json.dumps(report.as_data([figure()], {"cores": "2"})))
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.fill(page, results)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| floor | 5.00 | 1.00 |" in text
    assert "old" not in text


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    """A page that has no place for the table is refused."""
    page = tmp_path / "page.md"
    page.write_text("nothing here\n")
    with pytest.raises(ValueError, match="no place"):
        report.fill(page, tmp_path / "results.json")
    assert page.read_text() == "nothing here\n"
