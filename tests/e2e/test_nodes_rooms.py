"""The whole conversation of rooms, with its speakers at two nodes."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.e2e.nodes import Cluster, Peer, People, cluster, eventually, people, token

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes for all tests of this file; each test has rooms and users of its own."""
    with cluster(tmp_path_factory.mktemp("rooms")) as made:
        yield made


@pytest.fixture
async def crowd() -> AsyncIterator[People]:
    """Makes clients."""
    async with people() as made:
        yield made


async def present(peer: Peer, room: str) -> dict[str, int]:
    """Who is in a room, with how many connections."""
    found = await peer.wish("presence", roomId=room)
    return {each["userId"]: each["connections"] for each in found["participants"]}


def who(user: str, room: str) -> dict[str, str]:
    """How others are told of somebody."""
    return {"userId": user, "email": f"{user}@example.com", "roomId": room}


# -- coming and going


async def test_join_is_told_at_the_other_node(two: Cluster, crowd: People) -> None:
    """Who joins is told who is at both nodes, and those at both are told who came."""
    ann = await crowd.user(two.a, token("ann"), "join")
    cid = await crowd.user(two.b, token("cid"), "join")
    bob = await crowd.user(two.b, token("bob"))
    joined = await bob.wish("join", roomId="join")
    assert sorted(joined["participants"]) == ["ann", "bob", "cid"]
    for each in (ann, cid):
        assert await each.hears("user_joined", userId="bob") == who("bob", "join")


async def test_leave_is_told_at_the_other_node(two: Cluster, crowd: People) -> None:
    """Those at the other node hear `user_left` of who left, once."""
    ann = await crowd.user(two.a, token("ann"), "leave")
    bob = await crowd.user(two.b, token("bob"), "leave")
    assert await bob.wish("leave", roomId="leave") == {"roomId": "leave"}
    assert await ann.hears("user_left", userId="bob") == who("bob", "leave")
    assert await present(ann, "leave") == {"ann": 1}
    assert ann.unread("user_left", "user_disconnected") == []


async def test_lost_connection_is_told_at_the_other_node(two: Cluster, crowd: People) -> None:
    """Those at the other node hear `user_disconnected` of whose connection ended."""
    ann = await crowd.user(two.a, token("ann"), "lost")
    bob = await crowd.user(two.b, token("bob"), "lost")
    await bob.close()
    assert await ann.hears("user_disconnected", userId="bob") == who("bob", "lost")
    assert ann.unread("user_left", "user_disconnected") == []


async def test_room_is_full_over_both(two: Cluster, crowd: People) -> None:
    """The bound on participants counts users at both nodes, and no second connection of one."""
    await two.a.call("rooms_set", id="small", maxParticipants=2)
    await crowd.user(two.a, token("ann"), "small")
    await crowd.user(two.b, token("bob"), "small")
    await crowd.user(two.b, token("ann"), "small")
    for node in two:
        cid = await crowd.user(node, token("cid"))
        answer = await cid.ask("join", roomId="small")
        assert answer["data"]["message"] == "Room is full"


# -- messages


async def test_messages_reach_all_at_both(two: Cluster, crowd: People) -> None:
    """Each message reaches all members, the sender too, as the same words; its sender has an ack."""
    ann = await crowd.user(two.a, token("ann"), "talk")
    bob = await crowd.user(two.b, token("bob"), "talk")
    cid = await crowd.user(two.b, token("cid"), "talk")
    for offset, (speaker, user) in enumerate(((ann, "ann"), (bob, "bob"), (ann, "ann")), 1):
        ack = await speaker.wish("message", roomId="talk", content=f"number {offset}")
        told = [await each.hears("message", offset=offset) for each in (ann, bob, cid)]
        assert told[0] == told[1] == told[2]
        assert told[0] == {
            "id": ack["messageId"],
            "type": "chat_message",
            "content": f"number {offset}",
            "timestamp": told[0]["timestamp"],
            "offset": ack["offset"],
            **who(user, "talk"),
        }
    assert ann.unread("message", "ack") == bob.unread("message", "ack") == []


async def test_messages_at_once_from_both_have_one_order(two: Cluster, crowd: People) -> None:
    """What is said at both nodes at once is heard everywhere, once, and in the same order."""
    speakers = [
        await crowd.user(node, token(f"{node.name}{n}"), "crowd") for node in two for n in range(3)
    ]

    async def speak(peer: Peer) -> list[int]:
        return [
            (await peer.wish("message", roomId="crowd", content=str(n)))["offset"]
            for n in range(20)
        ]

    offsets = await asyncio.gather(*map(speak, speakers))
    assert sorted(itertools.chain(*offsets)) == list(range(1, 121))
    for each in speakers:
        await each.hears("message", offset=120)
        heard = [message["data"]["offset"] for message in each.unread("message")]
        assert heard == list(range(1, 120))


