import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from portward.model.disconnects import Disconnect
from portward.model.errors import ErrorKind
from portward.model.handshake_errors import HandshakeRejection
from portward.model.limits import LimitMode, LimitName
from portward.model.provider import ProviderResult
from portward.telemetry.events import Event
from portward.telemetry.labels import AuthResult, GapResult, RecoveryResult
from portward.telemetry.metrics import Metrics

ENDPOINTS = ("alerts", "rooms")
NAMESPACES = ("alerts", "rooms")


@pytest.fixture
def metrics() -> Metrics:
    """The metrics of a gateway with two endpoints."""
    return Metrics(ENDPOINTS, NAMESPACES, version="1.2.3")


def samples(metrics: Metrics) -> dict[str, float]:
    """Every sample that is not zero, as `name{label=value,...}`."""
    found = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            text = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{text}}}".replace("portward_", "")] = sample.value
    return {name: value for name, value in found.items() if value and "process_" not in name}


def test_a_connection_is_counted_from_its_opening_to_its_end(metrics: Metrics) -> None:
    """The gauge falls again, the counters do not; a slow reader is counted twice over."""
    metrics.connection_opened("rooms")
    metrics.connection_opened("rooms")
    metrics.closed("rooms", Disconnect.SLOW)
    found = samples(metrics)
    assert found["connections{endpoint=rooms}"] == 1
    assert found["connections_total{endpoint=rooms}"] == 2
    assert found["closes_total{ending=slow,endpoint=rooms}"] == 1
    assert found["slow_disconnects_total{}"] == 1


def test_an_ordinary_end_is_no_slow_disconnect(metrics: Metrics) -> None:
    """Only the ending `slow` is."""
    metrics.connection_opened("rooms")
    metrics.closed("rooms", Disconnect.NORMAL)
    assert "slow_disconnects_total{}" not in samples(metrics)


def test_refusals_are_counted_by_reason(metrics: Metrics) -> None:
    """A handshake for no endpoint at all is counted too."""
    metrics.handshakes_refused_total.add(("rooms", HandshakeRejection.ORIGIN.reason))
    metrics.handshakes_refused_total.add(("none", HandshakeRejection.UNKNOWN_PATH.reason))
    metrics.handshakes_refused_total.add(("rooms", HandshakeRejection.HOST.reason))
    found = samples(metrics)
    assert found["handshakes_refused_total{endpoint=rooms,reason=origin}"] == 1
    assert found["handshakes_refused_total{endpoint=rooms,reason=host}"] == 1
    assert found["handshakes_refused_total{endpoint=other,reason=unknown_path}"] == 1


def test_traffic_is_counted_in_messages_and_bytes(metrics: Metrics) -> None:
    """One message to many connections counts for each of them."""
    metrics.received("rooms", "publish", 100)
    metrics.sent("rooms", "delivery", 50, 3)
    metrics.sent("rooms", "published", 20)
    found = samples(metrics)
    assert found["messages_received_total{endpoint=rooms,type=publish}"] == 1
    assert found["bytes_received_total{endpoint=rooms}"] == 100
    assert found["messages_sent_total{endpoint=rooms,type=delivery}"] == 3
    assert found["bytes_sent_total{endpoint=rooms}"] == 170


def test_a_delivery_is_counted_and_timed(metrics: Metrics) -> None:
    """A turn of the fan-out gives three numbers."""
    metrics.delivered("rooms", 2, 80, 0.002)
    found = samples(metrics)
    assert found["publications_total{namespace=rooms}"] == 2
    assert found["deliveries_total{namespace=rooms}"] == 80
    assert found["fanout_seconds_sum{namespace=rooms}"] == 0.002
    assert found["fanout_seconds_bucket{le=0.0025,namespace=rooms}"] == 1
    assert "fanout_seconds_bucket{le=0.001,namespace=rooms}" not in found


def test_what_went_wrong_is_counted(metrics: Metrics) -> None:
    """Faults, limits, authentication and recoveries have their closed labels."""
    metrics.faults_total.add(("rooms", ErrorKind.UNRECOVERABLE.code))
    metrics.limit_refusals_total.add((LimitName.MESSAGES, LimitMode.OBSERVE))
    metrics.auth_total.add(("rooms", AuthResult.EXPIRED))
    metrics.recoveries_total.add(("alerts", RecoveryResult.TOO_MANY))
    assert samples(metrics).keys() >= {
        "faults_total{code=unrecoverable_position,endpoint=rooms}",
        "limit_refusals_total{limit=messages,mode=observe}",
        "auth_total{endpoint=rooms,result=expired}",
        "recoveries_total{namespace=alerts,result=too_many}",
    }


def test_what_the_engine_left_out_is_counted(metrics: Metrics) -> None:
    """Gaps by their outcome, repeats, and the channels that are kept, by namespace."""
    metrics.gaps_total.add(("alerts", GapResult.REPAIRED))
    metrics.gaps_total.add(("alerts", GapResult.LOST))
    metrics.repeats_total.add(("alerts",))
    metrics.count_channels({"alerts": 3, "made-up": 2})
    found = samples(metrics)
    assert found["gaps_total{namespace=alerts,result=repaired}"] == 1
    assert found["gaps_total{namespace=alerts,result=lost}"] == 1
    assert found["repeats_total{namespace=alerts}"] == 1
    assert found["channels{namespace=alerts}"] == 3
    assert found["channels{namespace=other}"] == 2
    metrics.count_channels({})
    assert samples(metrics).get("channels{namespace=alerts}", 0) == 0


