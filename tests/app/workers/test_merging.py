import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from portward.app.workers.merging import _RULES, MalformedScrapeError, crew, merged, number
from portward.telemetry.metrics import Metrics
from tests.docs.pages import ROOT


def series(text: str) -> dict[str, float]:
    """Every series of a scrape, as a reader of the whole format sees it."""
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(connections: int, waits: list[float], *, up: bool = True, lag: float = 0.0) -> str:
    """A scrape of a worker that has done these things."""
    metrics = Metrics(["rooms"], ["rooms"], version="1")
    for _ in range(connections):
        metrics.connection_opened("rooms")
    for seconds in waits:
        metrics.engine_seconds.observe(seconds, ("publish",))
    metrics.engine_up.set(up)
    metrics.loop_lag_seconds.set(lag)
    return metrics.render().decode()


lives = st.tuples(
    st.integers(0, 5), st.lists(st.floats(0, 20), max_size=5), st.booleans(), st.floats(0, 9)
)


@settings(deadline=None, max_examples=5)
@given(st.lists(lives, min_size=1, max_size=3))
def test_one_scrape_is_the_sum(workers: list[tuple[int, list[float], bool, float]]) -> None:
    """Counters, gauges and buckets are added; states are the worst, whoever reads them."""
    scrapes = [scrape(count, waits, up=up, lag=lag) for count, waits, up, lag in workers]
    whole = series(merged(scrapes))
    parts = [series(each) for each in scrapes]
    assert whole.keys() == parts[0].keys()
    for name, value in whole.items():
        values = [part[name] for part in parts]
        if name.startswith("portward_engine_up"):
            assert value == min(values)
        elif name.startswith(("portward_loop_lag", "portward_build_info", "portward_insecure")):
            assert value == max(values)
        elif "start_time" in name:
            assert value == min(values)
        else:
            assert value == pytest.approx(sum(values))


names = st.sampled_from(["portward_a", "portward_engine_up", "portward_loop_lag_seconds"])
lines = st.dictionaries(st.tuples(names, st.sampled_from("xyz")), st.integers(-99, 99))


@given(st.lists(lines, max_size=4))
def test_every_series_is_there_once(workers: list[dict[tuple[str, str], int]]) -> None:
    """Whatever each worker knows, the whole has every series once, with the value of all."""
    rules = {"portward_engine_up": min, "portward_loop_lag_seconds": max}
    scrapes = []
    for known in workers:
        by_name = sorted(known.items())
        scrapes.append(
            "".join(
                f'# HELP {name} N.\n# TYPE {name} gauge\n{name}{{l="{label}"}} {value}\n'
                for (name, label), value in by_name
            )
        )
    whole = series(merged(scrapes))
    expected = {
        f"{name}[('l', '{label}')]": float(
            rules.get(name, sum)(
                [known[name, label] for known in workers if (name, label) in known]
            )
        )
        for name, label in {key for known in workers for key in known}
    }
    assert whole == expected


def test_of_one_is_itself() -> None:
    """A single worker's scrape says the same before and after, comments included."""
    text = scrape(3, [0.1])
    assert series(merged([text])) == series(text)
    assert [line for line in merged([text]).splitlines() if line.startswith("#")] == [
        line for line in text.splitlines() if line.startswith("#")
    ]


def test_of_none_is_nothing() -> None:
    """Where nobody answers there is nothing to merge."""
    assert merged([]) == ""


def test_what_only_one_has() -> None:
    """A series that one worker alone knows, as after an upgrade, is kept."""
    one = '# HELP a A.\n# TYPE a counter\na{x="1 2"} 1.0\n'
    other = '# HELP a A, anew.\n# TYPE a counter\na{x="1 2"} 2.0\na{x="3"} 4.0\n'
    assert merged([one, other]) == '# HELP a A.\n# TYPE a counter\na{x="1 2"} 3.0\na{x="3"} 4.0\n'


@pytest.mark.parametrize("text", ["a b c", "1", " 1", "<html>"])
def test_what_is_no_scrape(text: str) -> None:
    """A line without a series or without a number is an error, not a zero."""
    with pytest.raises(MalformedScrapeError):
        merged([text])


def test_the_crew_itself() -> None:
    """The parent counts who answers, who does not, and who was replaced."""
    assert series(crew(3, 2, 7)) == {
        "portward_workers[('state', 'up')]": 2,
        "portward_workers[('state', 'down')]": 1,
        "portward_workers_replaced_total[]": 7,
    }


@pytest.mark.parametrize("value", [0.0, 1.5, 1e300, math.inf, -math.inf])
def test_numbers_are_read_back(value: float) -> None:
    """A number is written as the format has it, the infinite ones too."""
    assert float(number(value)) == value
    assert number(math.nan) == "NaN"


def test_every_rule_is_about_a_metric_that_exists() -> None:
    """What is merged by a rule of its own is in the scrape of a gateway."""
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    # These come from the process, not from a table of ours.
    known = {"portward_process_start_time_seconds"}
    assert [name for name in _RULES if name not in page and name not in known] == []
