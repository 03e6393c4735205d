"""Metrics of live endpoints with the names of an older live server, in addition to the gateway's own.

They are computed at each scrape from the gateway's own counters.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from portward.telemetry.labels import OTHER
from portward.telemetry.series import Counter, Family, Gauge, Values

CONNECTIONS: Final = "processor_live_connections"
INBOUND: Final = "processor_live_messages_inbound_total"
OUTBOUND: Final = "processor_live_messages_outbound_total"
_RECEIVED: Final = {
    "subscribe": "subscribe",
    "unsubscribe": "unsubscribe",
    "ping": "ping",
    "hand_over": "message",
    OTHER: "invalid",
}
"""Types of client messages, by the labels of the gateway's own metric."""
_SENT: Final = {
    "subscribed": "subscribed",
    "unsubscribed": "unsubscribed",
    "delivery": "data",
    "pong": "pong",
    "told": "message",
    "fault": "error",
    "removed": "error",
}
"""Types of messages to clients, by the labels of the gateway's own metric."""


class _Family(NamedTuple):
    """A metric that is computed at each scrape."""

    collect: Callable[[], Metric]


def older_families(
    connections: Gauge,
    received: Counter,
    sent: Counter,
    endpoints: Collection[str],
    instance: str,
) -> list[Family]:
    """Make the three metrics for the given endpoints; `instance` is the value of `instance_id`."""

    def open_now() -> Metric:
        count = sum(connections.values.get((each,), 0) for each in endpoints)
        return GaugeMetricFamily(CONNECTIONS, "Live connections open now.", value=count)

    def messages(
        name: str, text: str, counter: Counter, names: Mapping[str, str], **more: str
    ) -> Family:
        def collect() -> Metric:
            family = CounterMetricFamily(name, text, labels=["type", *more])
            for kind, count in _by_type(counter.values, endpoints, names).items():
                family.add_metric([kind, *more.values()], count)
            return family

        return _Family(collect)

    return [
        _Family(open_now),
        messages(INBOUND, "Messages from live clients.", received, _RECEIVED, instance_id=instance),
        messages(OUTBOUND, "Messages to live clients.", sent, _SENT),
    ]


def _by_type(
    values: Mapping[Values, float], endpoints: Iterable[str], names: Mapping[str, str]
) -> dict[str, float]:
    counts = dict.fromkeys(names.values(), 0.0)
    for endpoint in endpoints:
        for label, kind in names.items():
            counts[kind] += values.get((endpoint, label), 0)
    return counts
