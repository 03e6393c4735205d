"""P3: connections at a steady pace, each with a token of its own; CPU per connection."""

import time
from collections.abc import Callable

from bench import portward, servers
from bench.figure import Figure, at_most, find, ratio_of, rounds, table
from bench.load import Script, head
from bench.processes import measured_cpu
from bench.scale import Scale
from bench.servers import SECRET, Server, Workshop

OURS = "portward, HS256"
GREETED = "portward, HS256, rooms greeting"
BASE = "ws (Node), no token"

Start = Callable[[Workshop], Server]


def _bearer(index: int) -> Script:
    return Script(head(Authorization=f"Bearer {portward.token(f'visitor{index}')}"))


def _plain(index: int) -> Script:  # noqa: ARG001 - all are alike
    return Script(head())


CONTENDERS: dict[str, tuple[Start, Callable[[int], Script]]] = {
    "floor (C, fixed answer)": (servers.floor, _plain),
    OURS: (portward.Served, portward.visitor),
    GREETED: (portward.Served, portward.guest),
    BASE: (servers.ws, _plain),
    "ws (Node), HS256": (lambda shop: servers.ws(shop, "check", SECRET), _bearer),
    "websockets (Python), no token": (servers.websockets, _plain),
    "websockets (Python), HS256": (
        lambda shop: servers.websockets(shop, "check", SECRET),
        _bearer,
    ),
}


def measure(
    start: Start, script: Callable[[int], Script], workshop: Workshop, scale: Scale
) -> Callable[[], float]:
    """One run of one contender: microseconds of CPU per connection."""

    def run() -> float:
        total = scale.warm + scale.handshakes
        with start(workshop) as server, server.load(total, script) as load:
            load.open(scale.warm, scale.handshake_rate)
            time.sleep(scale.settle)
            with measured_cpu(server.pid) as spent:
                load.open(scale.handshakes, scale.handshake_rate)
            return spent[0] / scale.handshakes * 1e6

    return run


def take(workshop: Workshop, scale: Scale) -> Figure:
    """Measures every contender, round by round."""
    contenders = {
        name: measure(start, script, workshop, scale)
        for name, (start, script) in CONTENDERS.items()
    }
    result = rounds("P3", contenders, scale.rounds)
    rows = table(result.runs, BASE, ours=(OURS, GREETED))
    ours = find(rows, OURS)
    ratio = ratio_of(ours)
    return Figure(
        name="P3",
        title=f"handshake with an HS256 token, {scale.handshake_rate:g}/s: CPU per connection",
        unit="µs",
        base=BASE,
        rows=rows,
        reaches=(
            at_most("at most 1.3 of `ws` without a token check", ratio, 1.3, "of ws"),
            at_most("aim: below `ws` without a token check", ratio, 1.0, "of ws"),
        ),
        missing=tuple(result.missing),
        failed=tuple(result.failed),
        notes=(
            "Every connection brings its own token, in the header; origin, address, caps, rates "
            "and revocation are checked too. With the rooms dialect a connection is also greeted, "
            "and given a signed token for its session.",
        ),
    )
