"""The whole conversation of the rooms endpoint, row by row, as a client hears it."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from portward.security.signing import parts, verify_message
from portward.settings import Secret
from portward.testing import MemoryClient, connect
from tests.running_gateway import (
    LOBBY,
    RunningGateway,
    ask,
    contents,
    errors,
    forget,
    kinds,
    offsets,
    run_gateway,
    session_of,
    settings,
    settle,
)

HEX = re.compile(r"[0-9a-f]{32}")


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway with the default settings of development."""
    async with run_gateway() as running:
        yield running


async def pair(running: RunningGateway) -> tuple[MemoryClient, MemoryClient]:
    """Ann and Bob in the lobby, nothing heard yet."""
    ann = await running.client("ann", "lobby", email="ann@example.com")
    bob = await running.client("bob", "lobby", email="bob@example.com")
    forget(ann, bob)
    return ann, bob


def only(client: MemoryClient) -> Any:
    """The one message a client was told."""
    [message] = client.received
    return message


# -- coming


async def test_handshake(running: RunningGateway) -> None:
    """The first thing a client hears is its connection id and the server's time in milliseconds."""
    client = await running.client()
    message = only(client)
    now = int(running.clock.time() * 1000)
    assert message.keys() == {"type", "data", "timestamp"}
    assert (message["type"], message["timestamp"]) == ("handshake", now)
    assert message["data"].keys() == {"connectionId", "serverTime"}
    assert HEX.fullmatch(message["data"]["connectionId"])
    assert message["data"]["serverTime"] == now


async def test_connection_ids_differ(running: RunningGateway) -> None:
    """No two connections are given the same id."""
    ids = {(await running.client()).last("handshake")["connectionId"] for _ in range(20)}
    assert len(ids) == 20


async def test_auth_success(running: RunningGateway) -> None:
    """A good token is answered with a session token, the user and the expiry."""
    client = await running.client()
    token = running.token("ann", roles=["user", "author"], email="ann@example.com", ttl=600)
    await ask(client, "auth", token=token, id="first")
    answer = client.all("auth_success")[0]
    assert answer["id"] == "first"
    assert answer["data"] == {
        "wsToken": answer["data"]["wsToken"],
        "user": {"userId": "ann", "email": "ann@example.com", "roles": ["author", "user"]},
        "expiresAt": int((running.clock.time() + 600) * 1000),
        "resumed": False,
    }


async def test_refresh_success(running: RunningGateway) -> None:
    """A newer token is answered with the new expiry and a new session token."""
    client = await running.client("ann")
    old = client.last("auth_success")["wsToken"]
    await ask(client, "refresh", token=running.token("ann", ttl=7200), id="again")
    answer = client.all("refresh_success")[0]
    assert answer["id"] == "again"
    assert answer["data"].keys() == {"expiresAt", "wsToken"}
    assert answer["data"]["expiresAt"] == int((running.clock.time() + 7200) * 1000)
    assert answer["data"]["wsToken"] != old


async def test_heartbeat(running: RunningGateway) -> None:
    """A heartbeat is answered with the server's time, with and without authentication."""
    client = await running.client()
    await ask(client, "heartbeat", id="h")
    answer = client.all("heartbeat_response")[0]
    assert answer["id"] == "h"
    assert answer["data"] == {"serverTime": int(running.clock.time() * 1000)}
    await running.authenticate(client, "ann")
    await ask(client, "heartbeat")
    assert "id" not in client.all("heartbeat_response")[1]


# -- rooms


async def test_join(running: RunningGateway) -> None:
    """Joining tells the newcomer who is there and where the stream stands, and the others who came."""
    ann = await running.client("ann", "lobby")
    await running.gateway.publish(LOBBY, "before")
    await settle()
    forget(ann)
    bob = await running.client("bob", email="bob@example.com")
    forget(bob)
    await ask(bob, "join", roomId="lobby", id="j")
    joined = only(bob)
    position = joined["data"]["position"]
    assert (joined["type"], joined["id"]) == ("room_joined", "j")
    assert joined["data"] == {
        "roomId": "lobby",
        "participants": ["ann", "bob"],
        "position": {"offset": 1, "epoch": position["epoch"]},
    }
    told = only(ann)
    assert told["type"] == "user_joined"
    assert told["data"] == {"userId": "bob", "email": "bob@example.com", "roomId": "lobby"}
    assert "id" not in told


