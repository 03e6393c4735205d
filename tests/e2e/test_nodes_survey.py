"""The admin API of two machines over one Redis: any of them answers for all."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.e2e.nodes import Cluster, Node, People, away, cluster, eventually, people, token

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes for all tests of this file."""
    with cluster(tmp_path_factory.mktemp("survey")) as made:
        yield made


@pytest.fixture
async def crowd() -> AsyncIterator[People]:
    """Makes clients."""
    async with people() as made:
        yield made


async def known_to_each_other(two: Cluster) -> None:
    """Wait until each node answers with both, and so knows the other."""
    for node in two:

        async def both(node: Node = node) -> bool:
            answer = await node.call("info")
            return {each["uid"] for each in answer["nodes"]} == {"a", "b"} and not answer["missing"]

        await eventually(both)


async def users(node: Node) -> tuple[set[str], list[str]]:
    """Whose connections a node lists, and who is missing."""
    answer = await node.call("connections", endpoint="rooms")
    return {each["user"] for each in answer["connections"]}, answer["missing"]


async def test_each_answers_for_both(two: Cluster, crowd: People) -> None:
    """Connections, channels, figures and events are those of both, whichever is asked."""
    await known_to_each_other(two)
    await crowd.user(two.a, token("ann"), "hall", "left")
    bob = await crowd.user(two.b, token("bob"), "hall", "right")
    twin = await crowd.user(two.a, token("bob"), "hall")
    for node in two:
        listed = await node.call("connections", endpoint="rooms")
        assert [each["user"] for each in listed["connections"]] == ["ann", "bob", "bob"]
        assert (listed["total"], listed["missing"]) == (3, [])
        pages = [
            await node.call("connections", endpoint="rooms", offset=n, limit=1) for n in range(3)
        ]
        assert [page["connections"] for page in pages] == [[each] for each in listed["connections"]]
        assert (await node.call("connections", user="bob"))["total"] == 2
        channels = await node.call("channels", pattern="rooms:*")
        sizes = {name: each["num_clients"] for name, each in channels["channels"].items()}
        assert sizes == {"rooms:hall": 3, "rooms:left": 1, "rooms:right": 1}
        assert (channels["total"], channels["missing"]) == (3, [])
        page = await node.call("channels", pattern="rooms:*", offset=1, limit=1)
        assert (list(page["channels"]), page["total"]) == ([list(sizes)[1]], 3)
        clients = {each["uid"]: each["num_clients"] for each in (await node.call("info"))["nodes"]}
        assert clients == {"a": 2, "b": 1}  # as of now, not as last told
    logged = [await node.call("security_events", limit=1000) for node in two]
    known = {each["seq"]: each for each in logged[1]["events"]}
    proven = [each for each in logged[0]["events"] if each["event"] == "auth.ok"]
    assert {each["fields"]["user"] for each in proven} >= {"ann", "bob"}
    assert all(known[each["seq"]] == each for each in proven)
    assert await two.a.call("revoke", user="bob") == {"ended": 2, "missing": []}
    assert {await bob.ended(), await twin.ended()} == {3503}
    later = await two.b.call("security_events", since=proven[-1]["seq"])
    assert "auth.revoke" in [each["event"] for each in later["events"]]


async def test_node_that_hangs(two: Cluster, crowd: People) -> None:
    """A node that is stopped is named; the other answers with its own part, and revokes at once."""
    await known_to_each_other(two)
    await crowd.user(two.a, token("dan"), "frozen")
    await crowd.user(two.b, token("eve"), "frozen")
    assert await users(two.a) == ({"dan", "eve"}, [])
    two.b.freeze()
    try:
        mine, channels, info, events, replies = await asyncio.gather(
            users(two.a),
            two.a.call("channels", pattern="*:frozen"),
            two.a.call("info"),
            two.a.call("security_events"),
            two.a.call("batch", commands=[{"connections": {}}]),
        )
        assert mine == ({"dan"}, ["b"])
        assert channels["channels"] == {"rooms:frozen": {"num_clients": 1}}
        assert channels["missing"] == events["missing"] == ["b"]
        assert ({each["uid"] for each in info["nodes"]}, info["missing"]) == ({"a", "b"}, ["b"])
        assert replies["replies"][0]["connections"]["missing"] == ["b"]
        assert await two.a.call("revoke", user="dan") == {"ended": 1, "missing": ["b"]}
    finally:
        two.b.thaw()
    await known_to_each_other(two)
    assert await users(two.a) == ({"eve"}, [])


async def test_store_that_is_away(two: Cluster, crowd: People) -> None:
    """Without Redis each node answers for itself and names the other; metrics and health go on."""
    await known_to_each_other(two)
    await crowd.user(two.a, token("cid"), "away")
    async with away(two):
        assert await users(two.a) == ({"cid"}, ["b"])
        for node in two:
            other = "b" if node is two.a else "a"
            assert (await node.call("info"))["missing"] == [other]
            assert await node.status("health") == 200
            async with httpx.AsyncClient(trust_env=False) as client:
                text = (await client.get(f"{node.admin}metrics")).text
            assert "portward_engine_up 0.0" in text
    await known_to_each_other(two)


async def test_node_that_ends(two: Cluster) -> None:
    """A node that stops in order is expected no longer; one that comes back is there again."""
    await known_to_each_other(two)
    assert two.b.stop() == 0
    info = await two.a.call("info")
    assert ([each["uid"] for each in info["nodes"]], info["missing"]) == (["a"], [])
    two.b.start()
    await known_to_each_other(two)