async def test_history_is_the_same_at_both(two: Cluster, crowd: People) -> None:
    """A page of history is the same wherever it is asked for, and so is the position."""
    ann = await crowd.user(two.a, token("ann"), "past")
    bob = await crowd.user(two.b, token("bob"), "past")
    for content in ("one", "two", "three"):
        await ann.wish("message", roomId="past", content=content)
    pages = [await each.wish("history", roomId="past") for each in (ann, bob)]
    assert pages[0] == pages[1]
    assert [each["content"] for each in pages[0]["messages"]] == ["one", "two", "three"]
    page = await bob.wish("history", roomId="past", since=pages[0]["position"])
    assert page["messages"] == []


async def test_coming_back_at_the_other_node(two: Cluster, crowd: People) -> None:
    """Who was at one node joins at the other since its place, and is sent exactly what it missed."""
    ann = await crowd.user(two.a, token("ann"))
    place = (await ann.wish("join", roomId="back"))["position"]
    bob = await crowd.user(two.b, token("bob"), "back")
    await ann.close()
    for content in ("one", "two"):
        await bob.wish("message", roomId="back", content=content)
    ann = await crowd.user(two.b, token("ann"))
    joined = await ann.wish("join", roomId="back", since=place)
    assert joined["recovered"] is True
    assert [each["content"] for each in joined["messages"]] == ["one", "two"]
    assert joined["position"] == {"offset": place["offset"] + 2, "epoch": place["epoch"]}
    await bob.wish("message", roomId="back", content="three")
    assert (await ann.hears("message"))["content"] == "three"


async def test_typing_reaches_the_other_node(two: Cluster, crowd: People) -> None:
    """Typing is told to the others at both nodes, not to who types, and is in no history."""
    ann = await crowd.user(two.a, token("ann"), "type")
    bob = await crowd.user(two.b, token("bob"), "type")
    cid = await crowd.user(two.a, token("cid"), "type")
    await ann.say("typing", roomId="type", active=True)
    for each in (bob, cid):
        told = await each.hears("typing")
        assert told == {"roomId": "type", "userId": "ann", "active": True}
    assert (await ann.wish("history", roomId="type"))["messages"] == []
    assert ann.unread("typing") == []


# -- presence


async def test_presence_counts_connections_at_both(two: Cluster, crowd: People) -> None:
    """Presence lists users with their connections at both nodes, and says the same at each."""
    ann = await crowd.user(two.a, token("ann"), "here")
    await crowd.user(two.b, token("ann"), "here")
    bob = await crowd.user(two.b, token("bob"), "here")
    for each in (ann, bob):
        assert await present(each, "here") == {"ann": 2, "bob": 1}
    for node in two:
        stats = await node.call("presence_stats", channel="rooms:here")
        assert stats == {"num_clients": 3, "num_users": 2}


async def test_closing_one_of_two_tabs_tells_nobody(two: Cluster, crowd: People) -> None:
    """With a tab at each node, opening the second and closing the first is nobody's business."""
    watchers = [await crowd.user(node, token(f"w{node.name}"), "tabs") for node in two]
    first = await crowd.user(two.a, token("ann"), "tabs")
    second = await crowd.user(two.b, token("ann"), "tabs")
    await first.close()
    await eventually(lambda: _has(watchers[0], "tabs", "ann", 1))
    await second.wish("message", roomId="tabs", content="still here")
    for each in watchers:
        await each.hears("message")
        assert [_of(message) for message in each.unread("user_joined")].count("ann") == 1
        assert each.unread("user_left", "user_disconnected") == []
    await second.wish("leave", roomId="tabs")
    for each in watchers:
        await each.hears("user_left", userId="ann")
        assert each.unread("user_left", "user_disconnected") == []


async def _has(peer: Peer, room: str, user: str, connections: int) -> bool:
    return (await present(peer, room)).get(user, 0) == connections


MOVES = ("user_joined", "user_left", "user_disconnected")


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_events_of_many_tabs_alternate(two: Cluster, crowd: People, seed: int) -> None:
    """However tabs open, leave, close and break at both nodes, others hear coming and going in turn."""
    dice, room = random.Random(seed), f"many{seed}"
    watchers = [await crowd.user(node, token(f"w{node.name}"), room) for node in two]
    tabs: list[Peer] = []
    for _ in range(6):
        steps = [_open(two, crowd, dice, room, tabs) for _ in range(dice.randint(0, 3))]
        steps += [_end(dice, room, tabs.pop()) for _ in range(dice.randint(0, len(tabs)))]
        await asyncio.gather(*steps)
    await asyncio.gather(*(_end(dice, room, each) for each in tabs[1:]))
    await eventually(lambda: _has(watchers[0], room, "ann", len(tabs[:1])))
    await watchers[0].wish("message", roomId=room, content="the end")
    for each in watchers:
        await each.hears("message", content="the end")
        told = [message["type"] for message in each.unread(*MOVES) if _of(message) == "ann"]
        comings = [kind == "user_joined" for kind in told]
        assert comings == [n % 2 == 0 for n in range(len(comings))]
        assert bool(tabs) == (len(comings) % 2 == 1)


