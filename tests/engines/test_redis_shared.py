"""Two nodes on one Redis: both read the same, and of several callers of an atomic step one succeeds."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from portward.engines.port import EngineUnavailable, Key, Member, RoomMade
from portward.engines.redis import Prefixes, RedisEngine, Timing
from portward.model.approval import Approval, Decision, Verdict
from portward.model.channel import Channel
from portward.model.events import (
    Disconnected,
    Expelled,
    Revoked,
    RightsChanged,
    UserJoined,
    UserLeft,
    UserSignalled,
)
from portward.model.identity import ChannelRight, Identity
from portward.model.limits import SNAPSHOT_KEYS
from portward.model.namespace import Namespace, Snapshot
from portward.model.node import NodeInfo
from portward.model.publication import HistoryQuery
from portward.model.replies import LeaveReason
from portward.model.revocation import Revocation, RevocationKind
from portward.model.room import Room, RoomOrigin
from portward.node.sessions import start_eager
from portward.node.stores import SessionRecord, UserRights
from tests.engines.redis_fixtures import (
    KEPT,
    LIMIT,
    OTHER,
    QUICK,
    ROOM,
    Publisher,
    Witness,
    check_books,
    draft,
    engine_at,
    eventually,
)
from tests.engines.redis_servers import Server
from tests.stores import stores

ANN = Identity(
    subject="ann",
    email="ann@example.com",
    roles=frozenset({"user"}),
    channels=(ChannelRight("rooms:*", ("subscribe",)),),
    profile={"name": "Ann", "title": None},
)
LATEST = Namespace(name="live", history_size=3, snapshot=Snapshot.LATEST_BY_KEY)
BRIEF = replace(QUICK, lease=1.0)


class Pair:
    """Two engines and what they told."""

    def __init__(self, one: RedisEngine, two: RedisEngine, told: Witness, other: Witness) -> None:
        self.one = one
        self.two = two
        self.told = told
        self.other = other


@pytest.fixture
async def pair(redis: Server) -> AsyncIterator[Pair]:
    """Two started engines."""
    async with _pair(redis, QUICK) as pair:
        yield pair


@asynccontextmanager
async def _pair(redis: Server, timing: Timing) -> AsyncIterator[Pair]:
    told, other = Witness(), Witness()
    async with (
        engine_at(redis.url, told, timing) as one,
        engine_at(redis.url, other, timing) as two,
    ):
        yield Pair(one, two, told, other)


async def test_publications_reach_both(pair: Pair) -> None:
    """Both nodes hear what either publishes, in one order, and each of it once."""
    await pair.one.streams.subscribe(ROOM)
    await pair.two.streams.subscribe(ROOM)
    here, there = Publisher(pair.one, name="here"), Publisher(pair.two, name="there")
    await here.more(200)
    await there.more(200)
    await here.stop()
    await there.stop()
    last = await pair.one.streams.publish(ROOM, draft("last", exclude="c9"), KEPT, None)
    await eventually(lambda: len(pair.other.publications) == last.position.offset)
    assert pair.told.publications == pair.other.publications
    assert pair.told.publications[-1][3] == "c9"
    pair.told.check_order()
    await check_books(pair.two, here, there)


async def test_a_second_listener_misses_nothing(pair: Pair) -> None:
    """What is read while the first listener still waits joins with what is heard from then on."""
    first = asyncio.ensure_future(pair.one.streams.subscribe(ROOM))
    await asyncio.sleep(0)
    page = await pair.one.streams.history(ROOM, HistoryQuery(limit=9), KEPT)
    assert pair.one._subscriptions.is_subscribed("portward:{rooms:general}:said")
    await pair.two.streams.publish(ROOM, draft("x"), KEPT, None)
    await eventually(lambda: len(pair.told.publications) == 1)
    assert page.position.offset == 0
    await first


async def test_a_full_publication_comes_back_whole(pair: Pair) -> None:
    """Every field and any JSON survives the store and the bus; who was excluded is not kept."""
    data = {"a": [1, 2.5, None, True, "\u20ac\U0001f600\x00"], "": {}}
    sent = draft(
        data, key="k", type="t", user="ann", email="a@b", signature="s", origin=OTHER, exclude="c1"
    )
    await pair.two.streams.subscribe(ROOM)
    stored = await pair.one.streams.publish(ROOM, sent, KEPT, None)
    await eventually(lambda: len(pair.other.publications) == 1)
    page = await pair.two.streams.history(ROOM, HistoryQuery(limit=1), KEPT)
    [(_, heard, epoch, exclude)] = pair.other.publications
    assert (heard,) == page.publications
    assert (heard.data, heard.origin, heard.signature, exclude) == (data, OTHER, "s", "c1")
    assert epoch == stored.position.epoch
    assert isinstance(heard.origin, Channel)


async def test_events_reach_both_once(pair: Pair) -> None:
    """Every kind of event arrives unchanged, here at once and there over the bus."""
    events = [
        UserJoined(channel=ROOM, user="ann", client="c1", email="a@b"),
        UserLeft(channel=ROOM, user="ann", client="c1", reason=LeaveReason.DISCONNECTED),
        UserSignalled(channel=ROOM, user="ann", client="c1", name="typing", active=True),
        Revoked(revocation=Revocation(RevocationKind.SUBJECT, "bob", 1.5, 4e9)),
        RightsChanged(user="ann", channel=ROOM),
        Disconnected(user="ann"),
        Expelled(user="ann", channel=ROOM, client="c1"),
    ]
    for event in events:
        await pair.one.streams.publish_control(event)
    assert pair.told.events == events
    await eventually(lambda: len(pair.other.events) == len(events))
    await pair.two.streams.publish_control(RightsChanged(user="last"))
    await eventually(lambda: len(pair.told.events) == len(events) + 1)
    assert pair.other.events[: len(events)] == events


async def test_a_hundred_want_one_ticket(pair: Pair) -> None:
    """Of 100 who redeem a ticket on two nodes at the same time one gets the identity."""
    await stores(pair.one).sessions.put_ticket("t", ANN, 60.0)
    engines = itertools.cycle((pair.one, pair.two))
    taken = await asyncio.gather(
        *(stores(next(engines)).sessions.take_ticket("t") for _ in range(100))
    )
    assert [each for each in taken if each is not None] == [ANN]


async def test_a_hundred_want_one_session(pair: Pair) -> None:
    """Of 100 who come back with the same nonce one does."""
    record = SessionRecord(id="s1", identity=ANN, nonce="n", client="c")
    await stores(pair.one).sessions.save(record, 60.0)
    engines = itertools.cycle((pair.one, pair.two))
    swaps = [stores(next(engines)).sessions.swap("s1", "n", f"n{n}", f"c{n}") for n in range(100)]
    won = [each for each in await asyncio.gather(*swaps) if each is not None]
    assert len(won) == 1
    assert won[0].identity == ANN
    assert await stores(pair.two).sessions.swap("s1", won[0].nonce, "last", "c") is not None


async def test_a_hundred_decide(pair: Pair) -> None:
    """Of 100 verdicts one holds, and everybody is told which."""
    asked = Approval(id="a1", channel=ROOM, title="?", data=1, created_at=1.0, expires_at=4e9)
    assert await stores(pair.one).approvals.add(asked)
    assert await stores(pair.two).approvals.pending(ROOM) == (asked,)
    engines = itertools.cycle((pair.one, pair.two))
    verdicts = [Verdict(decision=Decision.APPROVE, user=f"u{n}", at=2.0) for n in range(100)]
    decided = await asyncio.gather(
        *(stores(next(engines)).approvals.decide(asked, verdict) for verdict in verdicts)
    )
    assert sum(won for _, won in decided) == 1
    assert len({kept.verdict for kept, _ in decided if kept is not None}) == 1


async def test_a_hundred_set_one_value(pair: Pair) -> None:
    """Of 100 who build on the same version one is right; without a version all are, one by one."""
    engines = itertools.cycle((pair.one, pair.two))
    puts = [stores(next(engines)).user_state.put("ann", "k", n, 0, 60.0) for n in range(100)]
    assert sum(put for _, put in await asyncio.gather(*puts)) == 1
    puts = [stores(next(engines)).user_state.put("ann", "k", n, None, 60.0) for n in range(100)]
    versions = [kept.version for kept, _ in await asyncio.gather(*puts)]
    assert sorted(versions) == list(range(2, 102))


async def test_rooms_are_made_once(pair: Pair) -> None:
    """Of many who make the same room one does."""
    engines = itertools.cycle((pair.one, pair.two))
    room, maker = Room(id="x"), "ann"
    made = [next(engines).rooms.make(ROOM, room, RoomOrigin.JOINER, maker, 60) for _ in range(50)]
    assert sorted(await asyncio.gather(*made)) == [RoomMade.EXISTS] * 49 + [RoomMade.MADE]


async def test_presence_counts_over_nodes(pair: Pair) -> None:
    """A user's first and last connection are found wherever they are; the limit counts all nodes."""
    one, two = pair.one.presence, pair.two.presence
    members = [Member(f"c{n}", "ann") for n in range(40)]
    engines = itertools.cycle((one, two))
    firsts = await asyncio.gather(*(next(engines).enter(ROOM, member) for member in members))
    assert sum(bool(first) for first in firsts) == 1
    assert await two.enter(ROOM, Member("x", "bob"), 1) is None
    assert len(await one.members(ROOM)) == 40
    lasts = await asyncio.gather(*(next(engines).leave(ROOM, f"c{n}", "ann") for n in range(40)))
    assert sum(bool(last) for last in lasts) == 1
    assert await one.members(ROOM) == ()


