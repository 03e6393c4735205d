"""The Redis engine over a Cluster: the whole contract, slots that move, and servers that die."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from msgspec.structs import replace
from redis.crc import key_slot

from portward.engines.port import Engine, EngineUnavailable, Member
from portward.engines.redis import RedisEngine, parse_url
from portward.model.channel import Channel
from portward.model.events import RightsChanged, UserLeft
from portward.model.identity import Identity
from portward.model.revocation import Revocation, RevocationKind
from portward.node.sessions.clock import LoopClock
from portward.testing.engine_contract import EngineContract, Recorder
from portward.testing.rooms_contract import ROOMS_BOUND
from tests.engines.redis_fixtures import (
    HASTY,
    KEPT,
    QUICK,
    ROOM,
    Publisher,
    RealTime,
    Witness,
    at_last,
    check_books,
    draft,
    engine_at,
    eventually,
)
from tests.engines.redis_servers import (
    LIMIT,
    SLOTS,
    Cluster,
    Server,
    cluster_member,
    need_redis,
    servers,
    until,
)
from tests.stores import stores

CHANNELS = [Channel.parse(f"rooms:{n}") for n in range(12)]
"""Enough to have some on every server."""


class TestRedisClusterEngine(RealTime, EngineContract):
    """Everything the contract says, in a Cluster."""

    @pytest.fixture
    async def engine(self, cluster: Cluster, sink: Recorder) -> AsyncIterator[Engine]:
        """A started engine."""
        engine = RedisEngine(parse_url(cluster.url), LoopClock(), max_rooms=ROOMS_BOUND)
        await engine.start(sink)
        yield engine
        await engine.stop()

    async def test_channels_of_every_server_are_listed(self, engine: Engine) -> None:
        """Streams are found wherever they are."""
        for channel in CHANNELS:
            await engine.streams.publish(channel, draft("x"), KEPT, None)
        assert set(await engine.streams.channels()) == set(CHANNELS)


async def test_nodes_hear_each_other(cluster: Cluster) -> None:
    """Publications, events and presence reach the other node, whichever server they pass."""
    witness = Witness()
    async with engine_at(cluster.url, witness) as engine, engine_at(cluster.url) as other:
        for channel in CHANNELS:
            await engine.streams.subscribe(channel)
        for channel in CHANNELS:
            await other.streams.publish(channel, draft("x"), KEPT, None)
            await other.presence.enter(channel, Member("c1", "ann"))
        await other.streams.publish_control(RightsChanged(user="ann"))
        await eventually(lambda: len(witness.publications) == len(CHANNELS))
        await eventually(lambda: witness.events == [RightsChanged(user="ann")])
        assert {channel for channel, *_ in witness.publications} == set(CHANNELS)
        entries = [(channel, Member("c1", "ann")) for channel in CHANNELS]
        await other.presence.renew(entries)
        assert await engine.presence.members(CHANNELS[3]) == (Member("c1", "ann"),)


async def test_leases_run_out_everywhere(cluster: Cluster) -> None:
    """Entries of a node that is gone are swept on every server, and each user is told of once."""
    witness = Witness()
    brief = replace(QUICK, lease=1.0)
    async with (
        engine_at(cluster.url, witness, brief) as engine,
        engine_at(cluster.url, timing=brief) as other,
    ):
        for channel in CHANNELS:
            await other.presence.enter(channel, Member("c1", "ann"))

        async def swept() -> None:
            async with asyncio.timeout(LIMIT):
                while len(witness.events) < len(CHANNELS):
                    await asyncio.gather(engine.sweep(), other.sweep())

        await swept()
        left = [event for event in witness.events if isinstance(event, UserLeft)]
        assert {event.channel for event in left} == set(CHANNELS)
        assert len(left) == len(CHANNELS)


@pytest.mark.p1
@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_slots_move_under_load(cluster: Cluster) -> None:
    """While a channel's slot moves about, nothing is lost in silence and nothing told twice."""
    witness = Witness()
    slot = key_slot(b"rooms:general")
    async with engine_at(cluster.url, witness) as engine, engine_at(cluster.url) as other:
        await engine.streams.subscribe(ROOM)
        here, there = Publisher(engine, name="here"), Publisher(other, name="there")
        for number in range(1, 4):
            await here.more()
            await there.more()
            await asyncio.to_thread(cluster.move, slot)
            await eventually(lambda least=number: witness.interruptions >= least)  # type: ignore[misc]
        await here.more()
        await there.more()
        await here.stop()
        await there.stop()
        witness.check_order()
        await check_books(engine, here, there)


