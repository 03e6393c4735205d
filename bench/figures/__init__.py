"""The figures, by name."""

from collections.abc import Callable
from typing import Final

from bench.figure import Figure
from bench.figures import fanout, growth, handshake, inbound, memory, nodes, socketio
from bench.scale import Scale
from bench.servers import Workshop

FIGURES: Final[dict[str, Callable[[Workshop, Scale], Figure]]] = {
    "P1": fanout.take,
    "P3": handshake.take,
    "P4": memory.take,
    "P5": inbound.take,
    "P7": growth.take,
    "P8": nodes.take,
    "P10": socketio.take,
}
