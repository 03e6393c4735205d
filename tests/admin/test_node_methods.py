import socket
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward import __version__
from portward.admin import node_methods
from portward.admin.node_methods import connection_count, slices
from tests.admin.nodes import Machines, machines
from tests.admin.service import READER, Service


async def test_info_describes_the_node(service: Service) -> None:
    """The node says what it is and how many are here, under Centrifugo's names."""
    await service.join("ann", "a")
    await service.join("ann", "b")
    await service.join("bob", "b")
    service.clock.advance(20.5)
    (node,) = (await service.call("info", READER))["nodes"]
    assert node.pop("uid")
    assert node == {
        "name": socket.gethostname(),
        "version": __version__,
        "num_clients": 3,
        "num_users": 2,
        "num_subs": 3,
        "num_channels": 2,
        "uptime": 20,
    }


async def test_a_node_keeps_its_name(service: Service) -> None:
    """The id of a node is the same for as long as it runs."""
    uids = [(await service.call("info"))["nodes"][0]["uid"] for _ in range(2)]
    assert uids[0] == uids[1]


async def test_connections_are_listed(service: Service) -> None:
    """A connection shows its user, endpoint, masked address, time and channels."""
    await service.join("ann", address="198.51.100.23")
    result = await service.call("connections", READER)
    (found,) = result["connections"]
    assert found.pop("client")
    assert found == {
        "user": "ann",
        "endpoint": "rooms",
        "address": "198.51.100.xxx",
        "opened_at": service.clock.time(),
        "channels": ["rooms:general"],
    }
    assert result["total"] == 1


async def test_connections_are_filtered(service: Service) -> None:
    """A user or an endpoint narrows the list and its total."""
    for user in ("ann", "bob", "ann"):
        await service.join(user)
    for asked, count in (
        ({"user": "ann"}, 2),
        ({"user": "cid"}, 0),
        ({"endpoint": "rooms"}, 3),
        ({"endpoint": "echo"}, 0),
        ({"user": "bob", "endpoint": "rooms"}, 1),
    ):
        result = await service.call("connections", **asked)
        assert (len(result["connections"]), result["total"]) == (count, count)


async def test_connections_come_in_pages(service: Service) -> None:
    """Limit and offset cut pages out of the list without overlap; the total is that of all."""
    for number in range(5):
        await service.join(f"user{number}", address=f"198.51.100.{number}")
    seen = []
    for offset in (0, 2, 4, 6):
        result = await service.call("connections", limit=2, offset=offset)
        seen += [each["user"] for each in result["connections"]]
        assert result["total"] == 5
    assert seen == [f"user{number}" for number in range(5)]


@pytest.mark.parametrize("body", [{"limit": 0}, {"limit": 1001}, {"offset": -1}, {"limit": "9"}])
async def test_pages_have_a_size(service: Service, body: dict[str, object]) -> None:
    """A page of more than a thousand, or of none, is refused."""
    assert (await service.fail("connections", **body))[:2] == (400, 107)


async def test_channels_are_listed_with_their_listeners(service: Service) -> None:
    """Active channels come with the number of connections that listen."""
    for user, room in (("ann", "a"), ("bob", "a"), ("cid", "b"), ("dan", "c")):
        await service.join(user, room)
    everything = await service.call("channels", READER)
    assert everything["channels"]["rooms:a"] == {"num_clients": 2}
    assert (len(everything["channels"]), everything["total"]) == (3, 3)
    chosen = await service.call("channels", pattern="*:[ab]")
    assert (list(chosen["channels"]), chosen["total"]) == (["rooms:a", "rooms:b"], 2)
    page = await service.call("channels", limit=1, offset=1)
    assert (list(page["channels"]), page["total"]) == (["rooms:b"], 3)


@pytest.fixture
async def two() -> AsyncIterator[Machines]:
    """Two nodes that know each other."""
    async with machines() as running:
        yield running


@given(st.lists(st.integers(0, 9), min_size=1, max_size=4), st.integers(0, 40), st.integers(1, 12))
def test_slices_are_the_page(sizes: list[int], offset: int, limit: int) -> None:
    """The parts asked of nodes, one after the other, are exactly the page of the whole."""
    lists = {str(number): [(number, n) for n in range(size)] for number, size in enumerate(sizes)}
    whole = [each for items in lists.values() for each in items]
    shares = slices({uid: len(items) for uid, items in lists.items()}, offset, limit)
    page = [each for uid, (at, count) in shares.items() for each in lists[uid][at : at + count]]
    assert page == whole[offset : offset + limit]


