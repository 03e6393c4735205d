"""Merging of several scrapes into one: equal series of all workers become one series.

It works on the text that `telemetry.metrics` writes: one series and its value per line, no time stamps, and
the same spelling of a series in every worker. This takes a tenth of the time of a parser for the complete
format.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Final

Merge = Callable[[float, float], float]


def _add(one: float, other: float) -> float:
    return one + other


_RULES: Final[Mapping[str, Merge]] = {
    "portward_build_info": max,
    "portward_insecure_mode": max,
    "portward_loop_lag_seconds": max,
    "portward_engine_up": min,
    "portward_engine_may_evict": max,
    "portward_process_start_time_seconds": min,
}
"""Families that are not added up. If the engine is down for one worker, it is down."""


class MalformedScrapeError(ValueError):
    """A worker's answer is no scrape."""


def merged(scrapes: Iterable[str]) -> str:
    """Merge scrapes into one; families and series keep the order of their first appearance.

    Raises:
        MalformedScrapeError: a line is neither a comment nor a series with a number.
    """
    families: dict[str, list[str]] = {}
    values: dict[str, dict[str, float]] = {}
    for scrape in scrapes:
        family = ""
        for line in scrape.splitlines():
            if line.startswith("# "):
                family = line.split(" ", 3)[2]
                comments = families.setdefault(family, [])
                if line not in comments and len(comments) < _COMMENTS:
                    comments.append(line)
            elif line:
                _take(values.setdefault(family, {}), family, line)
                families.setdefault(family, [])
    return "".join(
        f"{line}\n"
        for family, comments in families.items()
        for line in (*comments, *map(_shown, values.get(family, {}).items()))
    )


_COMMENTS: Final = 2
"""The comment lines of a family: HELP and TYPE."""


def _take(known: dict[str, float], family: str, line: str) -> None:
    series, _, number = line.rpartition(" ")
    try:
        value = float(number)
    except ValueError:
        raise MalformedScrapeError(
            f"no number at the end of a line of {family or 'a scrape'}"
        ) from None
    if not series:
        raise MalformedScrapeError(f"a number alone in {family or 'a scrape'}")
    before = known.get(series)
    known[series] = value if before is None else _RULES.get(family, _add)(before, value)


def _shown(item: tuple[str, float]) -> str:
    series, value = item
    return f"{series} {number(value)}"


def number(value: float) -> str:
    """Format a number for the text format."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(value)


def crew(size: int, up: int, replaced: int) -> str:
    """Return the parent's own metrics: how many workers answer, and how many were replaced."""
    return (
        "# HELP portward_workers Workers by whether they answer.\n"
        "# TYPE portward_workers gauge\n"
        f'portward_workers{{state="up"}} {number(float(up))}\n'
        f'portward_workers{{state="down"}} {number(float(size - up))}\n'
        "# HELP portward_workers_replaced_total Workers that took the place of one that died.\n"
        "# TYPE portward_workers_replaced_total counter\n"
        f"portward_workers_replaced_total {number(float(replaced))}\n"
    )