async def test_leave(running: RunningGateway) -> None:
    """Leaving is confirmed, and the others are told who left."""
    ann, bob = await pair(running)
    await ask(bob, "leave", roomId="lobby", id="l")
    assert only(bob)["data"] == {"roomId": "lobby"}
    assert (only(bob)["type"], only(bob)["id"]) == ("room_left", "l")
    assert only(ann)["type"] == "user_left"
    assert only(ann)["data"] == {"userId": "bob", "email": "bob@example.com", "roomId": "lobby"}


async def test_connection_lost(running: RunningGateway) -> None:
    """The others are told when a connection breaks, in another word than for leaving."""
    ann, bob = await pair(running)
    bob.leave(None)
    await settle()
    assert only(ann)["type"] == "user_disconnected"
    assert only(ann)["data"] == {"userId": "bob", "email": "bob@example.com", "roomId": "lobby"}


async def test_message(running: RunningGateway) -> None:
    """A message is broadcast to all members, the sender included, with an id and an offset."""
    ann, bob = await pair(running)
    await ask(ann, "message", roomId="lobby", content="hello")
    assert only(ann) == only(bob)
    data = only(bob)["data"]
    assert HEX.fullmatch(data["id"])
    assert data == {
        "id": data["id"],
        "type": "chat_message",
        "roomId": "lobby",
        "content": "hello",
        "userId": "ann",
        "email": "ann@example.com",
        "timestamp": int(running.clock.time() * 1000),
        "offset": 1,
    }


async def test_ack(running: RunningGateway) -> None:
    """A message with an id is acknowledged with what the broadcast carries, and only to its sender."""
    ann, bob = await pair(running)
    await ask(ann, "message", roomId="lobby", content="hello", id="m")
    ack = ann.all("ack")[0]
    assert ack["id"] == "m"
    assert ack["data"].keys() == {"messageId", "offset", "epoch"}
    assert (ack["data"]["messageId"], ack["data"]["offset"]) == (ann.last("message")["id"], 1)
    assert sorted(kinds(ann)) == ["ack", "message"]
    assert kinds(bob) == ["message"]


async def test_history(running: RunningGateway) -> None:
    """History is the messages as they were sent, oldest first, and the position."""
    ann, bob = await pair(running)
    for text in ("one", "two", "three"):
        await ask(ann, "message", roomId="lobby", content=text)
    await ask(bob, "history", roomId="lobby", id="h")
    answer = bob.all("history")[0]
    assert answer["id"] == "h"
    assert answer["data"].keys() == {"roomId", "messages", "position"}
    assert answer["data"]["messages"] == [message["data"] for message in bob.all("message")]
    assert answer["data"]["position"]["offset"] == 3


async def test_presence(running: RunningGateway) -> None:
    """Presence lists users with the number of their connections."""
    ann, _ = await pair(running)
    await running.client("bob", "lobby")
    await ask(ann, "presence", roomId="lobby", id="p")
    answer = ann.all("presence")[0]
    assert answer["id"] == "p"
    assert answer["data"] == {
        "roomId": "lobby",
        "participants": [
            {"userId": "ann", "connections": 1},
            {"userId": "bob", "connections": 2},
        ],
    }


async def test_typing(running: RunningGateway) -> None:
    """Typing is told to the others alone, and is in no history."""
    ann, bob = await pair(running)
    await ask(ann, "typing", roomId="lobby", active=True)
    assert ann.received == []
    assert only(bob)["type"] == "typing"
    assert only(bob)["data"] == {"roomId": "lobby", "userId": "ann", "active": True}
    await ask(bob, "history", roomId="lobby")
    assert bob.last("history")["messages"] == []