async def test_presence_is_numbered_over_nodes(pair: Pair) -> None:
    """Comings and goings of a user at two nodes have growing numbers, whichever node they are at."""
    numbers = []
    both = itertools.cycle([(pair.one, pair.two), (pair.two, pair.one)])
    for number, (one, two) in zip(range(10), both, strict=False):
        numbers.append(await one.presence.enter(ROOM, Member(f"c{number}", "ann")) or 0)
        numbers.append(await two.presence.leave(ROOM, f"c{number}", "ann"))
    assert numbers[0] > 0
    assert numbers == sorted(set(numbers))


async def test_who_is_not_renewed_is_swept(redis: Server) -> None:
    """Entries of a node that died are removed, and each user is told of once, by one of the others."""
    async with _pair(redis, BRIEF) as pair:
        await _dies(redis, pair)


async def _dies(redis: Server, pair: Pair) -> None:
    members = [Member("c1", "ann", "a@b"), Member("c2", "ann"), Member("c3", "bob")]
    for member in members:
        await pair.one.presence.enter(ROOM, member)
    await pair.one.presence.enter(OTHER, members[0])
    alive = [(OTHER, members[0])]
    async with asyncio.timeout(LIMIT):
        while len(pair.other.events) < 2:
            await pair.one.presence.renew(alive)
            await asyncio.gather(pair.one.sweep(), pair.two.sweep(), pair.two.sweep())
    assert await pair.two.presence.members(ROOM) == ()
    assert await pair.two.presence.members(OTHER) == (members[0],)
    left = {
        (event.user, event.reason) for event in pair.other.events if isinstance(event, UserLeft)
    }
    assert left == {("ann", LeaveReason.DISCONNECTED), ("bob", LeaveReason.DISCONNECTED)}
    assert len(pair.other.events) == 2
    await pair.one.presence.renew([(ROOM, members[2]), *alive])
    assert await pair.two.presence.members(ROOM) == (members[2],)
    assert await pair.two.presence.leave(ROOM, "c3", "bob")
    assert await pair.one.presence.leave(OTHER, "c1", "ann")
    await pair.one.presence.renew([])
    async with asyncio.timeout(LIMIT):
        while redis.cli("ZCARD", "portward:leases").strip() != "0":
            await pair.one.sweep()


