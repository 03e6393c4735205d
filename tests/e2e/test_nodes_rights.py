"""What is taken back, told or published at one node holds at the other."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.e2e.nodes import Cluster, Node, Peer, People, cluster, eventually, people, token

pytestmark = pytest.mark.timeout(300)
REVOKED = 3503


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes for all tests of this file; each test has rooms and users of its own."""
    with cluster(tmp_path_factory.mktemp("rights")) as made:
        yield made


@pytest.fixture
async def crowd() -> AsyncIterator[People]:
    """Makes clients."""
    async with people() as made:
        yield made


# -- revocation


@pytest.mark.parametrize("by", ["jti", "user", "token", "session"])
async def test_revoked_at_one_node_ends_at_both(two: Cluster, crowd: People, by: str) -> None:
    """A revocation through one admin API ends connections at both, and both refuse what it names."""
    user = f"ann-{by}"
    access = token(user, jti=f"jti-{by}", sid=f"sid-{by}")
    tabs = [await crowd.user(node, access, by) for node in two]
    bob = await crowd.user(two.b, token("bob"), by)
    named = {"jti": f"jti-{by}", "user": user, "token": access, "session": f"sid-{by}"}
    await two.a.call("revoke", **{by: named[by]})
    for tab in tabs:
        assert await tab.ended() == REVOKED
    await bob.hears("user_disconnected", userId=user)
    for node in two:
        late = await crowd.connect(node)
        answer = await late.ask("auth", token=access)
        assert answer["data"]["message"] == "Token has been revoked"
    for node, tab in zip(two, tabs, strict=True):
        late = await crowd.connect(node)
        assert (await late.ask("auth", wsToken=tab.session))["type"] == "error"


async def test_nothing_is_heard_after_a_revocation(two: Cluster, crowd: People) -> None:
    """What is published once the revocation has been answered does not reach whom it names."""
    access = token("carl")
    carl = await crowd.user(two.a, access, "secret")
    await crowd.user(two.b, token("dora"), "secret")
    await two.a.call("revoke", token=access)
    await two.b.call("publish", channel="rooms:secret", data="not for carl")
    assert await carl.ended() == REVOKED
    assert carl.unread("message") == []


async def test_disconnect_reaches_the_other_node(two: Cluster, crowd: People) -> None:
    """A user is disconnected from both nodes, or one connection wherever it is; both may come back."""
    first = await crowd.user(two.a, token("finn"))
    second = await crowd.connect(two.b)
    name = (await second.hears("handshake"))["connectionId"]
    await second.wish("auth", token=token("finn"))
    await two.a.call("disconnect", user="finn", client=name)
    assert await second.ended() == REVOKED
    await first.wish("heartbeat")
    third = await crowd.user(two.b, token("finn"))
    await two.a.call("disconnect", user="finn")
    assert {await first.ended(), await third.ended()} == {REVOKED}
    await crowd.user(two.b, token("finn"))


# -- roles


async def test_withdrawn_roles_reach_the_other_node(two: Cluster, crowd: People) -> None:
    """Roles taken away through one node remove from rooms at the other, and the connection stays."""
    permissions = {"read": ["staff"], "write": ["staff"], "admin": ["admin"]}
    await two.b.call("rooms_set", id="staff", permissions=permissions)
    await two.b.call("roles_set", user="gus", roles=["staff"])
    gus = await crowd.user(two.b, token("gus"), "staff")
    hal = await crowd.user(two.b, token("hal", "staff"), "staff")
    await two.a.call("roles_set", user="gus", roles=[])
    assert await gus.hears("room_left") == {"roomId": "staff", "reason": "permission_denied"}
    await hal.hears("user_left", userId="gus")
    await hal.wish("message", roomId="staff", content="among us")
    answer = await gus.ask("join", roomId="staff")
    assert answer["data"]["message"] == "Insufficient permissions"
    assert gus.unread("message") == []
    await two.a.call("roles_set", user="gus", roles=["staff"])
    await eventually(lambda: _may_join(gus, "staff"))


async def _may_join(peer: Peer, room: str) -> bool:
    return bool((await peer.ask("join", roomId=room))["type"] == "room_joined")


