"""Positions of this node beside those of the engine."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from portward.model.channel import Channel
from portward.node.cluster.position_check import AT_ONCE, GRACE, PositionCheck
from tests.node.simulated_cluster import SimulatedCluster, simulated_cluster
from tests.running_gateway import LOBBY, contents, settle


@pytest.fixture
async def net() -> AsyncIterator[SimulatedCluster]:
    """One node whose bus is not to be trusted."""
    async with simulated_cluster() as net:
        yield net


def comparison(net: SimulatedCluster) -> PositionCheck:
    """A comparison by hand, beside the node's own."""
    node = net.gateways[0].gateway.node
    return PositionCheck(node.context, node.subscriptions._authorizer, node.gap_repair)


async def test_all_alike(net: SimulatedCluster) -> None:
    """Where nothing differs nothing is read, and every channel was looked at."""
    rooms = [f"room{number}" for number in range(2 * AT_ONCE + 1)]
    for room in rooms:
        await net.gateways[0].room(room)
    await net.gateways[0].client("ann", *rooms)
    net.engines[0].reads.clear()
    await comparison(net).compare()
    await net.advance(2 * GRACE)
    assert sorted(net.engines[0].reads) == sorted(
        (Channel.parse(f"rooms:{each}"), 0) for each in rooms
    )


async def test_on_its_way_is_not_lost(net: SimulatedCluster) -> None:
    """What arrives within the grace was not lost, and is not read."""
    running, engine = net.gateways[0], net.engines[0]
    ann = await running.client("ann", "lobby")
    engine.keeping = True
    await running.gateway.publish("rooms:lobby", "a")
    engine.reads.clear()
    await comparison(net).compare()
    engine.bring()
    await net.advance(2 * GRACE)
    assert contents(ann) == ["a"]
    assert [limit for _, limit in engine.reads] == [0]
    assert running.count("gaps_total", namespace="rooms", result="repaired") == 0


async def test_lost(net: SimulatedCluster) -> None:
    """What has not arrived after the grace is read."""
    running, engine = net.gateways[0], net.engines[0]
    ann = await running.client("ann", "lobby")
    engine.losing = True
    await running.gateway.publish("rooms:lobby", "a")
    await comparison(net).compare()
    assert contents(ann) == []
    await net.advance(GRACE)
    assert contents(ann) == ["a"]


async def test_asked_while_under_way(net: SimulatedCluster) -> None:
    """Asked several times while it compares, it does so once more."""
    running, engine = net.gateways[0], net.engines[0]
    await running.client("ann", "lobby")
    engine.reads.clear()
    engine.gate = asyncio.Event()
    compared = comparison(net)
    comparing = asyncio.ensure_future(compared.compare())
    await settle()
    for _ in range(3):
        await compared.compare()
    engine.gate.set()
    await comparing
    assert len(engine.reads) == 2


async def test_not_while_it_is_mended(net: SimulatedCluster) -> None:
    """A channel that is held is left to its repair, one nobody knows the place of to its first word."""
    running, engine = net.gateways[0], net.engines[0]
    await running.client("ann", "lobby")
    engine.gate = gate = asyncio.Event()
    running.gateway.node.gap_repair.suspect_gap(LOBBY)
    bob = await running.client("bob")
    await running.room("other")
    bob.send({"type": "join", "data": {"roomId": "other"}})
    await settle()
    engine.gate = None
    engine.reads.clear()
    await comparison(net).compare()
    assert engine.reads == []
    gate.set()
    await settle()


async def test_engine_away(net: SimulatedCluster) -> None:
    """An engine that gives no answer is not asked about the other channels."""
    rooms = [f"room{number}" for number in range(2 * AT_ONCE)]
    for room in rooms:
        await net.gateways[0].room(room)
    await net.gateways[0].client("ann", *rooms)
    engine = net.engines[0]
    engine.away = True
    engine.reads.clear()
    compared = comparison(net)
    await compared.compare()
    assert len(engine.reads) == AT_ONCE
    engine.away = False
    await compared.compare()
    assert len(engine.reads) == AT_ONCE + len(rooms)
