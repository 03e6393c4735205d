"""What the Redis engine does when its server dies, hangs, forgets, or cuts it off."""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from portward.engines.port import EngineUnavailable
from portward.engines.redis import RedisEngine
from portward.model.channel import Channel
from portward.model.events import RightsChanged
from portward.model.identity import Identity
from portward.model.position import Position
from portward.model.publication import HistoryQuery
from portward.model.revocation import Revocation, RevocationKind
from tests.engines.redis_fixtures import (
    HASTY,
    KEPT,
    LIMIT,
    OTHER,
    QUICK,
    ROOM,
    Publisher,
    Witness,
    at_last,
    check_books,
    draft,
    engine_at,
    eventually,
)
from tests.engines.redis_proxy import Proxy
from tests.engines.redis_servers import Server, free_port, need_redis, servers
from tests.stores import stores

_ANN = Identity(subject="ann", token_id="j1")


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Server]:
    """A server of this test's own, which forgets everything when it dies."""
    need_redis()
    with servers(Server(tmp_path / "redis", "--save", "")) as (server,):
        yield server


@pytest.fixture
def lasting(tmp_path: Path) -> Iterator[Server]:
    """A server that writes everything down before it says so."""
    need_redis()
    made = Server(
        tmp_path / "redis", "--save", "", "--appendonly", "yes", "--appendfsync", "always"
    )
    with servers(made) as (server,):
        yield server


@pytest.fixture
def witness() -> Witness:
    """Who is told."""
    return Witness()


async def test_no_store_no_start() -> None:
    """Without a server the engine refuses to start, and leaves nothing behind."""
    with pytest.raises(EngineUnavailable):
        async with engine_at(f"redis://127.0.0.1:{free_port()}"):
            pass


@pytest.mark.p0
async def test_restart_with_nothing(mortal: Server, witness: Witness) -> None:
    """A store that comes back empty: refused while away, another epoch afterwards, nothing in silence."""
    async with engine_at(mortal.url, witness) as engine:
        await engine.streams.subscribe(ROOM)
        publisher = Publisher(engine)
        for _ in range(3):
            await publisher.more()
            refused = publisher.refused
            mortal.kill()
            await eventually(lambda: not engine.healthy)
            await eventually(lambda before=refused: publisher.refused > before)  # type: ignore[misc]
            mortal.start()
            await eventually(lambda: engine.healthy)
            await publisher.more()
        await eventually(lambda: witness.interruptions >= 3)
        await publisher.more()
        await publisher.stop()
        witness.check_order()
        await check_books(engine, publisher)
        assert len({epoch for epoch, _, _ in publisher.acknowledged}) == 4
    assert witness.health[:2] == [False, True]


@pytest.mark.p0
async def test_restart_with_everything(lasting: Server, witness: Witness) -> None:
    """A store that lost nothing keeps history and offsets, under another epoch."""
    async with engine_at(lasting.url, witness) as engine:
        await engine.streams.subscribe(ROOM)
        first = await engine.streams.publish(ROOM, draft("before"), KEPT, "key")
        lasting.kill()
        lasting.start()
        await at_last(lambda: engine.streams.publish(ROOM, draft("after"), KEPT, None))
        page = await engine.streams.history(ROOM, HistoryQuery(limit=10), KEPT)
        assert [each.data for each in page.publications] == ["before", "after"]
        assert page.position == Position(2, page.position.epoch)
        assert page.position.epoch != first.position.epoch
        again = await engine.streams.publish(ROOM, draft("before"), KEPT, "key")
        assert (again.duplicate, again.position) == (True, first.position)
        behind = HistoryQuery(limit=10, since=first.position)
        assert not (await engine.streams.history(ROOM, behind, KEPT)).complete


async def test_a_rolled_back_store_has_another_epoch(mortal: Server) -> None:
    """A store that comes back with an older state never gives an offset out twice in one epoch."""
    async with engine_at(mortal.url) as engine:
        publisher = Publisher(engine)
        await publisher.more()
        mortal.cli("SAVE")
        await publisher.more()
        mortal.kill()
        mortal.start()
        await publisher.more()
        await publisher.stop()
        await check_books(engine, publisher)
        assert len({epoch for epoch, _, _ in publisher.acknowledged}) == 2


