"""Nodes that are restarted under load, and one that dies."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from portward.client import Joined, JoinFailed, Left, ShuttingDown
from tests.e2e.nodes import (
    Balancer,
    Cluster,
    Node,
    Peer,
    People,
    cluster,
    eventually,
    people,
    token,
)
from tests.e2e.nodes_checker import Listener, Publisher, listening, publishing

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]
ROOMS = ("north", "east", "south", "west")
SHUTDOWN = 3001


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Cluster]:
    """Two nodes for one test."""
    with cluster(tmp_path) as made:
        yield made


@pytest.fixture
async def crowd() -> AsyncIterator[People]:
    """Makes clients."""
    async with people() as made:
        yield made


async def restart(node: Node) -> int:
    """Let a node drain and start it anew; the exit code."""
    node.begin_stop()
    code = await asyncio.to_thread(node.wait)
    await asyncio.to_thread(node.start)
    return code


@pytest.mark.long
async def test_rolling_restart_loses_nothing(two: Cluster) -> None:
    """While both nodes are restarted in turn, each client hears every number once and in order."""
    async with AsyncExitStack() as stack:
        balancer = await stack.enter_async_context(Balancer((two.a, two.b)))
        everyone = await asyncio.gather(
            *(
                stack.enter_async_context(listening(balancer.url, f"u{n}", *_two_of(n)))
                for n in range(40)
            )
        )
        spread = [each["num_clients"] for each in (await two.a.call("info"))["nodes"]]
        assert (len(spread), sum(spread)) == (2, 40)
        assert min(spread) > 0
        publisher = await stack.enter_async_context(publishing(two.b, *ROOMS))
        await publisher.more()
        assert await restart(two.a) == 0
        await publisher.more()
        publisher.node = two.a
        assert await restart(two.b) == 0
        await publisher.more()
        await publisher.stop()
        assert publisher.refused == []
        for n, each in enumerate(everyone):
            for room in _two_of(n):
                await eventually(lambda e=each, r=room: e.at(r) == publisher.last(r))  # type: ignore[misc]
        await asyncio.gather(*(each.finish() for each in everyone))
        for n, each in enumerate(everyone):
            _check(each, publisher, _two_of(n))
    assert [node.stop() for node in two] == [0, 0]


def _two_of(number: int) -> tuple[str, str]:
    return ROOMS[number % 4], ROOMS[(number + 1) % 4]


def _check(listener: Listener, publisher: Publisher, rooms: tuple[str, ...]) -> None:
    for room in rooms:
        published = [each.content for each in publisher.acknowledged if each.room == room]
        assert [each.content for each in listener.told(room)] == published
        assert listener.losses(room) == []
    back = [each for each in listener.events if isinstance(each, Joined)][len(rooms) :]
    assert all(each.recovered for each in back)
    assert not any(isinstance(each, JoinFailed | Left) for each in listener.events)
    # Nobody was cut off: each end of a connection was announced, and has the code of a drain.
    ends = [each for each in listener.partings if each.code is not None]
    told = [each for each in listener.events if isinstance(each, ShuttingDown)]
    assert {each.code for each in ends} == {SHUTDOWN}
    assert len(ends) == len(told)


@pytest.mark.long
async def test_node_that_dies_is_swept_by_the_other(two: Cluster, crowd: People) -> None:
    """After `kill -9` the other node tells who is gone, and nothing of who is there still."""
    watcher = await crowd.user(two.b, token("watcher"), "hall")
    lost = await crowd.user(two.a, token("lost"), "hall")
    both = [await crowd.user(node, token("both"), "hall") for node in two]
    moved = await crowd.user(two.a, token("moved"), "hall")
    place = await lost.wish("message", roomId="hall", content="last words")
    two.a.kill()
    for each in (lost, both[0], moved):
        assert await each.ended() == 1006
    again = await crowd.connect(two.b)
    resumed = await again.wish("auth", wsToken=moved.session)
    assert resumed["resumed"] is True
    since = {"offset": place["offset"] - 1, "epoch": place["epoch"]}
    joined = await again.wish("join", roomId="hall", since=since)
    assert [each["content"] for each in joined["messages"]] == ["last words"]
    # Leases run for 30 s and are swept within 5 more.
    await watcher.hears("user_disconnected", userId="lost")
    await eventually(lambda: _is_settled(watcher))
    await again.wish("message", roomId="hall", content="settled")
    await watcher.hears("message", content="settled")
    assert watcher.unread("user_left", "user_disconnected") == []
    [node] = (await two.b.call("info"))["nodes"]
    assert node["uid"] == "b"


async def _is_settled(peer: Peer) -> bool:
    found = await peer.wish("presence", roomId="hall")
    there = {each["userId"]: each["connections"] for each in found["participants"]}
    return there == {"watcher": 1, "both": 1, "moved": 1}