async def test_a_lease_that_outlives_its_listing_is_not_forgotten(redis: Server) -> None:
    """An entry that is listed as due before its lease has run out is listed anew, and swept in the end."""
    async with _pair(redis, BRIEF) as pair:
        await pair.one.presence.enter(ROOM, Member("c1", "ann"))
        redis.cli("ZADD", "portward:leases", "1", "rooms:general c1", "1", "nonsense")
        await pair.two.sweep()
        async with asyncio.timeout(LIMIT):
            while not pair.other.events:
                await pair.two.sweep()
        assert await pair.two.presence.members(ROOM) == ()
        assert len(pair.other.events) == 1


async def test_snapshots_are_bounded_and_in_order(pair: Pair) -> None:
    """The last publication of every key is kept, in the order of offsets; of too many the oldest goes."""
    channel = Channel.parse("live:x")
    numbers = range(SNAPSHOT_KEYS + 2)
    await asyncio.gather(
        *(pair.one.streams.publish(channel, draft(n, key=f"k{n}"), LATEST, None) for n in numbers)
    )
    await pair.two.streams.publish(channel, draft("again", key="k5"), LATEST, None)
    await pair.two.streams.publish(channel, draft("no key"), LATEST, None)
    page = await pair.two.streams.history(channel, HistoryQuery(limit=0, latest=True), LATEST)
    assert len(page.latest) == SNAPSHOT_KEYS
    assert page.latest[-1].data == "again"
    assert [each.offset for each in page.latest] == sorted(each.offset for each in page.latest)
    assert page.publications == ()
    plain = await pair.two.streams.history(channel, HistoryQuery(limit=9), LATEST)
    assert (len(plain.publications), plain.latest) == (3, ())