async def test_token_expiring(running: RunningGateway) -> None:
    """A minute before its token runs out a client is told once when that will be."""
    ann = await running.client("ann", ttl=600)
    await running.advance(539)
    assert ann.all("token_expiring") == []
    await running.advance(2)
    end = int((running.clock.time() + 59) * 1000)
    assert [each["data"] for each in ann.all("token_expiring")] == [{"expiresAt": end}]


async def test_right_withdrawn(running: RunningGateway) -> None:
    """Who loses the right to a room is told so, and the others see it leave."""
    await running.room()
    ann, bob = await pair(running)
    await running.room(permissions={"read": ["author"], "write": [], "admin": []})
    forget(ann)
    await running.gateway.set_roles("ann", ["author"])
    await settle()
    assert bob.last("room_left") == {"roomId": "lobby", "reason": "permission_denied"}
    assert bob.closed is None


async def test_shutdown(running: RunningGateway) -> None:
    """A client is told when to come back before it is closed with 3001."""
    ann, _ = await pair(running)
    drained = running.gateway.drain(5)
    task = asyncio.ensure_future(drained)
    await settle()
    retry = ann.last("shutdown")["retryMs"]
    await running.advance(10)
    await task
    assert isinstance(retry, int)
    assert 2500 <= retry <= 7500
    assert ann.closed == (3001, "shutdown")


# -- answers and ids


@pytest.mark.parametrize(
    ("kind", "data", "answer"),
    [
        ("join", {"roomId": "other"}, "room_joined"),
        ("leave", {"roomId": "lobby"}, "room_left"),
        ("message", {"roomId": "lobby", "content": "x"}, "ack"),
        ("history", {"roomId": "lobby"}, "history"),
        ("presence", {"roomId": "lobby"}, "presence"),
        ("heartbeat", {}, "heartbeat_response"),
        ("typing", {"roomId": "lobby", "active": True}, "done"),
        ("nonsense", {}, "error"),
        ("join", {}, "error"),
        ("leave", {"roomId": "nowhere"}, "error"),
        ("kick", {"roomId": "lobby", "userId": "bob"}, "error"),
    ],
)
async def test_id_comes_back(
    running: RunningGateway, kind: str, data: dict[str, Any], answer: str
) -> None:
    """The answer or error to a message with an id carries that id."""
    ann, _ = await pair(running)
    await ask(ann, kind, id="x" * 64, **data)
    assert [each["type"] for each in ann.received if each.get("id") == "x" * 64] == [answer]


@pytest.mark.parametrize("identifier", ["x" * 65, 5, None, ["x"]])
async def test_unusable_id_is_refused(running: RunningGateway, identifier: object) -> None:
    """An id that is no string of at most 64 characters is a wrong structure, and not repeated."""
    client = await running.client()
    client.send({"type": "heartbeat", "data": {}, "id": identifier})
    await settle()
    assert errors(client) == ["Invalid message structure"]
    assert "id" not in client.all("error")[0]


# -- what is in a message


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("  hello  ", "hello"),
        ("x" * 4000, "x" * 4000),
        (" " * 50 + "x" * 4000, "x" * 4000),
        ("<b>bold</b>", "bbold/b"),
        ("javascript:alert(1)", "alert(1)"),
        ("JaVaScRiPt:x", "x"),
        ("javascript:javascript:x", "x"),
        ("javajavascript:script:x", "javajavascript:script:x"),
        ("metadata:x", "metadata:x"),
        ("java<script:x", "x"),
        ("a\tb\nc", "a\tb\nc"),
        ("žluťoučký 🐎", "žluťoučký 🐎"),
    ],
)
async def test_content_of_a_chat(running: RunningGateway, said: str, kept: str) -> None:
    """Content is trimmed, and in a chat freed of markup until none is left."""
    ann, _ = await pair(running)
    await ask(ann, "message", roomId="lobby", content=said)
    assert contents(ann) == [kept]


