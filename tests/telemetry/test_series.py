import pytest

from portward.telemetry.labels import label
from portward.telemetry.series import (
    Counter,
    Gauge,
    Histogram,
    MetricRow,
    Sample,
    counter,
    gauge,
    histogram,
    sample,
)

COLOR = label("color", ["red"])


def test_a_counter_starts_with_every_series_at_zero() -> None:
    """A scrape before the first event shows the same series as one after it."""
    counter = Counter("seen_total", "Seen.", (COLOR,))
    assert counter.values == {("red",): 0, ("other",): 0}


def test_a_counter_counts_strangers_as_other() -> None:
    """An unknown label value adds no series."""
    counter = Counter("seen_total", "Seen.", (COLOR,))
    counter.add(("red",))
    counter.add(("mauve",), 2)
    assert counter.values == {("red",): 1, ("other",): 2}


def test_a_counter_shows_its_samples() -> None:
    """The family has the prefix, the type and the labels of the text format."""
    counter = Counter("seen_total", "Seen.", (COLOR,))
    counter.add(("red",), 3)
    family = counter.collect()
    assert family.type == "counter"
    assert [(s.name, s.labels, s.value) for s in family.samples] == [
        ("portward_seen_total", {"color": "red"}, 3),
        ("portward_seen_total", {"color": "other"}, 0),
    ]


def test_a_gauge_goes_up_down_and_to() -> None:
    """A gauge is added to, taken from and set, with or without labels."""
    gauge = Gauge("open", "Open.", (COLOR,))
    gauge.add(("red",), 2)
    gauge.add(("red",), -1)
    gauge.set(7, ("mauve",))
    family = gauge.collect()
    assert family.type == "gauge"
    assert [sample.value for sample in family.samples] == [1, 7]


def test_a_histogram_puts_values_below_their_bounds() -> None:
    """A value equal to a bound falls below it, one above all of them only below infinity."""
    histogram = Histogram("took_seconds", "Took.", (COLOR,), (0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 1.0, 9.0):
        histogram.observe(value, ("red",))
    histogram.observe(0.5, ("mauve",))
    samples = {
        (s.name, s.labels["color"], s.labels.get("le")): s.value
        for s in histogram.collect().samples
    }
    name = "portward_took_seconds"
    assert samples[f"{name}_bucket", "red", "0.1"] == 2
    assert samples[f"{name}_bucket", "red", "1.0"] == 4
    assert samples[f"{name}_bucket", "red", "+Inf"] == 5
    assert samples[f"{name}_count", "red", None] == 5
    assert samples[f"{name}_sum", "red", None] == pytest.approx(10.65)
    assert samples[f"{name}_count", "other", None] == 1


def test_a_reading_is_taken_at_each_scrape() -> None:
    """It is zero until somebody keeps a number for it."""
    reading = Sample("lost_total", "Lost.")
    assert reading.collect().samples[0].value == 0
    reading.follow(lambda: 5)
    assert reading.collect().samples[0].value == 5


def test_a_row_makes_the_metric_that_it_describes() -> None:
    """A row gives a metric of its kind, with the labels that were chosen for it."""
    chosen = label("color", ["blue"])
    rows = {
        "open": gauge("Open.", COLOR),
        "seen_total": counter("Seen."),
        "took_seconds": histogram("Took.", bounds=(0.5,)),
        "lost_total": sample("Lost."),
    }
    made = []
    for name, row in rows.items():
        assert isinstance(row, MetricRow)
        made.append(row.make(name, {COLOR: chosen}))
    kinds = [type(metric) for metric in made]
    assert kinds == [Gauge, Counter, Histogram, Sample]
    assert [metric.collect().name for metric in made] == [
        "portward_open",
        "portward_seen",
        "portward_took_seconds",
        "portward_lost",
    ]
    assert [each.labels for each in made[0].collect().samples] == [
        {"color": "blue"},
        {"color": "other"},
    ]
