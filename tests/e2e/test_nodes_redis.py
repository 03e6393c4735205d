"""Two nodes whose store hangs, restarts, comes back empty, or loses its announcements, under load."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.e2e.nodes import (
    Cluster,
    Node,
    People,
    away,
    cluster,
    eventually,
    people,
    readiness,
    token,
)
from tests.e2e.nodes_checker import Listener, Publisher, listening, publishing
from tests.engines.redis_proxy import Proxy

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes for all tests of this file, over a store that keeps what it has acknowledged.

    Each test has rooms and users of its own, and leaves the store well.
    """
    with cluster(tmp_path_factory.mktemp("redis"), "--appendonly", "yes") as made:
        yield made


@pytest.fixture
async def crowd() -> AsyncIterator[People]:
    """Makes clients."""
    async with people() as made:
        yield made


class Load:
    """A publisher at each node, and listeners at both, all in one room of the namespace `open`."""

    def __init__(self, room: str, everyone: list[Listener], publishers: list[Publisher]) -> None:
        self.room = room
        self.everyone = everyone
        self.publishers = publishers

    async def more(self, count: int = 20) -> None:
        """Wait until so many more were acknowledged at each node."""
        for each in self.publishers:
            await each.more(count)

    async def refusals(self) -> None:
        """Wait until each node has refused one more."""
        for each in self.publishers:
            await each.refusal()

    async def finish(self) -> None:
        """Stop, wait until all have arrived at the end, and check what they were told."""
        for publisher in self.publishers:
            await publisher.stop()
        ends = [each.last(self.room) for each in self.publishers]
        last = max(ends, key=lambda place: place.offset)
        await eventually(lambda: all(each.at(self.room) == last for each in self.everyone))
        for each in self.everyone:
            await each.finish()
            assert each.partings == [], "a local client lost its connection"
            for publisher in self.publishers:
                each.check(self.room, publisher.acknowledged)

    def losses(self) -> set[int]:
        """How often each listener was told that something is gone."""
        return {len(each.losses(self.room)) for each in self.everyone}


@asynccontextmanager
async def load(two: Cluster, room: str) -> AsyncIterator[Load]:
    """Everything under way; at the end of the block the store is well, and all is checked."""
    async with AsyncExitStack() as stack:
        everyone = [
            await stack.enter_async_context(listening(node.url("open"), f"{node.name}{n}", room))
            for node in two
            for n in range(3)
        ]
        publishers = [
            await stack.enter_async_context(publishing(node, room, namespace="open"))
            for node in two
        ]
        under_way = Load(room, everyone, publishers)
        await under_way.more()
        yield under_way
        await readiness(two, ready=True)
        await under_way.more()
        await under_way.finish()


async def test_store_that_hangs(two: Cluster) -> None:
    """Publishes are refused and both nodes turn red; afterwards nothing is missing without a word."""
    async with load(two, "hangs") as under_way:
        two.redis.pause()
        try:
            await under_way.refusals()
            await readiness(two, ready=False)
        finally:
            two.redis.resume()


@pytest.mark.long
async def test_store_that_restarts(two: Cluster, crowd: People) -> None:
    """All stay connected, what was revoked stays so, and what was missed is told or told to be lost."""
    revoked = token("rick", jti="revoked-before")
    await two.a.call("revoke", jti="revoked-before")
    async with load(two, "restarts") as under_way:
        for _ in range(3):
            async with away(two):
                await under_way.refusals()
            await under_way.more()
    for node in two:
        late = await crowd.connect(node, "open")
        answer = await late.ask("auth", token=revoked)
        assert answer["data"]["message"] == "Token has been revoked"


async def test_store_that_comes_back_empty(two: Cluster, crowd: People) -> None:
    """All stay connected, are told that the past is gone, hear the rest, and are all present again."""
    watchers = [
        await crowd.user(node, token(f"w{node.name}"), "quiet", endpoint="open") for node in two
    ]
    async with load(two, "empty") as under_way:
        async with away(two, empty=True):
            await under_way.refusals()
            for each in watchers:
                await each.wish("heartbeat")
                answer = await each.ask("message", roomId="quiet", content="into the void")
                assert answer["data"]["code"] == "unavailable"
        await under_way.more()
        for node in two:
            await eventually(lambda node=node: _sees(node, "empty", 6))  # type: ignore[misc]
    assert 0 not in under_way.losses()
    assert all(each.open for each in watchers)


async def _sees(node: Node, room: str, users: int) -> bool:
    stats = await node.call("presence_stats", channel=f"open:{room}")
    return bool(stats["num_users"] == users)


async def test_rooms_of_a_store_that_comes_back_empty(two: Cluster, crowd: People) -> None:
    """Who is in a room whose record is gone is told to be out, stays connected, and may join again."""
    members = [await crowd.user(node, token(f"m{node.name}"), "record") for node in two]
    async with away(two, empty=True):
        pass
    for each in members:
        assert (await each.hears("room_left"))["roomId"] == "record"
    for each in members:
        await each.wish("join", roomId="record")
    await members[0].wish("message", roomId="record", content="here we are again")
    for each in members:
        await each.hears("message", content="here we are again")


async def test_announcements_that_are_cut_off(two: Cluster) -> None:
    """Whatever the bus loses while its connections are cut again and again is read from history."""
    async with load(two, "cut") as under_way:
        for _ in range(5):
            two.redis.cli("CLIENT", "KILL", "TYPE", "pubsub")
            await under_way.more(10)
    assert under_way.losses() == {0}


@pytest.mark.long
async def test_announcements_that_are_lost_in_silence(
    two: Cluster, crowd: People, tmp_path: Path
) -> None:
    """What a node is not told of, it asks for: a revocation within 30 s, a last publication too."""
    async with Proxy(two.redis.port) as proxy:
        deaf = Node(tmp_path / "deaf", proxy.url, "deaf")
        try:
            await asyncio.to_thread(deaf.start)
            bob = await crowd.user(deaf, token("bob"), "silence")
            ann = await crowd.user(deaf, token("ann", jti="to-be-revoked"))
            await _lose(proxy, two.a, "publish", channel="rooms:silence", data="unheard words")
            await _lose(proxy, two.a, "revoke", jti="to-be-revoked")
            assert (await bob.hears("message"))["content"] == "unheard words"
            assert await ann.ended() == 3503
        finally:
            await asyncio.to_thread(deaf.end)
        assert "Traceback" not in deaf.said


async def _lose(proxy: Proxy, node: Node, method: str, **body: str) -> None:
    """Call a method whose announcement does not arrive."""
    known = proxy.swallowed
    proxy.unwanted = next(reversed(body.values())).encode()
    await node.call(method, **body)
    await eventually(lambda: proxy.swallowed > known)
    proxy.unwanted = None
