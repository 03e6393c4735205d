"""P8: the same subscribers on two nodes over Redis as on one node alone; CPU per delivery."""

import time
from collections.abc import Callable
from contextlib import ExitStack

from bench.figure import Figure, at_most, find, ratio_of, rounds, table
from bench.figures.fanout import SIZE, WARMING
from bench.outside import Redis
from bench.portward import Served
from bench.processes import cpu_seconds
from bench.scale import Scale
from bench.servers import Workshop

ONE = "one node, memory"
ONE_REDIS = "one node over Redis"
TWO = "two nodes over Redis"


def measure(workshop: Workshop, scale: Scale, nodes: int, *, redis: bool) -> Callable[[], float]:
    """Microseconds of all nodes' CPU per delivery; everything is published to the first of them."""

    def run() -> float:
        with ExitStack() as stack:
            url = stack.enter_context(Redis(workshop)).url if redis else "memory://"
            served = [
                stack.enter_context(Served(workshop, engine=url, name=f"node{number}"))
                for number in range(nodes)
            ]
            each = scale.subscribers // nodes
            loads = [stack.enter_context(node.load(each)) for node in served]
            for load in loads:
                load.open(each)
            time.sleep(scale.settle)

            def publish(count: int) -> None:
                served[0].publish(count, scale.rate, SIZE)
                for load in loads:
                    load.expect(each, count)

            publish(WARMING)
            before = sum(cpu_seconds(node.pid) for node in served)
            publish(scale.messages)
            spent = sum(cpu_seconds(node.pid) for node in served) - before
            return spent / (each * nodes * scale.messages) * 1e6

    return run


def take(workshop: Workshop, scale: Scale) -> Figure:
    """Measures one node, one node over Redis, and two, round by round."""
    contenders = {
        ONE: measure(workshop, scale, 1, redis=False),
        ONE_REDIS: measure(workshop, scale, 1, redis=True),
        TWO: measure(workshop, scale, 2, redis=True),
    }
    result = rounds("P8", contenders, scale.rounds)
    rows = table(result.runs, ONE, ours=(ONE, ONE_REDIS, TWO))
    return Figure(
        name="P8",
        title=f"two nodes, {scale.subscribers} subscribers in all, {scale.rate:g} messages/s of "
        f"{SIZE} B: CPU per delivery",
        unit="µs",
        base=ONE,
        rows=rows,
        reaches=(
            at_most(
                "at most 1.15 of one node",
                ratio_of(find(rows, TWO)),
                1.15,
                "of one node",
            ),
        ),
        missing=tuple(result.missing),
        failed=tuple(result.failed),
        notes=(
            "All rows publish by the HTTP API of the first node, which is in the figure. What Redis "
            "itself spends is not.",
        ),
    )