def _of(message: dict[str, Any]) -> str:
    user: str = message["data"]["userId"]
    return user


async def _open(
    two: Cluster, crowd: People, dice: random.Random, room: str, tabs: list[Peer]
) -> None:
    tabs.append(await crowd.user(dice.choice((two.a, two.b)), token("ann"), room))


async def _end(dice: random.Random, room: str, tab: Peer) -> None:
    match dice.randrange(3):
        case 0:
            await tab.close()
        case 1:
            await tab.wish("leave", roomId=room)
        case _:
            tab.socket.transport.abort()
            await tab.ended()


# -- administrators of a room


async def test_kick_reaches_the_other_node(two: Cluster, crowd: People) -> None:
    """Who is kicked at one node is out at both, the others hear it once, and it may come again."""
    admin = await crowd.user(two.a, token("ada", "user", "admin"), "kick")
    tabs = [await crowd.user(node, token("bob"), "kick") for node in two]
    cid = await crowd.user(two.b, token("cid"), "kick")
    assert await admin.wish("kick", roomId="kick", userId="bob") == {}
    for tab in tabs:
        assert await tab.hears("room_left") == {"roomId": "kick", "reason": "kicked"}
    await cid.hears("user_left", userId="bob")
    assert await present(cid, "kick") == {"ada": 1, "cid": 1}
    assert cid.unread("user_left", "user_disconnected") == []
    await tabs[1].wish("join", roomId="kick")


async def test_set_permissions_reaches_the_other_node(two: Cluster, crowd: People) -> None:
    """Permissions set at one node take effect at the other: for who is there, and for who comes."""
    admin = await crowd.user(two.a, token("ada", "user", "admin"), "closed")
    bob = await crowd.user(two.b, token("bob"), "closed")
    permissions = {"read": ["staff"], "write": ["staff"], "admin": ["admin"]}
    await admin.wish("set_permissions", roomId="closed", permissions=permissions)
    assert await bob.hears("room_left") == {"roomId": "closed", "reason": "permission_denied"}
    await admin.hears("user_left", userId="bob")
    answer = await bob.ask("join", roomId="closed")
    assert answer["data"]["message"] == "Insufficient permissions"
    eve = await crowd.user(two.b, token("eve", "staff"), "closed")
    await eve.wish("message", roomId="closed", content="among us")
    await admin.hears("message", content="among us")


# -- sessions


async def test_session_token_is_good_at_the_other_node_once(two: Cluster, crowd: People) -> None:
    """A session token given by one node resumes at the other; used again, it is refused at both."""
    ann = await crowd.user(two.a, token("ann"))
    await ann.close()
    again = await crowd.connect(two.b)
    resumed = await again.wish("auth", wsToken=ann.session)
    assert (resumed["resumed"], resumed["user"]["userId"]) == (True, "ann")
    for node in two:
        late = await crowd.connect(node)
        answer = await late.ask("auth", wsToken=ann.session)
        assert answer["data"]["message"] == "Authentication failed"
    third = await crowd.connect(two.a)
    assert (await third.wish("auth", wsToken=resumed["wsToken"]))["resumed"] is True


async def test_session_token_raced_at_both_wins_once(two: Cluster, crowd: People) -> None:
    """Of many who present one session token at both nodes at once, one gets in."""
    ann = await crowd.user(two.a, token("ann"))
    rivals = [await crowd.connect(node) for node in two for _ in range(8)]
    answers = await asyncio.gather(*(each.ask("auth", wsToken=ann.session) for each in rivals))
    kinds = sorted(each["type"] for each in answers)
    assert kinds == ["auth_success"] + ["error"] * 15


async def test_refresh_moves_the_session_to_the_new_token(two: Cluster, crowd: People) -> None:
    """After a refresh at one node a revocation of the old token at the other leaves it be."""
    ann = await crowd.user(two.b, token("ann", jti="old-token"), "fresh")
    refreshed = await ann.wish("refresh", token=token("ann", jti="new-token"))
    assert refreshed.keys() == {"expiresAt", "wsToken"}
    await two.a.call("revoke", jti="old-token")
    bob = await crowd.user(two.a, token("bob"), "fresh")
    await bob.wish("message", roomId="fresh", content="there still?")
    await ann.hears("message", content="there still?")
    await two.a.call("revoke", jti="new-token")
    assert await ann.ended() == 3503
