#!/usr/bin/env python3
"""Compare two checkouts: `bench/compare.py OLD NEW [P1 P3 …] [--rounds 5] [--quick]`.

In each round a figure is measured in both checkouts, one after the other, and the next round begins with
the other one, so that a change of the machine affects both alike. Each checkout measures its own gateway,
with its own `bench` and `.venv`; other servers are left out. The values are those of the bench: CPU of the
whole process as the operating system counts it. What decides is the ratio within a round.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

FIGURES: Final = ("P1", "P3", "P5")
"""What is compared when nothing is named."""
_MEASURE: Final = """
import sys
from bench import figure
every = figure.rounds
figure.rounds = lambda name, contenders, count: every(
    name, {key: run for key, run in contenders.items() if key.startswith("portward")}, count
)
from bench.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
"""Runs the bench of a checkout for the contenders that are the gateway itself."""

Runs = dict[tuple[str, str], list[float]]
"""The values of one checkout by figure and contender, one for each round."""


class Line(NamedTuple):
    """One contender: its median in both checkouts, and the ratio new / old over the rounds."""

    figure: str
    contender: str
    unit: str
    old: float
    new: float
    ratio: float
    least: float
    most: float


def summarise(old: Runs, new: Runs, units: Mapping[str, str]) -> list[Line]:
    """Compare what both checkouts have measured, round by round."""
    lines = []
    for key, before in old.items():
        pairs = list(zip(before, new.get(key, ()), strict=False))
        if pairs:
            ratios = [after / value for value, after in pairs]
            figure, contender = key
            before_median, after_median = (
                statistics.median(values) for values in zip(*pairs, strict=True)
            )
            ratio = statistics.median(ratios)
            lines.append(
                Line(
                    figure,
                    contender,
                    units[figure],
                    before_median,
                    after_median,
                    ratio,
                    min(ratios),
                    max(ratios),
                )
            )
    return lines


def table(lines: Iterable[Line]) -> str:
    """Return the lines as a table in Markdown."""
    rows = [
        f"| {each.figure} | {each.contender} | {each.old:.2f} {each.unit} | {each.new:.2f} {each.unit} "
        f"| {each.ratio:.3f} | {each.least:.3f} to {each.most:.3f} |"
        for each in lines
    ]
    head = (
        "| figure | contender | old | new | new / old | over the rounds |",
        "|---|---|---|---|---|---|",
    )
    return "\n".join((*head, *rows))


def measure(checkout: Path, figure: str, *, quick: bool) -> tuple[str, dict[str, float]]:
    """Measure one figure once in a checkout; return its unit and the values by contender.

    Raises:
        RuntimeError: the bench of the checkout failed; the message has its last words.
    """
    with tempfile.TemporaryDirectory(prefix="portward-compare-") as folder:
        python = str(checkout / ".venv" / "bin" / "python")
        options = ["--output", folder, *(["--quick"] if quick else []), "--rounds", "1", figure]
        done = subprocess.run(
            [python, "-c", _MEASURE, *options],
            cwd=checkout,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            words = (done.stdout + done.stderr).strip().splitlines()[-12:]
            raise RuntimeError(f"{checkout}: {figure} failed:\n" + "\n".join(words))
        found = json.loads((Path(folder) / "results.json").read_text())["figures"][0]
    values = {row["contender"]: statistics.median(row["runs"]) for row in found["rows"]}
    return found["unit"], values


def compare(
    checkouts: Sequence[Path], figures: Sequence[str], rounds: int, *, quick: bool = False
) -> list[Line]:
    """Measure the figures in both checkouts, `rounds` times, and compare them."""
    runs: dict[Path, Runs] = {checkout: {} for checkout in checkouts}
    units: dict[str, str] = {}
    for figure in figures:
        for number in range(rounds):
            for checkout in checkouts if number % 2 == 0 else reversed(checkouts):
                units[figure], values = measure(checkout, figure, quick=quick)
                for contender, value in values.items():
                    runs[checkout].setdefault((figure, contender), []).append(value)
                    print(
                        f"{figure} {number + 1}/{rounds} {checkout}: {contender} {value:.2f}",
                        flush=True,
                    )
    old, new = checkouts
    return summarise(runs[old], runs[new], units)


def main(given: Sequence[str] | None = None) -> int:
    """Run the command; 1 when a checkout could not be measured."""
    parser = argparse.ArgumentParser(
        prog="bench/compare.py", description="Compare the figures of two checkouts."
    )
    parser.add_argument("old", type=Path, help="a checkout with its .venv")
    parser.add_argument("new", type=Path, help="another one")
    parser.add_argument("figures", nargs="*", default=list(FIGURES), metavar="FIGURE")
    parser.add_argument("--rounds", type=int, default=5, help="how often each figure is measured")
    parser.add_argument(
        "--quick", action="store_true", help="a tiny version, whose times say nothing"
    )
    options = parser.parse_args(given)
    checkouts = [options.old.resolve(), options.new.resolve()]
    if checkouts[0] == checkouts[1]:
        parser.error("the two checkouts are the same folder")
    try:
        lines = compare(checkouts, options.figures, options.rounds, quick=options.quick)
    except (OSError, RuntimeError) as error:
        print(f"compare: {error}", file=sys.stderr)
        return 1
    print(f"\n{table(lines)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
