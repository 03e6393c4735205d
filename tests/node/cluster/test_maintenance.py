"""What a node does unasked: leases, pulls, rights after an interruption, word of itself."""

from collections.abc import AsyncIterator

import pytest

from portward.engines.port import LEASE, Member
from portward.model.channel import Channel
from portward.node.cluster.maintenance import (
    NODE_TTL,
    PRESENCE_INTERVAL,
    PULL_INTERVAL,
    SOON,
    SPREAD,
    TOUCH_INTERVAL,
)
from portward.telemetry.events import Event
from portward.testing import MemoryClient
from portward.version import __version__
from tests.node.simulated_cluster import SimulatedCluster, simulated_cluster
from tests.running_gateway import LOBBY, RunningGateway, ask, session_of
from tests.stores import stores

AUTHORS = {"read": ["author"], "write": ["author"], "admin": []}


@pytest.fixture
async def net() -> AsyncIterator[SimulatedCluster]:
    """Two nodes."""
    async with simulated_cluster(2) as net:
        yield net


def removed(client: MemoryClient) -> bool:
    """Whether a client lost its room."""
    return bool(client.all("room_left"))


def interrupt(net: SimulatedCluster, node: int) -> None:
    """Tell a node that the bus was away."""
    sink = net.engines[node].sink
    assert sink is not None
    sink.on_interrupted()


# -- leases


async def test_leases_are_renewed(net: SimulatedCluster) -> None:
    """Every ten seconds, in one call, with whoever is present; a lease outlives two renewals."""
    assert 2 * TOUCH_INTERVAL < LEASE
    running, engine = net.gateways[0], net.engines[0]
    await running.room("other")
    ann = await running.client("ann", "lobby", "other", email="ann@example.com")
    bob = await running.client("bob", "lobby")
    await running.client("idle")
    await running.client()
    await net.advance(TOUCH_INTERVAL)
    (touched,) = engine.called("presence.renew")
    member = Member(session_of(ann).id, "ann", "ann@example.com")
    assert touched[0] == [
        (LOBBY, member),
        (Channel.parse("rooms:other"), member),
        (LOBBY, Member(session_of(bob).id, "bob")),
    ]
    await ask(bob, "leave", roomId="lobby")
    await net.advance(TOUCH_INTERVAL)
    assert len(engine.called("presence.renew")[1][0]) == 2

    assert await net.store.presence.members(LOBBY) == (member,)


async def test_leases_that_ran_out_are_looked_for(net: SimulatedCluster) -> None:
    """Often enough that whoever was on a node that died is gone within 35 seconds."""
    assert LEASE + PRESENCE_INTERVAL <= 31.0
    engine = net.engines[0]
    await net.advance(PRESENCE_INTERVAL)
    await net.advance(PRESENCE_INTERVAL)
    assert len(engine.called("presence.sweep")) == 2


async def test_nobody_present_nothing_renewed(net: SimulatedCluster) -> None:
    """A node without anybody in a channel does not trouble the store."""
    await net.gateways[0].client("ann")
    await net.advance(2 * TOUCH_INTERVAL)
    assert net.engines[0].called("presence.renew") == []


# -- word of itself


async def test_nodes_know_of_each_other(net: SimulatedCluster) -> None:
    """Every node is known to every node, with its numbers as it last told them."""
    first, second = (running.gateway.node for running in net.gateways)
    mine, theirs = first.operations.uid, second.operations.uid
    await net.gateways[0].client("ann", "lobby")
    await net.advance(TOUCH_INTERVAL)
    seen = second.survey.known
    assert {uid: each.clients for uid, each in seen.items()} == {mine: 1, theirs: 0}
    assert seen[mine].subscriptions == 1
    assert seen[mine].version == __version__
    assert seen[mine].name != ""
    assert net.engines[0].called("kv.lease nodes")[-1][2] == NODE_TTL


async def test_a_node_that_stops_says_so(net: SimulatedCluster) -> None:
    """A node that stops is listed no longer, and does nothing more."""
    first = net.gateways[0]
    gone, engine = first.gateway.operations.uid, net.engines[0]
    interrupt(net, 0)
    await first.gateway.stop()
    assert gone not in {each.uid for each in await stores(net.store).nodes.present()}
    engine.calls.clear()
    await net.advance(2 * PULL_INTERVAL)
    assert engine.calls == []


