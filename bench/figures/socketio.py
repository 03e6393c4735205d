"""P10: one room of a workspace, many Socket.IO clients over WebSocket; CPU per delivery."""

from collections.abc import Callable

from bench import portward, servers
from bench.figure import Figure, below, find, rounds, table
from bench.figures.fanout import FLOOR, SIZE, measure
from bench.scale import Scale
from bench.servers import Server, Workshop

OURS = "portward (workspaces)"
PEER = "socket.io (Node)"

CONTENDERS: dict[str, Callable[[Workshop], Server]] = {
    FLOOR: servers.floor,
    OURS: portward.Workspace,
    PEER: servers.socketio,
}


def take(workshop: Workshop, scale: Scale) -> Figure:
    """Measures every contender, round by round."""
    contenders = {name: measure(start, workshop, scale) for name, start in CONTENDERS.items()}
    result = rounds("P10", contenders, scale.rounds)
    rows = table(result.runs, FLOOR, ours=(OURS,))
    ours = find(rows, OURS)
    peers = [row for row in rows if row.contender == PEER]
    return Figure(
        name="P10",
        title=f"Socket.IO fan-out, {scale.subscribers} clients, {scale.rate:g} events/s with "
        f"{SIZE} B of payload: CPU per delivery",
        unit="µs",
        base=FLOOR,
        rows=rows,
        reaches=(below(ours, peers, "µs"),),
        missing=tuple(result.missing),
        failed=tuple(result.failed),
        notes=(
            "Clients of the gateway prove themselves with a token each and join the dashboard of a "
            "workspace; those of Node's socket.io join a room without being asked who they are. "
            "The floor sends the payload alone.",
        ),
    )
