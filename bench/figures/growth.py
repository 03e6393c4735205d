"""P7: what P1 and P4 come to with more subscribers, and P1 with more channels."""

import statistics
import time
from collections.abc import Callable

from bench import portward, servers
from bench.figure import Figure, Reach, Rounds, Row, flat, rounds, table
from bench.figures.fanout import per_delivery
from bench.figures.memory import Resident, levels, slopes
from bench.load import Script
from bench.scale import Scale
from bench.servers import Server, Workshop

SHARE = 0.2
Part = tuple[Rounds, tuple[Row, ...], Reach]


def _crowd(
    start: Callable[[Workshop], Server],
    workshop: Workshop,
    scale: Scale,
    crowd: tuple[int, int, float],
) -> Callable[[], float]:
    subscribers, messages, rate = crowd

    def run() -> float:
        with start(workshop) as server, server.load(subscribers) as load:
            load.open(subscribers)
            time.sleep(scale.settle)
            return per_delivery(server, load, subscribers, messages, rate)

    return run


def _subscribers(workshop: Workshop, scale: Scale) -> Part:
    """P1 at several numbers of subscribers, each beside the floor at that number."""
    contenders: dict[str, Callable[[], float]] = {}
    for crowd in scale.crowds:
        contenders[f"floor, {crowd[0]} subscribers"] = _crowd(servers.floor, workshop, scale, crowd)
        contenders[f"portward, {crowd[0]} subscribers"] = _crowd(
            portward.Embedded, workshop, scale, crowd
        )
    result = rounds("P7", contenders, scale.rounds)
    rows: list[Row] = []
    for size, _, _ in scale.crowds:
        base, ours = f"floor, {size} subscribers", f"portward, {size} subscribers"
        pair = {name: result.runs.get(name, []) for name in (base, ours)}
        rows += table(pair, base, ours=(ours,))
    found = {row.contender.split()[1]: row.ratio for row in rows if row.ours and row.ratio}
    return result, tuple(rows), flat("P1 over subscribers, in floors of that size", found, SHARE)


def _among(workshop: Workshop, scale: Scale, channels: int) -> Callable[[], float]:
    """P1 while other connections hold other channels: `channels` of them with the measured one."""
    others = channels - 1
    each = -(-others // scale.bystanders)

    def script(index: int) -> Script:
        return portward.bystander(index, min(each, max(0, others - index * each)))

    def run() -> float:
        with (
            portward.Embedded(workshop) as server,
            server.load(scale.bystanders, script) as crowd,
            server.load(scale.subscribers) as load,
        ):
            crowd.open(scale.bystanders)
            load.open(scale.subscribers)
            time.sleep(scale.settle)
            return per_delivery(server, load, scale.subscribers, scale.messages, scale.rate)

    return run


def _channels(workshop: Workshop, scale: Scale) -> Part:
    """P1 among several numbers of channels."""
    contenders = {
        f"portward, {channels} channels": _among(workshop, scale, channels)
        for channels in scale.channels
    }
    result = rounds("P7", contenders, scale.rounds)
    rows = table(result.runs, f"portward, {scale.channels[0]} channels", ours=contenders)
    found = {row.contender.split()[1]: row.value for row in rows}
    return result, rows, flat("P1 over channels, µs", found, SHARE)


def _memory(workshop: Workshop, scale: Scale) -> Part:
    """P4 between several numbers of connections: KiB that each one more takes."""
    found: dict[str, list[float]] = {}

    def run() -> float:
        with Resident(workshop) as server:
            for step, value in slopes(levels(server, scale)).items():
                found.setdefault(step, []).append(value)
        return statistics.fmean(values[-1] for values in found.values())

    result = rounds("P7", {"portward, KiB a connection": run}, scale.rounds)
    rows = tuple(
        Row(f"portward, KiB a connection, {step}", tuple(values), ours=True)
        for step, values in found.items()
    )
    medians = {step: statistics.median(values) for step, values in found.items()}
    return result, rows, flat("P4 over connections, KiB", medians, SHARE)


def take(workshop: Workshop, scale: Scale) -> Figure:
    """Measures the three kinds of growth."""
    parts = [part(workshop, scale) for part in (_subscribers, _channels, _memory)]
    return Figure(
        name="P7",
        title="growth: P1 and P4 flat within 20 %",
        unit="µs per delivery; KiB where said",
        base="the floor at that size; the fewest channels",
        rows=tuple(row for _, rows, _ in parts for row in rows),
        reaches=tuple(reach for _, _, reach in parts),
        missing=tuple(line for result, _, _ in parts for line in result.missing),
        failed=tuple(line for result, _, _ in parts for line in result.failed),
        notes=(
            "The pace falls as the subscribers grow, for two cores to carry it and the load "
            "client: "
            + ", ".join(f"{size} at {rate:g}/s" for size, _, rate in scale.crowds)
            + ". Memory is the slope between two numbers of connections.",
        ),
    )