async def test_facts_come_from_shared_keys(redis: Server, pair: Pair) -> None:
    """Sets that other applications write are read; that a user is in no workspace can be known."""
    redis.cli("SADD", "user_roles:ann", "user", "editor")
    redis.cli("SADD", "user_permissions:ann", "room.create")
    assert await stores(pair.one).directory.rights("ann") == UserRights(
        roles=frozenset({"user", "editor"}), permissions=frozenset({"room.create"})
    )
    await stores(pair.one).directory.set_workspaces("ann", frozenset())
    assert (await stores(pair.two).directory.rights("ann")).workspaces == frozenset()
    await stores(pair.one).directory.set_workspaces("ann", None)
    assert (await stores(pair.two).directory.rights("ann")).workspaces is None
    await stores(pair.two).directory.set_roles("ann", frozenset({"admin"}))
    assert redis.cli("SMEMBERS", "user_roles:ann").split() == ["admin"]


async def test_tokens_others_revoked(redis: Server, pair: Pair) -> None:
    """Whatever another application sets for a token revokes it."""
    redis.cli("SET", "revoked_token:abc", "")
    assert await stores(pair.one).revocations.token_revoked("abc")
    assert not await stores(pair.one).revocations.token_revoked("abcd")


async def test_notes_stand_where_others_look(redis: Server, pair: Pair) -> None:
    """Texts are strings and lists are lists of Redis, under the prefix; what others put there is read."""
    await pair.one.kv.put(Key("audit:a.jsonl:n1"), b"one")
    assert redis.cli("GET", "portward:audit:a.jsonl:n1").strip() == "one"
    await pair.one.kv.prepend(Key("ws_security_events"), ("a", "b"), 3)
    await pair.two.kv.prepend(Key("ws_security_events"), ("c", "d"), 3)
    assert redis.cli("LRANGE", "portward:ws_security_events", "0", "-1").split() == ["d", "c", "b"]
    redis.cli("LPUSH", "portward:ws_security_events", "theirs")
    assert await pair.one.kv.read(Key("ws_security_events"), 2) == ("theirs", "d")


async def test_a_list_that_is_none_is_told_of(redis: Server, pair: Pair) -> None:
    """What another application spoilt is an error in one word, and never a quote of what was written."""
    redis.cli("SET", "portward:ws_security_events", "x")
    with pytest.raises(EngineUnavailable, match="WRONGTYPE") as caught:
        await pair.one.kv.prepend(Key("ws_security_events"), ("canary",), 3)
    assert "canary" not in str(caught.value)


async def test_the_later_and_longer_revocation_is_kept(pair: Pair) -> None:
    """A revocation does not weaken one for the same thing; the store's copy is learnt from."""
    subject = RevocationKind.SUBJECT
    await stores(pair.one).revocations.add(Revocation(subject, "ann:x", 50.0, 4e9))
    await stores(pair.one).revocations.add(Revocation(subject, "ann:x", 40.0, 5e9))
    kept = Revocation(subject, "ann:x", 50.0, 5e9)
    assert await stores(pair.two).revocations.since(45.5) == (kept,)
    assert await stores(pair.two).revocations.since(50.5) == ()
    issued = Identity(subject="ann:x", issued_at=45.0)
    assert await stores(pair.two).revocations.is_revoked(issued, None)
    assert not await stores(pair.two).revocations.is_revoked(Identity(subject=""), None)
    assert not await stores(pair.two).revocations.is_revoked(Identity(subject="bob"), None)