async def test_a_closed_room_is_closed_at_both(two: Cluster, crowd: People) -> None:
    """What is published once the change was answered reaches only who may still read, at both nodes."""
    closed = {"read": ["staff"], "write": ["staff"], "admin": ["admin"]}
    lost = [await crowd.user(node, token(f"dora-{node.name}", "user")) for node in two]
    kept = [await crowd.user(node, token(f"sue-{node.name}", "user", "staff")) for node in two]
    for number in range(8):
        room = f"closing-{number}"
        await two.a.call("rooms_set", id=room)
        for peer in (*lost, *kept):
            await peer.wish("join", roomId=room)
        first, second = (two.a, two.b) if number % 2 else (two.b, two.a)
        await first.call("rooms_set", id=room, permissions=closed)
        for node in (first, second):
            await node.call("publish", channel=f"rooms:{room}", data="secret")
        for peer in kept:
            for offset in (1, 2):
                await peer.hears("message", roomId=room, offset=offset)
        for peer in lost:
            assert (await peer.hears("room_left"))["roomId"] == room
            await peer.wish("heartbeat")
            assert peer.unread("message") == []


async def test_unsubscribe_reaches_the_other_node(two: Cluster, crowd: People) -> None:
    """The backend takes a user out of a room at both nodes by one call."""
    tabs = [await crowd.user(node, token("ida"), "out") for node in two]
    await two.a.call("unsubscribe", user="ida", channel="rooms:out")
    for tab in tabs:
        assert (await tab.hears("room_left"))["roomId"] == "out"
        await tab.wish("heartbeat")


async def test_removed_room_is_gone_at_both(two: Cluster, crowd: People) -> None:
    """A room removed through one node has no members at the other, and no past."""
    ann = await crowd.user(two.b, token("ann"), "gone")
    place = await ann.wish("message", roomId="gone", content="soon forgotten")
    await two.a.call("rooms_remove", id="gone")
    assert (await ann.hears("room_left"))["roomId"] == "gone"
    joined = await ann.wish("join", roomId="gone")
    assert joined["position"]["offset"] == 0
    assert joined["position"]["epoch"] != place["epoch"]


# -- the admin API


async def test_info_lists_both(two: Cluster, crowd: People) -> None:
    """Either node tells of both, by the names they were given."""
    for node in two:
        await crowd.user(node, token("ann"), "info")
    for node in two:
        nodes = (await node.call("info"))["nodes"]
        assert [each["uid"] for each in nodes] == ["a", "b"]


async def test_publish_is_idempotent_over_both(two: Cluster, crowd: People) -> None:
    """One key, published at both nodes at once and again, is one publication with one position."""
    ann = await crowd.user(two.a, token("ann"), "once")
    bob = await crowd.user(two.b, token("bob"), "once")
    body = {"channel": "rooms:once", "data": "once", "idempotency_key": "the key"}
    at_once = await asyncio.gather(*(node.call("publish", **body) for node in two for _ in "12345"))
    later = [await node.call("publish", **body) for node in two]
    assert {each["offset"] for each in [*at_once, *later]} == {1}
    assert len({each["epoch"] for each in [*at_once, *later]}) == 1
    await two.b.call("publish", channel="rooms:once", data="twice")
    for each in (ann, bob):
        assert (await each.hears("message", offset=2))["content"] == "twice"
        assert [message["data"]["content"] for message in each.unread("message")] == ["once"]


async def test_ticket_works_once_over_both(two: Cluster) -> None:
    """Of fifty who redeem one ticket at both nodes at once, one gets in."""
    ticket = (await two.a.call("ticket", token=token("ann")))["ticket"]
    statuses = await asyncio.gather(
        *(_redeem(node, ticket) for _ in range(25) for node in (two.a, two.b))
    )
    assert sorted(statuses) == [101] + [401] * 49


async def _redeem(node: Node, ticket: str) -> int:
    """The status of a handshake; the connection is left at once."""
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    url = f"http://{node.public}/alerts?ticket={ticket}"
    async with (
        httpx.AsyncClient(trust_env=False, timeout=60) as client,
        client.stream("GET", url, headers=headers) as answer,
    ):
        return answer.status_code
