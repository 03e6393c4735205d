"""`python -m bench [P1 P3 …] [--quick]`: measures, prints the table, writes `build/bench/`."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import report
from bench.figure import Figure, say
from bench.figures import FIGURES
from bench.processes import ROOT, BenchError, raise_descriptor_limit
from bench.scale import FULL, QUICK, Scale
from bench.servers import Workshop


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=", ".join(FIGURES))
    parser.add_argument(
        "--quick", action="store_true", help="a tiny version, whose times say nothing"
    )
    parser.add_argument("--rounds", type=int, help="how often each figure is measured")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench")
    parser.add_argument(
        "--fill", type=Path, metavar="PAGE", help="only put the last results into a page"
    )
    arguments = parser.parse_args(given)
    unknown = [name for name in arguments.figures if name not in FIGURES]
    if unknown:
        parser.error(f"no such figure: {', '.join(unknown)}")
    return arguments


def run(names: Sequence[str], scale: Scale) -> list[Figure]:
    """Measures the named figures, all when none is named."""
    descriptors = raise_descriptor_limit()
    if descriptors < scale.held[-1] + 200:
        say(f"only {descriptors} open files are allowed here: the largest sizes will fail")
    figures = []
    with tempfile.TemporaryDirectory(prefix="portward-bench-") as folder:
        workshop = Workshop(Path(folder))
        for name in names or FIGURES:
            say(f"{name}")
            figures.append(FIGURES[name](workshop, scale))
    return figures


def main(given: Sequence[str] | None = None) -> int:
    """Runs the command; 1 when something that is installed could not be measured."""
    arguments = _arguments(given)
    if arguments.fill:
        report.fill(arguments.fill, arguments.output / "results.json")
        return 0
    scale = QUICK if arguments.quick else FULL
    if arguments.rounds:
        scale = scale.with_rounds(arguments.rounds)
    try:
        figures = run(arguments.figures, scale)
    except BenchError as error:
        say(f"bench: {error}")
        return 1
    report.write(figures, arguments.output)
    return int(any(figure.failed for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