@pytest.mark.p0
async def test_revocations_are_told_again(mortal: Server) -> None:
    """Who was revoked stays so here while the store is away, and everywhere once it is back empty."""
    revocation = Revocation(RevocationKind.TOKEN_ID, "j1", at=1.0, until=4e9)
    async with engine_at(mortal.url) as engine, engine_at(mortal.url) as other:
        await stores(engine).revocations.add(revocation)
        assert await stores(other).revocations.is_revoked(_ANN, None)
        mortal.kill()
        await eventually(lambda: not engine.healthy and not other.healthy)
        assert await stores(engine).revocations.is_revoked(_ANN, None)
        with pytest.raises(EngineUnavailable):
            await stores(other).revocations.is_revoked(_ANN, None)
        mortal.start()
        await eventually(lambda: engine.healthy and other.healthy)
        await _covered(other)


@pytest.mark.p0
async def test_revocations_survive_a_blink(mortal: Server) -> None:
    """A store that was gone for so short a time that nobody asked it anything is told again, too."""
    revocation = Revocation(RevocationKind.TOKEN_ID, "j1", at=1.0, until=4e9)
    slow = replace(QUICK, probe=20.0, pubsub_probe=20.0, silence=60.0)
    async with engine_at(mortal.url, timing=slow) as engine:
        await stores(engine).revocations.add(revocation)
        mortal.kill()
        mortal.start()
        await eventually(lambda: mortal.cli("EXISTS", "portward:{revoked}:jti:j1").strip() == "1")
        assert engine.healthy


@pytest.mark.p1
async def test_a_hanging_store(mortal: Server, witness: Witness) -> None:
    """A store that hangs is noticed, refuses at once from then on, and heals by itself."""
    async with engine_at(mortal.url, witness, HASTY) as engine:
        await at_last(lambda: engine.streams.subscribe(ROOM))
        publisher = Publisher(engine)
        await publisher.more()
        mortal.pause()
        await eventually(lambda: not engine.healthy)
        await eventually(lambda: publisher.refused > 20)
        mortal.resume()
        await eventually(lambda: engine.healthy)
        await publisher.more()
        await publisher.stop()
        witness.check_order()
        await check_books(engine, publisher)


@pytest.mark.p1
async def test_killed_listener(redis: Server, witness: Witness) -> None:
    """A listening connection that is killed is replaced, and everybody is told that something is missing."""
    async with engine_at(redis.url, witness) as engine:
        await engine.streams.subscribe(ROOM)
        publisher = Publisher(engine)
        for number in range(1, 4):
            await publisher.more()
            redis.cli("CLIENT", "KILL", "TYPE", "pubsub")
            await eventually(lambda least=number: witness.interruptions >= least)  # type: ignore[misc]
        await publisher.more()
        await publisher.stop()
        assert publisher.refused == 0
        assert engine.healthy
        witness.check_order()
        await check_books(engine, publisher)
        heard = len(witness.publications)
        await engine.streams.publish_control(RightsChanged(user="ann"))
        await engine.streams.publish(ROOM, draft("last"), KEPT, None)
        assert len(witness.publications) == heard + 1


@pytest.mark.p1
async def test_overrun_listener(mortal: Server, witness: Witness) -> None:
    """A listener whose buffer in the server runs over is cut off, connects again, and says so."""
    mortal.cli("CONFIG", "SET", "client-output-buffer-limit", "pubsub 100kb 50kb 1")
    async with engine_at(mortal.url, witness) as engine, engine_at(mortal.url) as other:
        await engine.streams.subscribe(ROOM)
        big = "x" * 300_000
        await other.streams.publish(ROOM, draft(big), KEPT, None)
        await eventually(lambda: witness.interruptions == 1)
        await at_last(lambda: engine.streams.publish(ROOM, draft("small"), KEPT, None))
        witness.check_order()