@pytest.mark.parametrize(
    "content", ["", "   ", "\n", "<>", "javascript:", "a\x00b", "a\x1bb", "\x85"]
)
async def test_content_that_is_none(running: RunningGateway, content: str) -> None:
    """Content that is empty, or empty once it is cleaned, or has control characters, is refused."""
    ann, _ = await pair(running)
    await ask(ann, "message", roomId="lobby", content=content)
    assert errors(ann)[0] in {"Invalid message structure", "Invalid message format"}
    assert contents(ann) == []


async def test_too_long(running: RunningGateway) -> None:
    """4001 characters are too long, and nothing is stored."""
    ann, bob = await pair(running)
    await ask(ann, "message", roomId="lobby", content="x" * 4001)
    await ask(bob, "history", roomId="lobby")
    assert errors(ann) == ["Message too long"]
    assert bob.last("history")["messages"] == []


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"type": "document"}, "<b>"),
        ({"type": "collaboration"}, "<b>"),
        ({"type": "notification"}, "<b>"),
        ({"type": "chat", "sanitize": "none"}, "<b>"),
        ({"type": "document", "sanitize": "strip"}, "b"),
        ({"type": "chat"}, "b"),
    ],
)
async def test_sanitising_depends_on_the_room(
    running: RunningGateway, fields: dict[str, str], kept: str
) -> None:
    """Markup is removed in chats and where the room says so; documents keep it."""
    await running.room(**fields)
    ann = await running.client("ann", "lobby")
    await ask(ann, "message", roomId="lobby", content="<b>")
    assert contents(ann) == [kept]


async def test_signature() -> None:
    """With `sign_messages` each message carries a signature over what makes it up."""
    secret = "s" * 32
    async with run_gateway(
        settings(rooms={"sign_messages": True, "sign_secret": Secret(secret)})
    ) as running:
        ann, bob = await pair(running)
        await ask(ann, "message", roomId="lobby", content="  <hello> ")
        data = bob.last("message")
        covered = parts(data["id"], "ann", data["content"], data["timestamp"])
        key = secret.encode()
        assert verify_message("rooms:lobby", covered, data["signature"], key)
        assert not verify_message("rooms:other", covered, data["signature"], key)
        assert not verify_message("rooms:lobby", covered | {"data": "x"}, data["signature"], key)
        await ask(bob, "history", roomId="lobby")
        assert bob.last("history")["messages"][0]["signature"] == data["signature"]


@pytest.mark.parametrize("exposed", [True, False])
async def test_email_is_shown_where_the_endpoint_says_so(exposed: bool) -> None:
    """Without `expose_email` no key `email` names another user; one's own address stays."""
    async with run_gateway(settings(rooms={"expose_email": exposed})) as running:
        ann, bob = await pair(running)
        own = await running.client("cat", "lobby", email="cat@example.com")
        await ask(own, "message", roomId="lobby", content="x")
        await ask(bob, "history", roomId="lobby")
        own.leave(None)
        await settle()
        await ask(bob, "leave", roomId="lobby")
        told = [ann.last(kind) for kind in ("user_joined", "message", "user_disconnected")]
        told += [ann.last("user_left"), *bob.last("history")["messages"]]
        assert [("email" in data) for data in told] == [exposed] * 5
        assert own.last("auth_success")["user"]["email"] == "cat@example.com"


async def test_email_that_nobody_knows(running: RunningGateway) -> None:
    """A user without an address is told of without that key."""
    ann = await running.client("ann", "lobby")
    await running.client("bob", "lobby")
    assert ann.last("user_joined") == {"userId": "bob", "roomId": "lobby"}


# -- backend


async def test_message_of_the_backend(running: RunningGateway) -> None:
    """What the backend publishes arrives as a message of nobody, of the type it gave."""
    ann, _ = await pair(running)
    await running.gateway.publish(LOBBY, {"any": ["json", 1]}, type="notice", key="k")
    await settle()
    data = ann.last("message")
    assert (data["type"], data["content"], data["userId"]) == ("notice", {"any": ["json", 1]}, None)