async def test_a_half_moved_slot(cluster: Cluster) -> None:
    """What is at neither end yet is made at the new one; what is at both is refused until it is whole."""
    async with engine_at(cluster.url) as engine:
        slot = key_slot(b"portward:sum:k")
        ends = cluster.open(slot)
        assert await engine.counters.add("k", 1, 60.0) == 1
        assert await engine.counters.add("k", 1, 60.0) == 2
        await asyncio.to_thread(cluster.close, slot, *ends)
        assert await at_last(lambda: engine.counters.add("k", 1, 60.0)) == 3
        first = await engine.streams.publish(ROOM, draft("x"), KEPT, None)
        slot = key_slot(b"rooms:general")
        ends = cluster.open(slot)
        with pytest.raises(EngineUnavailable, match="being changed"):
            await engine.streams.publish(ROOM, draft("y"), KEPT, None)
        await asyncio.to_thread(cluster.close, slot, *ends)
        again = await at_last(lambda: engine.streams.publish(ROOM, draft("z"), KEPT, None))
        assert again.position.offset == first.position.offset + 1


@pytest.mark.timeout(120)
async def test_the_bus_moves(cluster: Cluster) -> None:
    """Events are heard after the slot of the bus went elsewhere."""
    witness = Witness()
    async with engine_at(cluster.url, witness) as engine, engine_at(cluster.url) as other:
        await asyncio.to_thread(cluster.move, key_slot(b"portward:bus"))
        await eventually(lambda: witness.interruptions > 0)
        async with asyncio.timeout(LIMIT):
            # What is told while the other is still looking for the bus is lost, which it says.
            while not witness.events:
                await at_last(lambda: other.streams.publish_control(RightsChanged(user="ann")))
                await asyncio.sleep(0.05)
        assert engine.healthy


@pytest.mark.long
@pytest.mark.p1
@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_a_replica_takes_over(tmp_path: Path) -> None:
    """A primary dies and its replica takes over: what was lost is not hidden, and all heals."""
    need_redis()
    witness = Witness()
    with ExitStack() as stack:
        made = [cluster_member(tmp_path / f"{n}") for n in range(4)]
        members = stack.enter_context(servers(*made))
        cluster = Cluster(members[:3])
        cluster.form()
        victim, replica = cluster.owner(key_slot(b"rooms:general")), members[3]
        replica.cli("CLUSTER", "MEET", "127.0.0.1", str(victim.port))
        identity = victim.cli("CLUSTER", "MYID").strip()
        until(lambda: identity in replica.cli("CLUSTER", "NODES"))
        until(lambda: replica.cli("CLUSTER", "REPLICATE", identity).strip() == "OK")
        until(lambda: replica.field("replication", "master_link_status") == "up")
        cluster.members = members
        async with engine_at(cluster.url, witness) as engine:
            await engine.streams.subscribe(ROOM)
            publisher = Publisher(engine)
            await publisher.more()
            victim.kill()
            await eventually(lambda: publisher.refused > 0)
            await publisher.more()
            await eventually(lambda: engine.healthy and witness.interruptions > 0)
            await publisher.more()
            await publisher.stop()
            witness.check_order()
            await check_books(engine, publisher)
            assert len({epoch for epoch, _, _ in publisher.acknowledged}) == 2


@pytest.mark.timeout(120)
async def test_a_part_that_nobody_has(tmp_path: Path) -> None:
    """Channels whose slots nobody has are unavailable; the others work, and it ends in good order."""
    need_redis()
    half = cluster_member(tmp_path / "half", "--cluster-require-full-coverage", "no")
    lost = Channel.parse("rooms:general")
    kept = next(each for each in CHANNELS if _low(each) == _low("portward:bus"))
    assert _low(lost) != _low(kept)
    with servers(half) as (server,):
        first = 0 if _low(kept) else SLOTS // 2
        server.cli("CLUSTER", "ADDSLOTSRANGE", str(first), str(first + SLOTS // 2 - 1))
        until(lambda: "cluster_state:ok" in server.cli("CLUSTER", "INFO"))
        url = f"redis+cluster://127.0.0.1:{server.port}"
        async with engine_at(url, timing=HASTY) as engine:
            await at_last(lambda: engine.streams.subscribe(kept))
            await at_last(lambda: engine.streams.publish(kept, draft("x"), KEPT, None))
            with pytest.raises(EngineUnavailable):
                await engine.streams.publish(lost, draft("x"), KEPT, None)
            with pytest.raises(EngineUnavailable):
                await engine.streams.subscribe(lost)
            await at_last(lambda: engine.streams.publish(kept, draft("y"), KEPT, None))
            server.kill()
            with pytest.raises(EngineUnavailable):
                await engine.streams.publish(kept, draft("z"), KEPT, None)


def _low(name: str) -> bool:
    return key_slot(name.encode()) < SLOTS // 2


async def test_no_cluster_no_start(redis: Server) -> None:
    """A single server is no cluster, which is said."""
    with pytest.raises(EngineUnavailable):
        async with engine_at(redis.url.replace("redis://", "redis+cluster://").removesuffix("/0")):
            pass


async def test_revocations_are_together(cluster: Cluster) -> None:
    """All that may revoke an identity is asked for in one command."""
    async with engine_at(cluster.url) as engine, engine_at(cluster.url) as other:
        await stores(engine).revocations.add(Revocation(RevocationKind.SUBJECT, "ann", 10.0, 4e9))
        ann = Identity(subject="ann", token_id="j1", session_id="s1", digest="d1", issued_at=1.0)
        assert await stores(other).revocations.is_revoked(ann, "resume")