async def test_store_away(net: SimulatedCluster) -> None:
    """While the store is away a node knows who was there, and tries again the next time."""
    running, engine = net.gateways[0], net.engines[0]
    await running.client("ann", "lobby")
    await net.advance(TOUCH_INTERVAL)
    engine.calls.clear()
    engine.away = True
    await net.advance(PULL_INTERVAL)
    assert len(running.gateway.node.survey.known) == 2
    assert engine.called("presence.renew") == []
    engine.away = False
    await net.advance(TOUCH_INTERVAL)
    assert len(engine.called("presence.renew")) == 1
    assert len(running.gateway.node.survey.known) == 2
    assert running.events(Event.INTERNAL_ERROR) == 0


# -- revocations


def ended(running: RunningGateway, client: MemoryClient) -> bool:
    """Whether a connection, the only one of its node, was ended by a revocation."""
    return client.closed is not None and running.closes("revoked") == 1


async def test_lost_revocation_is_pulled(net: SimulatedCluster) -> None:
    """A revocation whose word was lost ends the sessions of every node within the interval."""
    first, second = net.gateways
    ann, bob = await second.client("ann"), await second.client("bob")
    await second.client()
    net.engines[1].losing = True
    await first.gateway.revoke(user="ann")
    assert ann.closed is None
    await net.advance(PULL_INTERVAL)
    assert (ended(second, ann), bob.closed) == (True, None)
    assert second.count("revocations_total") == 1
    await net.advance(3 * PULL_INTERVAL)
    assert second.count("revocations_total") == 1


async def test_revocation_that_was_heard_is_not_counted_again(net: SimulatedCluster) -> None:
    """What the bus brought is pulled as well, and changes nothing; who came after it stays."""
    first, second = net.gateways
    ann = await second.client("ann")
    await first.gateway.revoke(user="ann")
    assert ended(second, ann)
    await net.advance(2.0)
    again = await second.client("ann")
    await net.advance(2 * PULL_INTERVAL)
    assert again.closed is None
    assert second.count("revocations_total") == 1


async def test_pull_that_failed_is_made_up_for(net: SimulatedCluster) -> None:
    """What was revoked while the store could not be asked is found when it can, however long that took."""
    first, second = net.gateways
    ann = await second.client("ann", ttl=86400.0)
    net.engines[1].losing = net.engines[1].away = True
    await first.gateway.revoke(user="ann")
    await net.advance(10 * PULL_INTERVAL, step=10.0)
    assert ann.closed is None
    net.engines[1].away = False
    await net.advance(PULL_INTERVAL)
    assert ended(second, ann)


async def test_interruption_pulls_at_once(net: SimulatedCluster) -> None:
    """After an interruption revocations are asked for at once."""
    first, second = net.gateways
    ann = await second.client("ann")
    net.engines[1].losing = True
    await first.gateway.revoke(user="ann")
    interrupt(net, 1)
    interrupt(net, 1)
    await net.advance(SOON)
    assert ended(second, ann)
    assert len(net.engines[1].called("kv.indexed revoked")) == 1


async def test_one_pull_at_a_time(net: SimulatedCluster) -> None:
    """A pull that is due while one is under way is left out."""
    running, engine = net.gateways[0], net.engines[0]
    await running.client("ann")
    await running.gateway.revoke(user="bob")
    for _ in range(2):
        net.clock.advance(PULL_INTERVAL)
    await net.advance(0.1)
    assert len(engine.called("kv.indexed revoked")) == 1


# -- rights


async def test_rights_are_judged_after_an_interruption(net: SimulatedCluster) -> None:
    """Whose right was withdrawn while the bus was away loses the channel soon after it is back."""
    first, second = net.gateways
    clients = [await second.client(name, "lobby") for name in ("ann", "bob", "eve")]
    await second.client()
    net.engines[1].losing = True
    await first.room(permissions=AUTHORS)
    interrupt(net, 1)
    await net.advance(SOON + SPREAD, step=0.5)
    assert [removed(each) for each in clients] == [True] * 3