async def test_figures_of_all(two: Machines) -> None:
    """Each node describes all of them as they are now, in the order of their ids."""
    await two.gateways[0].client("ann", "lobby")
    for number in (0, 1):
        info = await two.call(number, "info")
        assert [(each["uid"], each["num_clients"]) for each in info["nodes"]] == [
            (two.uids[0], 1),
            (two.uids[1], 0),
        ]
        assert info["missing"] == []
    await two.gateways[1].client("bob")
    two.silence(1)
    info = await two.late(0, "info")
    assert [(each["uid"], each["num_clients"]) for each in info["nodes"]] == [
        (two.uids[0], 1),
        (two.uids[1], 0),  # as last known
    ]
    assert info["missing"] == [two.uids[1]]


async def test_connections_of_all(two: Machines) -> None:
    """Connections are listed over all nodes, by pages, users and endpoints."""
    for number in range(3):
        await two.gateways[0].client(f"a{number}")
    for number in range(2):
        await two.gateways[1].client(f"b{number}")
    for node in (0, 1):
        whole = await two.call(node, "connections")
        assert whole["total"] == 5
        assert [each["user"] for each in whole["connections"]] == ["a0", "a1", "a2", "b0", "b1"]
        page = await two.call(node, "connections", offset=2, limit=2)
        assert [each["user"] for each in page["connections"]] == ["a2", "b0"]
        assert page["total"] == 5
        beyond = await two.call(node, "connections", offset=9)
        assert beyond == {"connections": [], "total": 5, "missing": []}
        assert (await two.call(node, "connections", user="b1"))["total"] == 1
        assert (await two.call(node, "connections", endpoint="alerts"))["total"] == 0
    two.silence(0)
    whole = await two.late(1, "connections")
    assert (whole["total"], whole["missing"]) == (2, [two.uids[0]])
    assert [each["user"] for each in whole["connections"]] == ["b0", "b1"]


async def test_node_that_ends_between_count_and_list(two: Machines) -> None:
    """A node that counted its connections and does not list them any more is missing."""
    await two.gateways[0].client("ann")
    await two.gateways[1].client("bob")
    survey = two.gateways[1].gateway.node.survey
    survey._questions = {connection_count.name: connection_count}
    whole = await two.call(0, "connections")
    assert [each["user"] for each in whole["connections"]] == ["ann"]
    assert whole["missing"] == [two.uids[1]]


async def test_channels_of_all(two: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    """A channel that several nodes serve is one, with the connections of all."""
    for room in ("both", "one", "two"):
        await two.gateways[0].room(room)
    await two.gateways[0].client("ann", "both")
    await two.gateways[1].client("bob", "both")
    await two.gateways[1].client("cid", "one", "two")
    everything = {
        "rooms:both": {"num_clients": 2},
        "rooms:one": {"num_clients": 1},
        "rooms:two": {"num_clients": 1},
    }
    for fewest in (100, 1):  # so that a node has more than one answer
        monkeypatch.setattr(node_methods, "FEWEST_CHANNELS", fewest)
        monkeypatch.setattr(node_methods, "MAX_CHANNELS", 100 * (fewest - 1))
        for node in (0, 1):
            found = await two.call(node, "channels")
            assert found["channels"] == everything
            assert (found["total"], found["missing"]) == (3, [])
            found = await two.call(node, "channels", limit=1, offset=1)
            assert found["channels"] == {"rooms:one": {"num_clients": 1}}
            assert found["total"] == 3
            found = await two.call(node, "channels", pattern="rooms:b*")
            assert found["channels"] == {"rooms:both": {"num_clients": 2}}
    two.silence(1)
    found = await two.late(0, "channels")
    assert found["channels"] == {"rooms:both": {"num_clients": 1}}
    assert (found["total"], found["missing"]) == (1, [two.uids[1]])


async def test_store_is_away(two: Machines) -> None:
    """Without the store a node answers with its own part at once, and names the others."""
    await two.gateways[0].client("ann")
    for number in (0, 1):
        two.silence(number)
    for method in ("connections", "channels", "info", "security_events"):
        assert (await two.call(0, method))["missing"] == [two.uids[1]]
    assert (await two.call(0, "connections"))["total"] == 1