async def test_backend_leaves_one_out(running: RunningGateway) -> None:
    """`exclude` names the one connection that is not sent the message."""
    ann, bob = await pair(running)
    await running.gateway.publish(LOBBY, "x", exclude=session_of(ann).id)
    await running.gateway.publish(LOBBY, "y")
    await settle()
    assert (contents(ann), contents(bob)) == (["y"], ["x", "y"])
    assert offsets(ann) == [2]


# -- presence with several tabs


async def test_tabs_are_one_user(running: RunningGateway) -> None:
    """The others hear of a user's first connection and of its last, of none between."""
    ann = await running.client("ann", "lobby")
    forget(ann)
    tabs = [await running.client("bob", "lobby") for _ in range(3)]
    assert kinds(ann) == ["user_joined"]
    assert tabs[2].last("room_joined")["participants"] == ["ann", "bob"]
    assert kinds(tabs[0])[-1] == "room_joined"
    tabs[0].leave(None)
    await ask(tabs[1], "leave", roomId="lobby")
    assert kinds(ann) == ["user_joined"]
    tabs[2].leave()
    await settle()
    assert kinds(ann) == ["user_joined", "user_disconnected"]


async def test_tab_that_comes_back(running: RunningGateway) -> None:
    """A user who left altogether is announced again."""
    ann = await running.client("ann", "lobby")
    for _ in range(2):
        bob = await running.client("bob", "lobby")
        bob.leave()
        await settle()
    assert kinds(ann)[-4:] == ["user_joined", "user_disconnected"] * 2


async def test_joining_twice_announces_once(running: RunningGateway) -> None:
    """Joining a room one is in answers again and tells nobody."""
    ann, bob = await pair(running)
    await ask(bob, "join", roomId="lobby")
    assert only(bob)["type"] == "room_joined"
    assert ann.received == []
    await ask(ann, "presence", roomId="lobby")
    assert ann.last("presence")["participants"][1] == {"userId": "bob", "connections": 1}


# -- typing


async def test_typing_is_coalesced(running: RunningGateway) -> None:
    """Of several signals of a user in one turn only the last is sent, and each user keeps its own."""
    ann, bob = await pair(running)
    cat = await running.client("cat", "lobby")
    forget(ann, bob, cat)
    for active in (True, False, True, False):
        ann.send({"type": "typing", "data": {"roomId": "lobby", "active": active}})
    bob.send({"type": "typing", "data": {"roomId": "lobby", "active": True}})
    await settle()
    told = [(each["data"]["userId"], each["data"]["active"]) for each in cat.all("typing")]
    assert told == [("ann", False), ("bob", True)]
    assert [each["data"]["userId"] for each in ann.all("typing")] == ["bob"]


async def test_typing_of_another_turn_is_another(running: RunningGateway) -> None:
    """Signals of different turns are all told."""
    ann, bob = await pair(running)
    for active in (True, False):
        await ask(ann, "typing", roomId="lobby", active=active)
    assert [each["data"]["active"] for each in bob.all("typing")] == [True, False]


async def test_typing_needs_the_right_to_write(running: RunningGateway) -> None:
    """Who may only read cannot be seen typing."""
    await running.room(permissions={"read": ["user"], "write": ["author"], "admin": []})
    ann = await running.client("ann", "lobby")
    await ask(ann, "typing", roomId="lobby", active=True)
    assert errors(ann) == ["Insufficient permissions"]


# -- compression and voices


async def test_connections_that_agreed_on_compression_hear_the_same(
    running: RunningGateway,
) -> None:
    """A connection with compressed frames hears what the others hear."""
    ann = await running.client("ann", "lobby")
    bob = await connect(running.gateway)
    bob.compression = True
    await running.authenticate(bob, "bob")
    await ask(bob, "join", roomId="lobby")
    await ask(ann, "message", roomId="lobby", content="hello")
    assert contents(bob) == contents(ann) == ["hello"]
