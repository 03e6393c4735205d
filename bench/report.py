"""What a bench found, as a table in Markdown, as JSON, and as a chart."""

import dataclasses
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.chart import chart
from bench.figure import Figure, Reach, Row, say
from bench.servers import NODE_MODULES

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


def verdict(reach: Reach) -> str:
    """What became of a reach, in one word or two."""
    return {True: "met", False: "missed", None: "not judged"}[reach.met]


def _lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    right = ["---"] * len(head)
    return ["| " + " | ".join(cells) + " |" for cells in (head, right, *rows)]


def summary(figures: Iterable[Figure]) -> list[str]:
    """The table of reaches: what was wanted, what was measured, met or missed."""
    rows = [
        (figure.name if first else "", figure.title if first else "", *_judged(reach))
        for figure in figures
        for first, reach in zip([True] + [False] * 9, figure.reaches, strict=False)
    ]
    return _lines(("", "work", "reach", "measured", ""), rows)


def _judged(reach: Reach) -> tuple[str, str, str]:
    return reach.wanted, reach.measured, verdict(reach)


def _row(row: Row) -> tuple[str, str, str, str]:
    name = f"**{row.contender}**" if row.ours else row.contender
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    return name, f"{row.value:.2f}", ratio, f"{min(row.runs):.2f} to {max(row.runs):.2f}"


def details(figure: Figure) -> list[str]:
    """The rows of one figure, least first within each unit, with its notes."""
    head = ("", figure.unit, f"ratio to {figure.base}", f"spread of {_rounds(figure)} runs")
    lines = [f"### {figure.name}: {figure.title}", ""]
    lines += _lines(head, map(_row, figure.rows))
    lines += ["", *figure.notes]
    lines += [f"\nNot compared: {line}." for line in figure.missing]
    lines += [f"\nFailed: {line}." for line in figure.failed]
    return lines


def _rounds(figure: Figure) -> int:
    return max((len(row.runs) for row in figure.rows), default=0)


def markdown(figures: Sequence[Figure], machine: dict[str, str]) -> str:
    """The whole report."""
    lines = summary(figures)
    for figure in figures:
        lines += ["", *details(figure)]
    lines += ["", "Machine: " + "; ".join(f"{key} {value}" for key, value in machine.items()) + "."]
    return "\n".join(lines) + "\n"


def machine() -> dict[str, str]:
    """Where the figures were taken, and of what versions."""
    found = {
        "kernel": platform.release(),
        "cores": str(os.cpu_count()),
        "Python": platform.python_version(),
    }
    for package in ("picows", "uvloop", "websockets"):
        found[package] = metadata.version(package)
    if shutil.which("node"):
        found["Node"] = _said("node", "--version")
    if (NODE_MODULES / "ws").is_dir():
        found["ws"] = json.loads((NODE_MODULES / "ws" / "package.json").read_text())["version"]
    if shutil.which("nats-server"):
        found["nats-server"] = _said("nats-server", "--version").removeprefix("nats-server: ")
    if shutil.which("nginx"):
        found["nginx"] = _said("nginx", "-v").removeprefix("nginx version: nginx/")
    return found


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).strip()


def as_data(figures: Sequence[Figure], machine: dict[str, str]) -> dict[str, Any]:
    """All that was found, in plain values."""
    return {"machine": machine, "figures": [dataclasses.asdict(figure) for figure in figures]}


def from_data(data: dict[str, Any]) -> tuple[list[Figure], dict[str, str]]:
    """The figures and the machine of a `results.json`."""
    return [_figure(each) for each in data["figures"]], data["machine"]


def _figure(data: dict[str, Any]) -> Figure:
    tuples = {key: tuple(data[key]) for key in ("missing", "failed", "notes")}
    rows = tuple(Row(**{**row, "runs": tuple(row["runs"])}) for row in data["rows"])
    reaches = tuple(Reach(**reach) for reach in data["reaches"])
    return Figure(**{**data, **tuples, "rows": rows, "reaches": reaches})


def write(figures: Sequence[Figure], folder: Path) -> None:
    """Writes `results.json`, `results.md` and `results.svg`, and prints the table."""
    folder.mkdir(parents=True, exist_ok=True)
    about = machine()
    text = markdown(figures, about)
    (folder / "results.json").write_text(json.dumps(as_data(figures, about), indent=1) + "\n")
    (folder / "results.md").write_text(text)
    (folder / "results.svg").write_text(chart(figures))
    say(f"\n{text}\nWritten to {folder}: results.json, results.md, results.svg")


def fill(page: Path, results: Path) -> None:
    """Puts the tables of a `results.json` between the two marks of a page of the documentation."""
    text = page.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no place for the table")
    table = markdown(*from_data(json.loads(results.read_text())))
    page.write_text(f"{before}{begin}\n{table}{end}{after}")
