import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import main
from bench.figures import FIGURES
from bench.servers import NODE_MODULES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler"),
]

Results = Mapping[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the tiny version of the whole bench leaves behind."""
    output = tmp_path_factory.mktemp("bench")
    assert main(["--quick", "--output", str(output)]) == 0
    return output


@pytest.fixture(scope="module")
def figures(folder: Path) -> Mapping[str, Results]:
    """Its figures by name."""
    data = json.loads((folder / "results.json").read_text())
    return {figure["name"]: figure for figure in data["figures"]}


def contenders(figure: Results) -> set[str]:
    """Who was measured."""
    return {row["contender"] for row in figure["rows"]}


def test_every_figure_is_measured(figures: Mapping[str, Results]) -> None:
    """All figures have rows, nothing that is installed failed, and nothing was lost or repeated."""
    assert list(figures) == list(FIGURES)
    assert all(figure["rows"] and not figure["failed"] for figure in figures.values())
    assert all(
        run > 0 for figure in figures.values() for row in figure["rows"] for run in row["runs"]
    )


def test_the_gateway_is_measured_beside_the_floor(figures: Mapping[str, Results]) -> None:
    """The fan-out is published by the library and by the HTTP API, beside floor and peer."""
    measured = contenders(figures["P1"])
    assert {
        "floor (C, send)",
        "portward (library)",
        "portward (HTTP API)",
        "websockets (Python)",
    } <= measured


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node")
@pytest.mark.skipif(not (NODE_MODULES / "ws").is_dir(), reason="`ws` is not installed")
def test_an_installed_peer_is_not_left_out(figures: Mapping[str, Results]) -> None:
    """`ws` is measured wherever it is the measure of a reach."""
    assert "ws (Node)" in contenders(figures["P1"])
    assert "ws (Node), no token" in contenders(figures["P3"])
    assert "ws (Node)" in contenders(figures["P4"])


def test_every_reach_is_judged_or_said_not_to_be(figures: Mapping[str, Results]) -> None:
    """The verdict on each reach is in the table."""
    for figure in figures.values():
        assert figure["reaches"]
        for reach in figure["reaches"]:
            assert reach["met"] in {True, False, None}
            assert reach["wanted"]
            assert reach["measured"]


def test_the_table_and_the_chart_are_written(folder: Path) -> None:
    """Beside the JSON there are a table in Markdown and a drawing."""
    assert (folder / "results.md").read_text().startswith("|  | work | reach | measured |")
    assert (folder / "results.svg").read_text().startswith("<svg")
