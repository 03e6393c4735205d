import asyncio
import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from portward.app.workers import control_protocol
from portward.app.workers.sockets import listening
from portward.app.workers.status import _RULES, MalformedScrapeError, merged, number, workers
from portward.telemetry.metrics import Metrics
from tests.app.workers.worker_admins import Machine, machine
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
def test_one_scrape_is_the_sum(lived: list[tuple[int, list[float], bool, float]]) -> None:
    """Counters, gauges and buckets are added; states are the worst, whoever reads them."""
    scrapes = [scrape(count, waits, up=up, lag=lag) for count, waits, up, lag in lived]
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
def test_every_series_is_there_once(all_known: list[dict[tuple[str, str], int]]) -> None:
    """Whatever each worker knows, the whole has every series once, with the value of all."""
    rules = {"portward_engine_up": min, "portward_loop_lag_seconds": max}
    scrapes = []
    for known in all_known:
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
                [known[name, label] for known in all_known if (name, label) in known]
            )
        )
        for name, label in {key for known in all_known for key in known}
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


def test_the_workers_themselves() -> None:
    """Who answers is counted, who does not, and who was replaced."""
    assert series(workers(3, 2, 7)) == {
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


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Machine]:
    """Two workers of one machine."""
    async with machine(tmp_path) as running:
        yield running


async def test_health_and_readiness(two: Machine) -> None:
    """Each worker is healthy while any is, and ready while all are."""
    for each in (0, 1):
        assert await two.ask(each, "/health") == (200, "ok")
        assert await two.ask(each, "/ready") == (200, "ready")
    two.gateways[1].node.admission_control.draining = True
    for each in (0, 1):
        assert await two.ask(each, "/health") == (200, "ok")
        assert await two.ask(each, "/ready") == (503, "draining")
    two.gateways[0].node.admission_control.draining = True
    assert await two.ask(0, "/health") == (503, "draining")


async def test_worker_that_is_not_there(two: Machine) -> None:
    """A worker that cannot be reached is missing in the readiness, and not in the health."""
    two.statuses[1].close()
    assert await two.ask(0, "/health") == (200, "ok")
    assert await two.ask(0, "/ready") == (503, "1 of 2 workers ready")


async def test_one_scrape_of_all(two: Machine) -> None:
    """Metrics are those of all workers together, with a count of those that answer."""
    await two.join(0, "ann")
    await two.join(1, "bob")
    two.places[1].replaced = 3
    for each, replaced in ((0, 0.0), (1, 3.0)):
        status, text = await two.ask(each, "/metrics")
        assert status == 200
        assert 'portward_connections{endpoint="rooms"} 2.0' in text
        assert 'portward_workers{state="up"} 2.0' in text
        assert f"portward_workers_replaced_total {replaced}" in text
    two.statuses[1].close()
    _, text = await two.ask(0, "/metrics")
    assert 'portward_connections{endpoint="rooms"} 1.0' in text
    assert 'portward_workers{state="down"} 1.0' in text


@pytest.mark.parametrize("answer", [b"", b"nonsense", b'"half', b"7", b"\xff"])
async def test_answer_of_another_kind(two: Machine, tmp_path: Path, answer: bytes) -> None:
    """What is no whole text is no answer, as that of a worker which dies meanwhile."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    two.statuses[1].close()
    path = control_protocol.status_socket(str(tmp_path), 1)
    server = await asyncio.start_unix_server(serve, sock=listening(path))
    assert await two.ask(0, "/ready") == (503, "1 of 2 workers ready")
    server.close()


@pytest.mark.parametrize("question", [b"", b"nonsense\n", b"health", b"x" * 100_000 + b"\n"])
async def test_question_of_another_kind(two: Machine, tmp_path: Path, question: bytes) -> None:
    """What is no question gets no answer, and the next one gets its own."""
    path = control_protocol.status_socket(str(tmp_path), 1)
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(question)
    writer.write_eof()
    answer = await reader.read()
    assert answer in {b"", b'"ok"'}
    writer.close()
    assert await two.ask(0, "/ready") == (200, "ready")
