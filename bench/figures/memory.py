"""P4: resident memory of connections that are open, subscribed, and say nothing."""

import itertools
import time
from collections.abc import Callable

from bench import outside, portward, servers
from bench.figure import Figure, at_most, find, rounds, table, value_of
from bench.processes import resident_bytes
from bench.scale import Scale
from bench.servers import Server, Workshop

OURS = "portward, authenticated, in a room"


class Resident(portward.Served):
    """Each connection is a user of its own, and twenty share a room."""

    subscriber = staticmethod(portward.resident)


CONTENDERS: dict[str, Callable[[Workshop], Server]] = {
    OURS: Resident,
    "ws (Node)": servers.ws,
    "nchan (nginx)": outside.Nchan,
    "websockets (Python)": servers.websockets,
    "nats-server": outside.Nats,
}


def levels(server: Server, scale: Scale) -> dict[int, int]:
    """Resident bytes with no connection and with each of the numbers of them to hold."""
    time.sleep(scale.rest)
    found = {0: resident_bytes(server.pid)}
    with server.load(scale.held[-1]) as load:
        for before, held in itertools.pairwise((0, *scale.held)):
            load.open(held - before)
            time.sleep(scale.rest)
            found[held] = resident_bytes(server.pid)
    return found


def slopes(found: dict[int, int]) -> dict[str, float]:
    """KiB a connection more, between one number of connections and the next, but the first."""
    return {
        f"{fewer} to {more}": (found[more] - found[fewer]) / (more - fewer) / 1024
        for fewer, more in itertools.pairwise(list(found)[1:])
    }


def measure(
    start: Callable[[Workshop], Server], workshop: Workshop, scale: Scale
) -> Callable[[], float]:
    """One run of one contender: KiB per connection, at the largest number."""

    def run() -> float:
        with start(workshop) as server:
            found = levels(server, scale)
        most = scale.held[-1]
        return (found[most] - found[0]) / most / 1024

    return run


def take(workshop: Workshop, scale: Scale) -> Figure:
    """Measures every contender, round by round."""
    contenders = {name: measure(start, workshop, scale) for name, start in CONTENDERS.items()}
    result = rounds("P4", contenders, scale.rounds)
    rows = table(result.runs, OURS, ours=(OURS,))
    return Figure(
        name="P4",
        title=f"memory per idle, authenticated, subscribed connection at {scale.held[-1]}",
        unit="KiB",
        base=OURS,
        rows=rows,
        reaches=(at_most("at most 12 KiB", value_of(find(rows, OURS)), 12.0, "KiB"),),
        missing=tuple(result.missing),
        failed=tuple(result.failed),
        notes=(
            "Growth of the resident memory since the start, divided by the connections: what is "
            "loaded once at the first connection is in it. The peers know no users and no rooms.",
        ),
    )
