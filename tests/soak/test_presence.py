"""Who was on nodes that were killed is gone in time, however many nodes are killed at once."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.nodes import Node, eventually, people, token
from tests.engines.redis_servers import Server, need_redis, servers

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1100)]

NODES = 10
ROUNDS = 5
USERS = 20
"""On each node, in one room of all and in one of its own."""
PROMISED = 35.0
"""Seconds after which nobody of a killed node is present any more: docs/engines.md."""
ROOM = "everybody"


@contextmanager
def running(nodes: list[Node]) -> Iterator[None]:
    """Run nodes, two at a time as they start."""
    try:
        for at in range(0, len(nodes), 2):
            for node in nodes[at : at + 2]:
                node.launch()
            for node in nodes[at : at + 2]:
                node.await_service()
        yield
    finally:
        for node in nodes:
            node.end()


async def users(node: Node, room: str) -> int:
    """How many users are in a room."""
    stats = await node.call("presence_stats", channel=f"open:{room}")
    found: int = stats["num_users"]
    return found


async def emptied(node: Node, since: float) -> float:
    """Wait until only the watcher is left in the room of all; seconds since the time given."""

    async def alone() -> bool:
        return await users(node, ROOM) == 1

    await eventually(alone)
    return time.monotonic() - since


@pytest.mark.parametrize("number", range(ROUNDS))
async def test_ten_nodes_killed_at_once(tmp_path: Path, number: int) -> None:
    """Within 35 seconds nobody of ten killed nodes is present, and each user's leaving was told once."""
    need_redis()
    with servers(Server(tmp_path / "redis", "--save", "")) as (redis,):
        survivor = Node(tmp_path / "survivor", redis.url, "survivor")
        doomed = [Node(tmp_path / f"n{each}", redis.url, f"n{each}") for each in range(NODES)]
        with running([survivor, *doomed]):
            async with people() as crowd:
                own = [f"own{each}" for each in range(NODES)]
                watcher = await crowd.user(survivor, token("watcher"), ROOM, *own, endpoint="open")
                expected = set()
                for node, room in zip(doomed, own, strict=True):
                    for each in range(USERS):
                        user = f"{node.name}-{each}"
                        expected.add(user)
                        await crowd.user(node, token(user), ROOM, room, endpoint="open")
                assert await users(survivor, ROOM) == len(expected) + 1
                # Different moments of the ten seconds between two renewals.
                await asyncio.sleep(2.0 * number)
                watcher.heard.clear()
                since = time.monotonic()
                for node in doomed:
                    node.begin_kill()
                took = await emptied(survivor, since)
                print(f"round {number}: gone after {took:.1f} s")  # noqa: T201 - what a soak is for
                assert took <= PROMISED
                for room in own:
                    assert await users(survivor, room) == 1
                left = [
                    message["data"]["userId"]
                    for message in watcher.unread("user_disconnected")
                    if message["data"]["roomId"] == ROOM
                ]
                assert sorted(left) == sorted(expected)
