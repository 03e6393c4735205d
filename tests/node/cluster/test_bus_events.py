"""From the engine to the hub: what comes, and what becomes of it."""

from collections.abc import AsyncIterator

import pytest

from portward.engines.port import EngineEvents
from portward.model.channel import Channel
from portward.model.events import UserJoined, UserSignalled
from portward.model.publication import Draft, Publication
from tests.node.simulated_cluster import SimulatedCluster, simulated_cluster
from tests.running_gateway import LOBBY, contents, forget, kinds, session_of, settle


@pytest.fixture
async def net() -> AsyncIterator[SimulatedCluster]:
    """One node."""
    async with simulated_cluster() as net:
        yield net


def sink_of(net: SimulatedCluster) -> EngineEvents:
    """What the engine announces to."""
    sink = net.engines[0].sink
    assert sink is not None
    return sink


def publication(offset: int, data: str) -> Publication:
    """A publication of an unknown stream."""
    return Publication.at(offset, Draft(id=data, time=0, data=data))


async def test_in_line(net: SimulatedCluster) -> None:
    """The next publication of a channel goes out to all but the one that is left out."""
    running = net.gateways[0]
    ann, bob = [await running.client(name, "lobby") for name in ("ann", "bob")]
    epoch = (await running.gateway.operations.position(LOBBY)).epoch
    sink_of(net).on_publication(LOBBY, publication(1, "a"), epoch, session_of(ann).id)
    sink_of(net).on_publication(LOBBY, publication(2, "b"), epoch, "nobody")
    await settle()
    assert (contents(ann), contents(bob)) == (["b"], ["a", "b"])


async def test_out_of_line(net: SimulatedCluster) -> None:
    """A publication that came before is not told again."""
    running = net.gateways[0]
    ann = await running.client("ann", "lobby")
    epoch = (await running.gateway.operations.position(LOBBY)).epoch
    for _ in range(2):
        sink_of(net).on_publication(LOBBY, publication(1, "a"), epoch, None)
    await settle()
    assert contents(ann) == ["a"]


async def test_nobody_listens(net: SimulatedCluster) -> None:
    """What nobody here listens to is passed over, whatever its number."""
    for offset in (5, 9, 1):
        sink_of(net).on_publication(Channel.parse("rooms:x"), publication(offset, "a"), "e", None)
    assert net.engines[0].reads == []


async def test_others_are_told_of_people(net: SimulatedCluster) -> None:
    """Who caused an event is not told of it."""
    running = net.gateways[0]
    ann, bob = [await running.client(name, "lobby") for name in ("ann", "bob")]
    forget(ann, bob)
    client = session_of(ann).id
    sink_of(net).on_control(UserJoined(channel=LOBBY, user="ann", client=client))
    sink_of(net).on_control(
        UserSignalled(channel=LOBBY, user="ann", client=client, name="typing", active=True)
    )
    await settle()
    assert (kinds(ann), len(kinds(bob))) == ([], 2)
