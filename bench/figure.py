"""A measured figure: its rows, what was to be reached, and whether it was."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.processes import BenchError
from bench.servers import NotInstalledError

Runs = Mapping[str, Sequence[float]]


def say(text: str) -> None:
    """One line of progress."""
    print(text, flush=True)


@dataclass(frozen=True)
class Row:
    """One contender in one figure. `value` is the median of `runs`, in the figure's unit.

    `ratio` is the median, over the rounds, of the ratio to the figure's base in the same round.
    `wall` is a wall-clock remark, which decides nothing.
    """

    contender: str
    runs: tuple[float, ...]
    ratio: float | None = None
    ours: bool = False
    wall: str = ""

    @property
    def value(self) -> float:
        """The median run."""
        return statistics.median(self.runs)


@dataclass(frozen=True)
class Reach:
    """Something to be reached. `met` is None when there was nothing to judge by."""

    wanted: str
    measured: str
    met: bool | None


@dataclass(frozen=True)
class Figure:
    """One figure. `missing` says what was not installed to compare with, `failed` what broke."""

    name: str
    title: str
    unit: str
    base: str
    rows: tuple[Row, ...]
    reaches: tuple[Reach, ...]
    missing: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class Rounds:
    """What came of several rounds."""

    runs: dict[str, list[float]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def rounds(figure: str, contenders: Mapping[str, Callable[[], float]], count: int) -> Rounds:
    """Measures every contender once in each of `count` rounds, so that all see the same weather."""
    result = Rounds({name: [] for name in contenders})
    for number in range(1, count + 1):
        for name, measure in contenders.items():
            if name not in result.runs:
                continue
            try:
                value = measure()
            except (NotInstalledError, BenchError) as error:
                broken = isinstance(error, BenchError)
                (result.failed if broken else result.missing).append(f"{name}: {error}")
                del result.runs[name]
                say(f"  {figure}  {name}: {'failed' if broken else 'left out'}, {error}")
                continue
            result.runs[name].append(value)
            say(f"  {figure}  round {number} of {count}  {name:<36} {value:10.2f}")
    return result


def table(runs: Runs, base: str, ours: Iterable[str] = ()) -> tuple[Row, ...]:
    """Rows of the runs, with their ratios to the base when that was measured."""
    by = runs.get(base)
    return tuple(
        Row(
            name,
            tuple(values),
            statistics.median(map(_ratio, values, by)) if by else None,
            name in ours,
        )
        for name, values in runs.items()
        if values
    )


def _ratio(value: float, base: float) -> float:
    return value / base


def find(rows: Iterable[Row], contender: str) -> Row | None:
    """The row of a contender, when it was measured."""
    return next((row for row in rows if row.contender == contender), None)


def value_of(row: Row | None) -> float | None:
    """What a row that may be missing was measured at."""
    return None if row is None else row.value


def ratio_of(row: Row | None) -> float | None:
    """The ratio to the base of a row that may be missing."""
    return None if row is None else row.ratio


def at_most(wanted: str, value: float | None, limit: float, unit: str) -> Reach:
    """To stay at or under a limit."""
    if value is None:
        return Reach(wanted, "not measured", None)
    return Reach(wanted, f"{value:.2f} {unit}", value <= limit)


def below(ours: Row | None, others: Iterable[Row], unit: str) -> Reach:
    """To cost less than each of the others."""
    others = tuple(others)
    if ours is None or not others:
        return Reach("below every peer", "not measured", None)
    wanted = "below " + ", ".join(row.contender for row in others)
    least = min(others, key=lambda row: row.value)
    measured = f"{ours.value:.2f} {unit}; the least of them {least.value:.2f} ({least.contender})"
    return Reach(wanted, measured, ours.value < least.value)


def flat(wanted: str, values: Mapping[str, float], within: float) -> Reach:
    """To differ by no more than a share between any two sizes."""
    if len(values) < 2:
        return Reach(wanted, "not measured", None)
    measured = ", ".join(f"{size}: {value:.2f}" for size, value in values.items())
    return Reach(wanted, measured, max(values.values()) <= min(values.values()) * (1 + within))
