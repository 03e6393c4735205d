"""The gauge of workspaces: counted while somebody is there, named up to a bound, gone afterwards."""

import threading
from collections.abc import Iterator
from typing import NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from portward.settings import Settings
from portward.telemetry.metrics import Metrics
from portward.telemetry.workspaces_gauge import LONGEST, NAMED, WorkspacesGauge
from portward.testing.gateway import memory_gateway
from tests.running_gateway import run_gateway, settings
from tests.socketio_peer import member, reach


class _Alone(NamedTuple):
    """What a registry collects when there is no other metric."""

    gauge: WorkspacesGauge

    def collect(self) -> Iterator[Metric]:
        """Yield the samples of the gauge."""
        yield self.gauge.collect()


def shown(source: WorkspacesGauge | Metrics) -> dict[str, float]:
    """The series by workspace, read from the text that Prometheus is given."""
    if isinstance(source, Metrics):
        text = source.render()
    else:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Alone(source))
        text = generate_latest(registry)
    return {
        sample.labels["workspace"]: sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if sample.name == "ws_connections_active"
    }


def test_a_workspace_is_shown_while_somebody_is_there() -> None:
    """Connections are counted one by one, and the series goes with the last one."""
    places = WorkspacesGauge()
    for client, workspace in (("1", "a"), ("2", "a"), ("3", "b")):
        places.enter(client, workspace)
    assert shown(places) == {"a": 2, "b": 1, "other": 0}
    places.leave("3")
    places.leave("1")
    assert shown(places) == {"a": 1, "other": 0}
    places.leave("2")
    assert (shown(places), len(places)) == ({"other": 0}, 0)


def test_a_connection_counts_once() -> None:
    """Entering again moves it, and leaving twice or unseen changes nothing."""
    places = WorkspacesGauge()
    places.enter("1", "a")
    places.enter("1", "b")
    places.leave("2")
    assert shown(places) == {"b": 1, "other": 0}
    places.leave("1")
    places.leave("1")
    assert shown(places) == {"other": 0}


def test_who_names_no_workspace_is_of_the_others() -> None:
    """So is a workspace that is itself called so: there is one series of a name."""
    places = WorkspacesGauge()
    for client, workspace in (("1", None), ("2", ""), ("3", "other"), ("4", "a")):
        places.enter(client, workspace)
    assert shown(places) == {"a": 1, "other": 3}


def test_a_thousand_are_named() -> None:
    """Those beyond are counted together, and get a name when there is room."""
    places = WorkspacesGauge()
    for number in range(NAMED + 5):
        places.enter(f"x{number}", f"w{number}")
        places.enter(f"y{number}", f"w{number}")
    found = shown(places)
    assert (len(found), found["other"], found["w0"]) == (NAMED + 1, 10, 2)
    for client in ("x0", "y0", "x1", "y1"):
        places.leave(client)
    found = shown(places)
    assert (len(found), found["other"], found[f"w{NAMED + 1}"]) == (NAMED + 1, 6, 2)


def test_long_names_are_cut() -> None:
    """Two that differ behind the cut are one series."""
    places = WorkspacesGauge()
    places.enter("1", "w" * LONGEST + "a")
    places.enter("2", "w" * LONGEST + "b")
    places.enter("3", "w" * LONGEST)
    assert shown(places) == {"w" * (LONGEST - 1) + "…": 2, "w" * LONGEST: 1, "other": 0}


def test_odd_names_stay_labels() -> None:
    """Whatever a token says ends neither the label nor the line, and leaves the scrape whole."""
    places = WorkspacesGauge()
    names = {
        'a"} 99\nfake 1': 'a"} 99\\nfake 1',
        "b\\": "b\\",
        "ü{x}": "ü{x}",
        "c\u2028d\re\x85": "c\\u2028d\\re\\x85",
        "\ud800": "\\ud800",
    }
    for name in names:
        places.enter(name, name)
    assert shown(places) == {**dict.fromkeys(names.values(), 1.0), "other": 0}


def test_it_is_read_while_it_changes() -> None:
    """A scrape in another thread meets whole numbers, whoever comes and goes meanwhile."""
    places, failed = WorkspacesGauge(), []

    def scrape() -> None:
        for _ in range(300):
            try:
                places.collect()
            except RuntimeError as error:
                failed.append(error)

    thread = threading.Thread(target=scrape)
    thread.start()
    number = 0
    while thread.is_alive():
        number += 1
        places.enter(str(number), f"w{number % 50}")
        places.leave(str(number - 20))
    thread.join()
    assert failed == []


async def test_connections_of_a_gateway() -> None:
    """Counted once they have proven who they are, on this endpoint alone; a refresh moves nobody."""
    async with run_gateway(settings()) as running:
        metrics = running.gateway.telemetry.metrics
        await reach(running.gateway)
        await running.client("bob", workspaceId="w1")
        assert shown(metrics) == {"other": 0}
        ann = await member(running, "ann", workspace="w1")
        eve = await member(running, "eve", workspace="w2")
        assert shown(metrics) == {"w1": 1, "w2": 1, "other": 0}
        newer = running.token("ann", ttl=7200.0, workspaceId="w1")
        assert (await ann.call("token_refresh", {"token": newer}))["ok"]
        assert shown(metrics)["w1"] == 1
        await ann.say("1")
        assert shown(metrics)["w1"] == 1
        ann.leave()
        eve.leave(None)
        await ann.settle()
        assert shown(metrics) == {"other": 0}


async def test_who_is_refused_is_not_counted() -> None:
    """Neither with a bad token nor when the application turns them away after all."""
    async with memory_gateway(Settings()) as gateway:

        @gateway.on_connect
        async def nobody(_: object) -> bool:
            return False

        for token in ("x", gateway.token("ann", workspaceId="w1")):
            peer = await reach(gateway)
            await peer.enter({"token": token})
            assert peer.closed is not None
        assert shown(gateway.telemetry.metrics) == {"other": 0}
