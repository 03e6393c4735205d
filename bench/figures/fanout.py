"""P1: one channel, many subscribers, publications at a steady pace; CPU per delivery."""

import time
from collections.abc import Callable

from bench import outside, portward, servers
from bench.figure import Figure, at_most, below, find, ratio_of, rounds, table
from bench.load import Load
from bench.processes import measured_cpu
from bench.scale import Scale
from bench.servers import Server, Workshop

SIZE = 128
WARMING = 5
OURS = "portward (library)"
OURS_API = "portward (HTTP API)"
FLOOR = "floor (C, send)"


def per_delivery(server: Server, load: Load, subscribers: int, messages: int, rate: float) -> float:
    """Microseconds of the server's CPU per delivery, to subscribers that are already there."""
    server.publish(WARMING, rate, SIZE)
    load.expect(subscribers, WARMING)
    with measured_cpu(server.pid) as spent:
        server.publish(messages, rate, SIZE)
        # The last publication may still be on its way out when its publisher is done.
        load.expect(subscribers, messages)
    return spent[0] / (subscribers * messages) * 1e6


def measure(
    start: Callable[[Workshop], Server], workshop: Workshop, scale: Scale
) -> Callable[[], float]:
    """One run of one contender, from its start to its end."""

    def run() -> float:
        with start(workshop) as server, server.load(scale.subscribers) as load:
            load.open(scale.subscribers)
            time.sleep(scale.settle)
            return per_delivery(server, load, scale.subscribers, scale.messages, scale.rate)

    return run


CONTENDERS: dict[str, Callable[[Workshop], Server]] = {
    FLOOR: servers.floor,
    OURS: portward.Embedded,
    OURS_API: portward.Served,
    "nchan (nginx)": outside.Nchan,
    "ws (Node)": servers.ws,
    "nats-server": outside.Nats,
    "websockets (Python)": servers.websockets,
}


def take(workshop: Workshop, scale: Scale) -> Figure:
    """Measures every contender, round by round."""
    contenders = {name: measure(start, workshop, scale) for name, start in CONTENDERS.items()}
    result = rounds("P1", contenders, scale.rounds)
    rows = table(result.runs, FLOOR, ours=(OURS, OURS_API))
    ours = find(rows, OURS)
    peers = [row for row in rows if not row.ours and row.contender != FLOOR]
    return Figure(
        name="P1",
        title=f"fan-out, {scale.subscribers} subscribers, {scale.rate:g} messages/s of {SIZE} B: "
        "CPU per delivery",
        unit="µs",
        base=FLOOR,
        rows=rows,
        reaches=(
            at_most("at most 1.35 of the floor", ratio_of(ours), 1.35, "of the floor"),
            below(ours, peers, "µs"),
        ),
        missing=tuple(result.missing),
        failed=tuple(result.failed),
        notes=(
            "The floor and the small peers publish by themselves, as the library row does; the "
            "HTTP API row, nchan and nats-server are published to from outside.",
        ),
    )