@pytest.mark.p1
async def test_swallowed_announcements(redis: Server, witness: Witness) -> None:
    """A network that swallows everything without a word is noticed by what is not heard."""
    async with Proxy(redis.port) as proxy, engine_at(proxy.url, witness, HASTY) as engine:
        await at_last(lambda: engine.streams.subscribe(ROOM))
        proxy.swallowing = True
        await eventually(lambda: not engine.healthy)
        before = proxy.accepted
        await eventually(lambda: proxy.accepted > before)
        proxy.swallowing = False
        await eventually(lambda: engine.healthy and witness.interruptions > 0)
        async with asyncio.timeout(LIMIT):
            # What is said while it connects once more is lost to it, which it says.
            while not witness.publications:
                await at_last(lambda: engine.streams.publish(ROOM, draft("x"), KEPT, None))
        witness.check_order()


async def test_a_lost_announcement(redis: Server, witness: Witness) -> None:
    """A single announcement that does not arrive holds nobody up, and is noticed with the next one."""
    brief = replace(QUICK, echo=0.3)
    async with Proxy(redis.port) as proxy, engine_at(proxy.url, witness, brief) as engine:
        await engine.streams.subscribe(ROOM)
        await engine.streams.publish(ROOM, draft(1), KEPT, None)
        await eventually(lambda: len(witness.publications) == 1)
        proxy.unwanted = b'{"offset":'
        await engine.streams.publish(ROOM, draft(2), KEPT, None)
        await eventually(lambda: proxy.swallowed > 0)
        proxy.unwanted = None
        assert (engine.gaps, witness.interruptions) == (0, 0)
        await engine.streams.publish(ROOM, draft(3), KEPT, None)
        await eventually(lambda: len(witness.publications) == 2)
        assert (engine.gaps, witness.interruptions) == (1, 1)
        assert [each.offset for _, each, *_ in witness.publications] == [1, 3]
        witness.check_order()


async def test_repeated_announcements_are_told_once(redis: Server, witness: Witness) -> None:
    """What comes again with a position of before is not told again."""
    async with engine_at(redis.url, witness) as engine:
        await engine.streams.subscribe(ROOM)
        stored = await engine.streams.publish(ROOM, draft(1), KEPT, None)
        again = (
            f'{{"offset":1,"epoch":"{stored.position.epoch}",'
            '"draft":{"id":"x","time":1,"data":"again"}}'
        )
        redis.cli("PUBLISH", "portward:{rooms:general}:said", again)
        await engine.streams.publish(ROOM, draft(2), KEPT, None)
        assert [each.data for _, each, *_ in witness.publications] == [1, 2]


