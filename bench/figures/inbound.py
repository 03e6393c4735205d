"""P5: messages from clients, each delivered to one; CPU per message."""

import time
from collections.abc import Callable

from bench import portward, servers
from bench.figure import Figure, at_most, find, rounds, table, value_of
from bench.load import Script, head
from bench.processes import measured_cpu
from bench.scale import Scale
from bench.servers import Server, Workshop

OURS = "portward, rooms message"
BASE = "ws (Node), JSON echo"

Start = Callable[[Workshop], Server]


def _echoed(index: int) -> Script:
    return Script(head(), talk=portward.speaker(index).talk)


CONTENDERS: dict[str, tuple[Start, Callable[[int], Script]]] = {
    OURS: (portward.Served, portward.speaker),
    BASE: (lambda shop: servers.ws(shop, "echo"), _echoed),
    "websockets (Python), JSON echo": (lambda shop: servers.websockets(shop, "echo"), _echoed),
}


def measure(
    start: Start, script: Callable[[int], Script], workshop: Workshop, scale: Scale
) -> Callable[[], float]:
    """One run of one contender: microseconds of CPU per message."""

    def run() -> float:
        each = scale.spoken // scale.speakers
        with start(workshop) as server, server.load(scale.speakers, script) as load:
            load.open(scale.speakers)
            load.talk(scale.speakers, scale.speech_rate)
            load.expect(scale.speakers, 1)
            time.sleep(scale.settle)
            with measured_cpu(server.pid) as spent:
                load.talk(scale.speakers * each, scale.speech_rate)
                load.expect(scale.speakers, each)
            return spent[0] / (scale.speakers * each) * 1e6

    return run


def take(workshop: Workshop, scale: Scale) -> Figure:
    """Measures every contender, round by round."""
    contenders = {
        name: measure(start, script, workshop, scale)
        for name, (start, script) in CONTENDERS.items()
    }
    result = rounds("P5", contenders, scale.rounds)
    rows = table(result.runs, BASE, ours=(OURS,))
    ours = find(rows, OURS)
    return Figure(
        name="P5",
        title=f"inbound rooms message, {scale.speech_rate:g}/s over {scale.speakers} users: "
        "CPU per message",
        unit="µs",
        base=BASE,
        rows=rows,
        reaches=(at_most("at most 40 µs, memory engine", value_of(ours), 40.0, "µs"),),
        missing=tuple(result.missing),
        failed=tuple(result.failed),
        notes=(
            "Decoded, held to its rate, judged, stored with an offset, and delivered to one. The "
            "peers parse the JSON and send it back: nothing is checked or stored.",
        ),
    )
