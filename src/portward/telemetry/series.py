"""Metric families stored as plain numbers and converted to samples at each scrape.

prometheus-client takes a lock for every increment (half a microsecond, more for a histogram); these
numbers change only on the event loop, once per message, so a dictionary entry is enough. Every series
exists from the start: none is added while a scrape reads them in another thread.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from itertools import accumulate, product
from typing import Final, NamedTuple, Protocol, cast

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from portward.telemetry.labels import Label

PREFIX: Final = "portward_"
FAST: Final = (
    *(0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005),
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
)
"""Upper bounds, in seconds, for durations within one process."""
SLOW: Final = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01),
    *(0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
"""Upper bounds, in seconds, for durations that may include a network."""

Values = tuple[str, ...]


class Family(Protocol):
    """A metric with all its series."""

    def collect(self) -> Metric:
        """Return the current samples."""


class Counter:
    """A number for each combination of label values; it never decreases."""

    _family: type[CounterMetricFamily] | type[GaugeMetricFamily] = CounterMetricFamily

    def __init__(self, name: str, text: str, labels: tuple[Label, ...]) -> None:
        self.name = PREFIX + name
        self.text = text
        self.labels = labels
        keys = product(*(label.values for label in labels))
        self.values: dict[Values, float] = dict.fromkeys(keys, 0)

    def add(self, labels: Values = (), amount: float = 1) -> None:
        """Add to the counter. Label values outside their set are counted as `other`."""
        try:
            self.values[labels] += amount
        except KeyError:
            self.values[self._known(labels)] += amount

    def collect(self) -> Metric:
        """Return the current samples."""
        family = self._family(self.name, self.text, labels=_names(self.labels))
        for key, value in self.values.items():
            family.add_metric(key, value)
        return family

    def _known(self, values: Values) -> Values:
        pairs = zip(self.labels, values, strict=True)
        return tuple(label.known(value) for label, value in pairs)


class Gauge(Counter):
    """A number for each combination of label values that can increase and decrease."""

    _family = GaugeMetricFamily

    def set(self, value: float, labels: Values = ()) -> None:
        """Set the current value."""
        self.values[labels if labels in self.values else self._known(labels)] = value


class _HistogramSeries:
    """One series of a histogram: the count for each bound, and the sum of the values."""

    __slots__ = ("counts", "total")

    def __init__(self, size: int) -> None:
        self.counts = [0] * size
        self.total = 0.0


class Histogram:
    """The distribution of values over `bounds`, for each combination of label values."""

    def __init__(
        self, name: str, text: str, labels: tuple[Label, ...], bounds: tuple[float, ...]
    ) -> None:
        self.name = PREFIX + name
        self.text = text
        self.labels = labels
        self.bounds = bounds
        self._edges = (*(str(bound) for bound in bounds), "+Inf")
        self._spreads = {
            key: _HistogramSeries(len(self._edges))
            for key in product(*(label.values for label in labels))
        }

    def observe(self, value: float, labels: Values = ()) -> None:
        """Count a value. Label values outside their set are counted as `other`."""
        spread = self._spreads.get(labels)
        if spread is None:
            pairs = zip(self.labels, labels, strict=True)
            spread = self._spreads[tuple(label.known(value) for label, value in pairs)]
        spread.counts[bisect_left(self.bounds, value)] += 1
        spread.total += value

    def collect(self) -> Metric:
        """Return the current samples."""
        family = HistogramMetricFamily(self.name, self.text, labels=_names(self.labels))
        for key, spread in self._spreads.items():
            buckets = list(zip(self._edges, accumulate(spread.counts), strict=True))
            family.add_metric(key, buckets, spread.total)
        return family


class Sample:
    """A number that other code counts, in any thread; it is read at each scrape."""

    def __init__(self, name: str, text: str) -> None:
        self.name = PREFIX + name
        self.text = text
        self._read: Callable[[], float] = float

    def follow(self, read: Callable[[], float]) -> None:
        """Call `read` at each scrape from now on."""
        self._read = read

    def collect(self) -> Metric:
        """Return the current sample."""
        return CounterMetricFamily(self.name, self.text, value=self._read())


class MetricRow(NamedTuple):
    """One row of the table of metrics: its kind, its help text and its labels."""

    kind: type[Counter] | type[Histogram] | type[Sample]
    text: str
    labels: tuple[Label, ...] = ()
    bounds: tuple[float, ...] = ()

    def make(self, name: str, chosen: Mapping[Label, Label]) -> Counter | Histogram | Sample:
        """Make the metric `name`, with the labels in `chosen` instead of those they stand for."""
        if issubclass(self.kind, Sample):
            return self.kind(name, self.text)
        labels = tuple(chosen.get(label, label) for label in self.labels)
        if issubclass(self.kind, Histogram):
            return self.kind(name, self.text, labels, self.bounds)
        return self.kind(name, self.text, labels)


# The rows are attributes of a class whose constructor replaces them by the metrics that they describe, as
# the fields of a dataclass are replaced by values; so each function is typed as what the attribute holds.


def counter(text: str, *labels: Label) -> Counter:
    """Make the row of a counter."""
    return cast("Counter", MetricRow(Counter, text, labels))


def gauge(text: str, *labels: Label) -> Gauge:
    """Make the row of a gauge."""
    return cast("Gauge", MetricRow(Gauge, text, labels))


def histogram(text: str, *labels: Label, bounds: tuple[float, ...] = FAST) -> Histogram:
    """Make the row of a histogram."""
    return cast("Histogram", MetricRow(Histogram, text, labels, bounds))


def sample(text: str) -> Sample:
    """Make the row of a counter that is read at scrape time; zero until its `read` is set."""
    return cast("Sample", MetricRow(Sample, text))


def _names(labels: tuple[Label, ...]) -> list[str]:
    return [label.name for label in labels]