async def test_rates_span_nodes(pair: Pair) -> None:
    """Ten at once over both nodes are ten; who is refused is told how long to wait."""
    engines = itertools.cycle((pair.one, pair.two))
    waits = await asyncio.gather(*(next(engines).counters.take("k", 10.0, 10) for _ in range(15)))
    assert sum(wait == 0.0 for wait in waits) == 10
    assert all(0.0 < wait <= 10.0 for wait in waits if wait)
    assert await pair.one.counters.take("k", 0.0, 1) == 0.0
    assert await pair.two.counters.take("other", 10.0, 10) == 0.0


async def test_counters_span_nodes(pair: Pair) -> None:
    """What two nodes add is one sum."""
    engines = itertools.cycle((pair.one, pair.two))
    sums = await asyncio.gather(*(next(engines).counters.add("k", 2, 60.0) for _ in range(20)))
    assert sorted(sums) == list(range(2, 42, 2))


async def test_databases_and_prefixes_are_apart(redis: Server, pair: Pair) -> None:
    """Another database, or another prefix, is another store: nothing is seen or heard of it."""
    told = Witness()
    address = redis.url.removesuffix("/0")
    async with (
        engine_at(f"{address}/3", told) as elsewhere,
        engine_at(redis.url, told, prefixes=Prefixes("other:")) as beside,
    ):
        for engine in (elsewhere, beside, pair.two):
            await engine.streams.subscribe(ROOM)
        await pair.one.streams.publish(ROOM, draft("x"), KEPT, None)
        await pair.one.streams.publish_control(RightsChanged(user="ann"))
        await eventually(lambda: bool(pair.other.publications and pair.other.events))
        first = await elsewhere.streams.publish(ROOM, draft("y"), KEPT, None)
        second = await beside.streams.publish(ROOM, draft("z"), KEPT, None)
        assert first.position.offset == second.position.offset == 1
        assert [each.data for _, each, *_ in told.publications] == ["y", "z"]
        assert told.events == []
        assert await pair.one.streams.channels() == (ROOM,)


async def test_nobody_needs_to_be_a_task(pair: Pair) -> None:
    """Every port can be asked from a coroutine that is no Task until it waits."""
    engine = pair.one
    asked = Approval(id="a1", channel=ROOM, title="?", data=1, created_at=1.0, expires_at=4e9)
    node = NodeInfo(uid="n", clients=0, users=0, subscriptions=0, channels=0, uptime=1.0)
    calls = [
        engine.streams.subscribe(ROOM),
        engine.streams.publish(ROOM, draft("x"), KEPT, "k"),
        engine.streams.history(ROOM, HistoryQuery(limit=1), KEPT),
        engine.streams.publish_control(RightsChanged(user="ann")),
        engine.streams.channels(),
        engine.streams.unsubscribe(ROOM),
        engine.streams.remove(ROOM),
        engine.presence.enter(ROOM, Member("c1", "ann")),
        engine.presence.renew([(ROOM, Member("c1", "ann"))]),
        engine.presence.members(ROOM),
        engine.presence.leave(ROOM, "c1", "ann"),
        stores(engine).directory.rights("ann"),
        engine.rooms.make(ROOM, Room(id="x"), RoomOrigin.JOINER, "ann", 60.0),
        engine.rooms.get(ROOM),
        engine.rooms.all(),
        engine.rooms.save(ROOM, Room(id="x"), RoomOrigin.BACKEND),
        engine.rooms.use(ROOM, 60.0),
        engine.rooms.remove(ROOM),
        stores(engine).sessions.take_ticket("t"),
        stores(engine).revocations.is_revoked(ANN, None),
        stores(engine).approvals.add(asked),
        stores(engine).user_state.put("ann", "k", 1, None, 60.0),
        stores(engine).nodes.register(node, 60.0),
        engine.counters.take("k", 1.0, 1),
        engine.sweep(),
    ]
    failures: list[BaseException] = []
    finished: list[object] = []

    def done(result: object, error: BaseException | None) -> None:
        finished.append(result)
        if error is not None:
            failures.append(error)

    loop = asyncio.get_running_loop()
    tasks = [
        loop.call_soon(lambda call=call: start_eager(call, done))  # type: ignore[misc]
        for call in calls
    ]
    await eventually(lambda: len(finished) == len(tasks))
    assert failures == []