async def test_rights_are_judged_once_more_by_the_pull(net: SimulatedCluster) -> None:
    """What was lost after the judging is found at the next pull, when there was an interruption."""
    first, second = net.gateways
    ann = await second.client("ann", "lobby")
    interrupt(net, 1)
    await net.advance(5.0)
    net.engines[1].losing = True
    await first.room(permissions=AUTHORS)
    await net.advance(PULL_INTERVAL)
    assert removed(ann)


async def test_rights_are_not_judged_without_cause(net: SimulatedCluster) -> None:
    """As long as nothing was interrupted the pull judges nobody."""
    running, engine = net.gateways[0], net.engines[0]
    await running.client("ann", "lobby")
    engine.calls.clear()
    await net.advance(2 * PULL_INTERVAL)
    assert engine.called("kv.names user_roles") == []


async def test_judging_is_spread_and_ends(net: SimulatedCluster) -> None:
    """Of many sessions a part is judged at a time; one that has ended meanwhile is passed over."""
    running, engine = net.gateways[0], net.engines[0]
    clients = [await running.client(f"user{number}") for number in range(4)]
    engine.calls.clear()
    interrupt(net, 0)
    for _ in range(12):
        if not engine.called("kv.names user_roles"):
            await net.advance(0.1)
    clients[3].leave()
    interrupt(net, 0)
    await net.advance(3.0, step=0.1)
    judged = [args[0][0].name.partition(":")[2] for args in engine.called("kv.names user_roles")]
    assert judged[0] == "user0"
    assert set(judged[1:]) == {"user0", "user1", "user2"}


# -- the engine itself


def test_words_for_the_operator() -> None:
    """The two events of the engine are of different weight."""
    assert Event.ENGINE_DOWN.level != Event.ENGINE_UP.level


async def test_engine_changes_are_told_at_once(net: SimulatedCluster) -> None:
    """The gauge and the log follow the engine without waiting for anything."""
    running, engine = net.gateways[0], net.engines[0]
    assert engine.sink is not None
    assert told(running) == (1.0, 0, 0)
    engine.sink.on_health_changed(False)
    assert told(running) == (0.0, 1, 0)
    engine.sink.on_health_changed(True)
    assert told(running) == (1.0, 1, 1)


async def test_a_store_that_may_drop_keys_is_reported(net: SimulatedCluster) -> None:
    """The gauge and the log follow the memory policy of the store."""
    running, engine = net.gateways[0], net.engines[0]
    assert engine.sink is not None
    assert running.count("engine_may_evict") == 0.0
    engine.sink.on_eviction_changed(True)
    assert running.count("engine_may_evict") == 1.0
    assert running.events(Event.ENGINE_EVICTION) == 1
    engine.sink.on_eviction_changed(False)
    assert running.count("engine_may_evict") == 0.0
    assert running.events(Event.ENGINE_EVICTION_END) == 1


def told(running: RunningGateway) -> tuple[float, int, int]:
    """The gauge, and how often each event was recorded."""
    return (
        running.count("engine_up"),
        running.events(Event.ENGINE_DOWN),
        running.events(Event.ENGINE_UP),
    )


async def test_books_are_shown(net: SimulatedCluster) -> None:
    """Each sweep shows how many channels are kept, by namespace, and none where there are none."""
    running = net.gateways[0]
    await running.gateway.publish("rooms:lobby", "a")
    await running.gateway.publish("live:event:1", "b")
    await net.advance(TOUCH_INTERVAL)
    kept = [running.count("channels", namespace=name) for name in ("rooms", "live", "alerts")]
    assert kept == [1, 1, 0]
    await net.store.streams.remove(LOBBY)
    await net.advance(TOUCH_INTERVAL)
    assert running.count("channels", namespace="rooms") == 0


# -- how many nodes there are


async def test_nodes_are_counted_with_care(net: SimulatedCluster) -> None:
    """A store that came back empty hears of each node again within one interval, not at once."""
    spans = [running.gateway.node.context.cluster_limits for running in net.gateways]
    await net.advance(TOUCH_INTERVAL)
    assert [cluster_limits.nodes for cluster_limits in spans] == [2, 2]
    second = net.gateways[1].gateway.node
    second.maintenance.stop()
    await net.advance(1.0)
    await stores(net.store).nodes.withdraw(second.operations.info().uid)
    await net.advance(TOUCH_INTERVAL)
    assert spans[0].nodes == 2
    await net.advance(TOUCH_INTERVAL)
    assert spans[0].nodes == 1