def test_the_node_tells_how_it_is(metrics: Metrics) -> None:
    """Engine, loop, revocations, mode, build and events are there."""
    metrics.revoked(0.3)
    metrics.engine_seconds.observe(0.004, ("publish",))
    metrics.engine_up.set(True)
    metrics.loop_lag_seconds.set(0.125)
    metrics.insecure_mode.set(True)
    metrics.events_total.add((Event.AUTH_FAIL,))
    found = samples(metrics)
    assert found["revocations_total{}"] == 1
    assert found["revocation_seconds_sum{}"] == 0.3
    assert found["engine_seconds_count{operation=publish}"] == 1
    assert found["engine_up{}"] == 1
    assert found["loop_lag_seconds{}"] == 0.125
    assert found["insecure_mode{}"] == 1
    assert found["events_total{event=auth.fail}"] == 1
    assert any(name.startswith("build_info{") and "version=1.2.3" in name for name in found)


def test_the_identity_provider_is_timed_by_outcome(metrics: Metrics) -> None:
    """An answer that took long is told from one that never came."""
    metrics.identity_provider_seconds.observe(0.03, (ProviderResult.OK,))
    metrics.identity_provider_seconds.observe(5.0, (ProviderResult.TIMEOUT,))
    found = samples(metrics)
    assert found["identity_provider_seconds_bucket{le=0.05,result=ok}"] == 1
    assert "identity_provider_seconds_bucket{le=0.025,result=ok}" not in found
    assert found["identity_provider_seconds_count{result=timeout}"] == 1
    assert found["identity_provider_seconds_sum{result=timeout}"] == 5.0


def test_readings_come_from_whoever_keeps_them(metrics: Metrics) -> None:
    """The log and the audit keep their own counts, on their own threads."""
    metrics.log_dropped_total.follow(lambda: 4)
    metrics.audit_failures_total.follow(lambda: 2)
    found = samples(metrics)
    assert found["log_dropped_total{}"] == 4
    assert found["audit_failures_total{}"] == 2


@pytest.mark.p1
def test_an_attack_adds_no_series(metrics: Metrics) -> None:
    """A hundred thousand made-up names leave as many lines in a scrape as there were before."""
    before = metrics.render().count(b"\n")
    for number in range(20_000):
        name = f"user-{number}"
        metrics.received(name, name, 10)
        metrics.received("rooms", name, 10)
        metrics.sent("rooms", name, 10)
        metrics.delivered(name, 1, 1, 0.1)
        metrics.engine_seconds.observe(0.1, (name,))
    found = samples(metrics)
    assert metrics.render().count(b"\n") == before
    assert found["messages_received_total{endpoint=rooms,type=other}"] == 20_000
    assert found["messages_received_total{endpoint=other,type=other}"] == 20_000
    assert not any("user-" in name for name in found)


def test_two_gateways_in_one_process_do_not_meet() -> None:
    """Each has its registry, and neither is prometheus-client's own."""
    one, two = Metrics(ENDPOINTS), Metrics(ENDPOINTS)
    one.connection_opened("rooms")
    assert "connections{endpoint=rooms}" in samples(one)
    assert "connections{endpoint=rooms}" not in samples(two)


def test_the_process_itself_is_shown(metrics: Metrics) -> None:
    """Memory and descriptors stand beside our own numbers, under our prefix."""
    text = metrics.render()
    assert b"portward_process_resident_memory_bytes" in text
    assert b"portward_process_open_fds" in text


def test_the_text_says_what_it_is(metrics: Metrics) -> None:
    """The content type is that of the text format."""
    assert metrics.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert metrics.render().startswith(b"# HELP portward_connections ")


def test_every_name_has_the_prefix(metrics: Metrics) -> None:
    """Nothing in a scrape could be taken for another program's, but for one name of older gateways."""
    lines = [line for line in metrics.render().decode().splitlines() if line[0] != "#"]
    others = [line for line in lines if not line.startswith("portward_")]
    assert others == ['ws_connections_active{workspace="other"} 0.0']


def test_a_scrape_from_another_thread_meets_no_change_of_size(metrics: Metrics) -> None:
    """Counting goes on while a thread renders."""
    broken: list[BaseException] = []

    def scrape() -> None:
        try:
            for _ in range(5):
                metrics.render()
        except RuntimeError as error:
            broken.append(error)

    thread = threading.Thread(target=scrape)
    thread.start()
    number = 0
    while thread.is_alive():
        number += 1
        metrics.received(f"endpoint-{number}", f"type-{number}", 1)
    thread.join()
    assert not broken


PROMISED = {
    "gauge": "connections engine_up loop_lag_seconds insecure_mode build_info",
    "counter": "connections_total handshakes_refused_total auth_total closes_total "
    "messages_received_total messages_sent_total bytes_received_total bytes_sent_total "
    "publications_total deliveries_total faults_total limit_refusals_total "
    "slow_disconnects_total recoveries_total revocations_total log_dropped_total "
    "audit_failures_total",
    "histogram": "fanout_seconds revocation_seconds engine_seconds identity_provider_seconds",
}


@pytest.mark.parametrize(("kind", "names"), PROMISED.items(), ids=list(PROMISED))
def test_every_promised_family_is_there(metrics: Metrics, kind: str, names: str) -> None:
    """Dashboards and alarms rely on names and types."""
    lines = metrics.render().decode().splitlines()
    assert [name for name in names.split() if f"# TYPE portward_{name} {kind}" not in lines] == []