async def test_an_old_server_is_refused(redis: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is too old is refused with both versions named."""
    monkeypatch.setattr("portward.engines.redis.server_checks.OLDEST", 99)
    with pytest.raises(ValueError, match=r"redis \d.* is too old"):
        async with engine_at(redis.url):
            pass


async def test_stopped_and_started(redis: Server, witness: Witness) -> None:
    """An engine that was stopped can be started again, and listens to nothing but what it is told to."""
    async with engine_at(redis.url, witness) as engine:
        await engine.streams.subscribe(ROOM)
        await engine.stop()
        assert engine.streams.stream_counts() == {}
        await engine.start(witness)
        await engine.streams.publish(ROOM, draft("x"), KEPT, None)
        await engine.streams.subscribe(ROOM)
        await engine.streams.publish(ROOM, draft("y"), KEPT, None)
        assert [each.data for _, each, *_ in witness.publications] == ["y"]
        assert engine.healthy


async def test_stopping_while_the_store_is_away(mortal: Server, witness: Witness) -> None:
    """An engine stops also when nobody answers, and may be stopped twice; nothing is told after it."""
    async with engine_at(mortal.url, witness) as engine:
        await engine.streams.subscribe(ROOM)
        await engine.streams.unsubscribe(ROOM)
        waiting = asyncio.ensure_future(engine.streams.publish(OTHER, draft("x"), KEPT, None))
        mortal.pause()
        another = asyncio.ensure_future(engine.streams.publish(OTHER, draft("y"), KEPT, None))
        await asyncio.sleep(0)
        await engine.stop()
        done = await asyncio.gather(waiting, another, return_exceptions=True)
        assert isinstance(done[1], EngineUnavailable)
        assert not engine.healthy
        told = len(witness.log), len(witness.health)
        with pytest.raises(EngineUnavailable):
            await engine.streams.publish_control(RightsChanged(user="ann"))
        assert (len(witness.log), len(witness.health)) == told
        assert witness.events == []


async def test_listening_while_away(mortal: Server, witness: Witness) -> None:
    """A channel that could not be listened to is heard as soon as that is possible."""
    async with engine_at(mortal.url, witness, HASTY) as engine:
        mortal.kill()
        with pytest.raises(EngineUnavailable):
            await engine.streams.subscribe(ROOM)
        mortal.start()
        async with asyncio.timeout(LIMIT):
            while not witness.publications:
                await at_last(lambda: engine.streams.publish(ROOM, draft("x"), KEPT, None))


@pytest.mark.p0
async def test_garbage_on_the_bus(redis: Server, witness: Witness) -> None:
    """What is no event and no publication is counted and dropped; what follows is heard."""
    garbage = [
        "", "null", "{", "\\x80", "[" * 5000, '{"node":"n","event":{"type":"Nonsense"}}',
        '{"node":1,"event":{"type":"RightsChanged"}}',
        '{"node":"n","event":{"type":"UserJoined","channel":"no channel","user":"u","client":"c"}}',
        "cos\nsystem\n(S'true'\ntR.",
    ]  # fmt: skip
    async with engine_at(redis.url, witness) as engine, engine_at(redis.url) as other:
        await engine.streams.subscribe(ROOM)
        for text in garbage:
            redis.cli("PUBLISH", "portward:bus", text)
            redis.cli("PUBLISH", "portward:{rooms:general}:said", text)
        await eventually(lambda: engine.ignored == 2 * len(garbage))
        await other.streams.publish_control(RightsChanged(user="ann"))
        await other.streams.publish(ROOM, draft("x"), KEPT, None)
        await eventually(lambda: len(witness.publications) == len(witness.events) == 1)
        assert witness.interruptions == 0


async def test_wrong_types_are_no_way_in(redis: Server) -> None:
    """Keys that hold something else make commands fail in one word, and the engine stays well."""
    redis.cli("SET", "user_roles:ann", "secret-value")
    redis.cli("SET", "portward:room:general", "secret-value")
    redis.cli("SET", "portward:ticket:t", "secret-value")
    redis.cli("HSET", "portward:ws_session:s1", "record", "secret-value", "nonce", "n1")
    redis.cli("HSET", "portward:{approvals}:a1", "request", "secret-value")
    redis.cli("HSET", "portward:{nodes}:info", "n1", "secret-value")
    async with engine_at(redis.url) as engine:
        for action in (
            lambda: stores(engine).directory.rights("ann"),
            lambda: stores(engine).sessions.swap("s1", "n1", "n2", "c"),
            lambda: stores(engine).approvals.get("a1"),
        ):
            with pytest.raises(EngineUnavailable) as caught:
                await action()
            assert "secret" not in str(caught.value)
        assert await engine.rooms.get(ROOM) is None
        assert await stores(engine).sessions.take_ticket("t") is None
        assert await stores(engine).nodes.present() == ()
        assert engine.healthy


async def test_a_store_with_other_things_in_a_stream(redis: Server) -> None:
    """A history that holds something else is unavailable, not an accident."""
    async with engine_at(redis.url) as engine:
        await engine.streams.publish(ROOM, draft("x"), KEPT, None)
        redis.cli("LSET", "portward:{rooms:general}:log", "0", "secret-value")
        with pytest.raises(EngineUnavailable):
            await engine.streams.history(ROOM, HistoryQuery(limit=10), KEPT)


@pytest.mark.long
@pytest.mark.p0
@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_cancelled_commands_never_mix(redis: Server) -> None:
    """Of 100,000 commands, a third of them given up at random moments, none gets another's answer."""
    chance = random.Random(11)
    quick = replace(QUICK, command=30.0, silence=60.0)
    async with (
        Proxy(redis.port, latency=0.002) as proxy,
        engine_at(proxy.url, timing=quick) as engine,
    ):
        answered = cancelled = 0

        async def one(number: int) -> None:
            nonlocal answered, cancelled
            word = f"tag-{number}"
            task = asyncio.ensure_future(engine._context.commands.send(word, "ECHO", word))
            if chance.random() < 1 / 3:
                for _ in range(chance.randrange(8)):
                    await asyncio.sleep(0)
                task.cancel()
            try:
                assert await task == word.encode()
                answered += 1
            except asyncio.CancelledError:
                cancelled += 1

        for start in range(0, 100_000, 500):
            await asyncio.gather(*(one(number) for number in range(start, start + 500)))
        assert answered + cancelled == 100_000
        assert cancelled > 20_000


async def test_a_command_without_an_answer_costs_the_connection(redis: Server) -> None:
    """A late answer is never taken for that to a later command: its connection is gone."""
    async with Proxy(redis.port) as proxy, engine_at(proxy.url, timing=HASTY) as engine:
        proxy.delay = 4.0
        with pytest.raises(EngineUnavailable):
            await engine._context.commands.send("a", "ECHO", "first")
        proxy.delay = 0.0
        assert (
            await at_last(lambda: engine._context.commands.send("a", "ECHO", "second")) == b"second"
        )


async def test_a_burst_is_bounded(redis: Server) -> None:
    """More commands than may wait are refused at once, and the store is not blamed for it."""
    patient = replace(QUICK, command=LIMIT, silence=2 * LIMIT)
    async with engine_at(redis.url, timing=patient) as engine:
        work = [engine.counters.add(f"k{n}", 1, 60.0) for n in range(12_000)]
        done = await asyncio.gather(*work, return_exceptions=True)
        refused = [each for each in done if isinstance(each, EngineUnavailable)]
        assert 1900 < len(refused) < 3000
        assert engine.healthy
        assert await engine.counters.add("k", 1, 60.0) == 1


async def test_a_burst_is_bounded_in_bytes(redis: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """More bytes than may wait are refused at once; what was accepted is carried out."""
    monkeypatch.setattr("portward.engines.redis.connection.WAITING_BYTES", 100_000)
    async with engine_at(redis.url) as engine:
        publish = engine.streams.publish
        work = [publish(ROOM, draft("x" * 30_000), KEPT, None) for _ in range(10)]
        done = await asyncio.gather(*work, return_exceptions=True)
        assert sum(isinstance(each, EngineUnavailable) for each in done) == 6
        assert (await publish(ROOM, draft("x"), KEPT, None)).position.offset == 5
        assert engine.healthy


@pytest.mark.p1
@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
async def test_a_store_that_evicts_is_refused(mortal: Server, policy: str) -> None:
    """A server that throws keys away when it is full is refused by name, unless that is allowed."""
    mortal.cli("CONFIG", "SET", "maxmemory-policy", policy)
    async with engine_at(mortal.url):
        pass
    mortal.cli("CONFIG", "SET", "maxmemory", "100mb")
    with pytest.raises(ValueError, match="maxmemory-policy"):
        async with engine_at(mortal.url):
            pass
    async with engine_at(mortal.url, allow_eviction=True):
        pass


_FILL = """
for i = 1, 20000 do redis.call('SET', 'junk:' .. i, string.rep('x', 200)) end
return 1
"""


async def _covered(engine: RedisEngine) -> None:
    """Wait until the store knows the revocation, which this engine was not told of."""
    async with asyncio.timeout(LIMIT):
        while not await stores(engine).revocations.is_revoked(_ANN, None):  # noqa: ASYNC110 - no event says so
            await asyncio.sleep(0.05)


@pytest.mark.p1
@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random", "volatile-lru"])
async def test_a_store_that_begins_to_evict(mortal: Server, witness: Witness, policy: str) -> None:
    """A running node reports it, and writes the revocations it knows until the store keeps them."""
    revocation = Revocation(RevocationKind.TOKEN_ID, "j1", 1.0, 4_000_000_000.0)
    looking = replace(QUICK, policy=0.1)
    async with engine_at(mortal.url, witness, timing=looking) as engine:
        await stores(engine).revocations.add(revocation)
        assert not engine.may_evict
        mortal.cli("CONFIG", "SET", "maxmemory-policy", policy)
        mortal.cli("CONFIG", "SET", "maxmemory", "3mb")
        await eventually(lambda: engine.may_evict)
        assert witness.evictions == [True]
        mortal.cli("EVAL", _FILL, "0")
        mortal.cli("FLUSHALL")
        mortal.cli("CONFIG", "SET", "maxmemory-policy", "noeviction")
        await eventually(lambda: not engine.may_evict)
        assert witness.evictions == [True, False]
        async with engine_at(mortal.url) as later:
            await _covered(later)


async def test_a_store_that_evicted_unseen(mortal: Server) -> None:
    """Keys that were dropped between two looks are noticed by their number."""
    revocation = Revocation(RevocationKind.TOKEN_ID, "j1", 1.0, 4_000_000_000.0)
    async with engine_at(mortal.url, timing=replace(QUICK, policy=3600.0)) as engine:
        await stores(engine).revocations.add(revocation)
        mortal.cli("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        mortal.cli("CONFIG", "SET", "maxmemory", "3mb")
        mortal.cli("EVAL", _FILL, "0")
        mortal.cli("CONFIG", "SET", "maxmemory-policy", "noeviction")
        mortal.cli("FLUSHALL")
        engine._eviction.look_soon()
        async with engine_at(mortal.url) as later:
            await _covered(later)


async def test_a_store_that_may_evict(mortal: Server, witness: Witness) -> None:
    """Where that is allowed it is not reported; revocations are written again all the same."""
    mortal.cli("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    mortal.cli("CONFIG", "SET", "maxmemory", "50mb")
    looking = replace(QUICK, policy=0.1)
    async with engine_at(mortal.url, witness, timing=looking, allow_eviction=True) as engine:
        await stores(engine).revocations.add(
            Revocation(RevocationKind.TOKEN_ID, "j1", 1.0, 4_000_000_000.0)
        )
        mortal.cli("FLUSHALL")
        async with engine_at(mortal.url, allow_eviction=True) as later:
            await _covered(later)
        assert not engine.may_evict
    assert witness.evictions == []


async def test_a_full_store_refuses(mortal: Server) -> None:
    """A server without memory refuses publications; that is told, and nothing is lost in silence."""
    async with engine_at(mortal.url) as engine:
        await engine.streams.publish(ROOM, draft("x"), KEPT, None)
        mortal.cli("CONFIG", "SET", "maxmemory", "1mb")
        with pytest.raises(EngineUnavailable, match="OutOfMemory"):
            await engine.streams.publish(ROOM, draft("y"), KEPT, None)
        mortal.cli("CONFIG", "SET", "maxmemory", "0")
        stored = await engine.streams.publish(ROOM, draft("z"), KEPT, None)
        assert stored.position.offset == 2


async def test_events_are_told_here_whether_or_not_the_others_hear(
    mortal: Server, witness: Witness
) -> None:
    """An event reaches this node also when the bus is away, which the caller is told."""
    async with engine_at(mortal.url, witness) as engine:
        mortal.kill()
        with pytest.raises(EngineUnavailable):
            await engine.streams.publish_control(RightsChanged(user="ann"))
        assert witness.events == [RightsChanged(user="ann")]


async def test_what_is_not_listened_to_is_not_told(redis: Server, witness: Witness) -> None:
    """After the last listener left nothing is told, and after a pause nothing is sent."""
    async with engine_at(redis.url, witness) as engine, engine_at(redis.url) as other:
        for channel in (ROOM, OTHER, OTHER):
            await engine.streams.subscribe(channel)
        await engine.streams.unsubscribe(ROOM)
        await engine.streams.unsubscribe(Channel.parse("rooms:unknown"))
        await other.streams.publish(ROOM, draft("x"), KEPT, None)
        await other.streams.publish(OTHER, draft("y"), KEPT, None)
        await eventually(lambda: len(witness.publications) == 1)
        assert witness.publications[0][0] == OTHER
        said = "portward:{rooms:general}:said"
        await eventually(lambda: redis.cli("PUBSUB", "NUMSUB", said).split() == [said, "0"])
        await engine.streams.subscribe(ROOM)
        await other.streams.publish(ROOM, draft("z"), KEPT, None)
        await eventually(lambda: len(witness.publications) == 2)
        assert engine.streams.stream_counts() == {"rooms": 2}
