"""The metrics of an older live server: its names and labels, with the numbers of live endpoints alone."""

import pytest

from portward.model.disconnects import Disconnect
from portward.telemetry.metrics import Metrics

ENDPOINTS = ["live", "scores", "rooms"]


@pytest.fixture
def metrics() -> Metrics:
    """Metrics with two live endpoints."""
    made = Metrics(ENDPOINTS, older_live=["live", "scores"], instance="node-1")
    for endpoint in ENDPOINTS:
        made.connection_opened(endpoint)
        for kind in ("subscribe", "subscribe", "ping", "invalid", "hand_over"):
            made.received(endpoint, kind, 10)
        for kind in ("subscribed", "delivery", "removed", "fault", "pong", "told"):
            made.sent(endpoint, kind, 10, 2)
    made.closed("scores", Disconnect.NORMAL)
    return made


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """One series."""
    return metrics.registry.get_sample_value(name, labels)


def test_connections(metrics: Metrics) -> None:
    """Those open now, without a label."""
    assert value(metrics, "processor_live_connections") == 1


@pytest.mark.parametrize(
    ("kind", "count"),
    [("subscribe", 4), ("unsubscribe", 0), ("ping", 2), ("message", 2), ("invalid", 2)],
)
def test_messages_of_clients(metrics: Metrics, kind: str, count: int) -> None:
    """By type, with the name of the instance."""
    name = "processor_live_messages_inbound_total"
    assert value(metrics, name, type=kind, instance_id="node-1") == count


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("subscribed", 4),
        ("unsubscribed", 0),
        ("data", 4),
        ("error", 8),
        ("pong", 4),
        ("message", 4),
    ],
)
def test_messages_to_clients(metrics: Metrics, kind: str, count: int) -> None:
    """By type alone."""
    assert value(metrics, "processor_live_messages_outbound_total", type=kind) == count


def test_the_text(metrics: Metrics) -> None:
    """The page has the names as they were, each of its type."""
    page = metrics.render().decode()
    lines = (
        "# TYPE processor_live_connections gauge",
        "# TYPE processor_live_messages_inbound_total counter",
        "# TYPE processor_live_messages_outbound_total counter",
        'processor_live_messages_inbound_total{instance_id="node-1",type="subscribe"} 4.0',
        'processor_live_messages_outbound_total{type="data"} 4.0',
    )
    assert [line for line in lines if line not in page] == []


def test_without_them_there_are_none() -> None:
    """By default the page has the gateway's own names alone."""
    assert b"processor_" not in Metrics(ENDPOINTS).render()
