import socket

import pytest

from portward import __version__
from portward.telemetry import Event
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


async def test_security_events_are_read(service: Service) -> None:
    """The newest events come oldest first; from a number on, the next ones."""
    for number in range(5):
        service.gateway.telemetry.record(Event.AUTH_REVOKE, kind="jti", count=number)
    newest = (await service.call("security_events", READER, limit=2))["events"]
    assert [each["fields"]["count"] for each in newest] == [3, 4]
    assert {"seq", "time", "event", "fields"} == set(newest[0])
    older = await service.call("security_events", limit=2, since=newest[0]["seq"] - 3)
    assert [each["fields"]["count"] for each in older["events"]] == [1, 2]


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
