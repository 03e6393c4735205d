import asyncio
from typing import Any

import pytest

from portward.client import (
    AuthenticationRefused,
    ClientError,
    ClosedError,
    Gap,
    GapError,
    Message,
    Portward,
    QueueLimits,
    ReadOverflowError,
    Refused,
    RequestRefused,
    Room,
    Stored,
    Unknown,
)
from portward.model.position import Position
from tests.client.scripted import Answers, World, authenticated, refused, rooms_world, settle


async def joined(client: Portward, name: str = "lobby", **options: Any) -> Room:
    """A room that is joined."""
    room = client.room(name, **options)
    joining = asyncio.create_task(room.join())
    await settle()
    await joining
    return room


async def back(world: World) -> None:
    """Break the connection, and wait for the next."""
    world.draw = 0.0
    world.last.end(None)
    await world.advance(0.5)


async def read(room: Room, count: int) -> list[Any]:
    """Some messages, which are there."""
    return [(await asyncio.wait_for(anext(room.__aiter__()), 5)).content for _ in range(count)]


async def test_a_room_is_one_object() -> None:
    """A room that is asked for twice is the same object, and the last `leave` leaves it."""
    world, _ = rooms_world()
    async with world.client() as client:
        room = await joined(client)
        assert await joined(client) is room
        await room.leave()
        assert (room.state, world.last.kinds().count("leave")) == ("in", 0)
        left: list[Any] = []
        room.on("left", left.append)
        leaving = asyncio.create_task(room.leave())
        await settle()
        await leaving
        assert (room.state, world.last.kinds().count("leave")) == ("out", 1)
        assert [each.reason for each in left] == [None]
        await room.leave()
        assert [each async for each in room] == []


async def test_messages_before_the_first_iteration_wait() -> None:
    """What comes between joining and iterating is not lost, nor what comes between two iterations."""
    world, rooms = rooms_world()
    async with world.client() as client:
        room = await joined(client)
        rooms.publish("one", world.last)
        rooms.publish("two", world.last)
        await settle()
        assert await read(room, 2) == ["one", "two"]
        rooms.publish("three", world.last)
        await settle()
        assert await read(room, 1) == ["three"]


async def test_duplicates_are_dropped() -> None:
    """A message at or before the place reached was received before."""
    world, rooms = rooms_world()
    async with world.client() as client:
        room = await joined(client)
        message = rooms.publish("one", world.last)
        world.last.say("message", message)
        world.last.say("message", {**message, "roomId": "elsewhere"})
        rooms.publish("two", world.last)
        await settle()
        assert await read(room, 2) == ["one", "two"]


async def test_several_rooms_come_back_with_one_message() -> None:
    """After a break every room is joined again with one message, from its position."""
    world, rooms = rooms_world()
    async with world.client() as client:
        lobby, hall = await joined(client), await joined(client, "hall")
        rooms.publish("one", world.last)
        await settle()
        rooms.publish("two")
        await back(world)
        assert world.last.of("join") == [
            {
                "rooms": [
                    {"roomId": "lobby", "since": {"offset": 1, "epoch": "e1"}},
                    {"roomId": "hall", "since": {"offset": 0, "epoch": "e1"}},
                ]
            }
        ]
        assert await read(lobby, 2) == ["one", "two"]
        assert (lobby.state, hall.state) == ("in", "in")


async def test_refused_rooms_are_tried_again_or_left() -> None:
    """Coming back, a room that a limit refuses is joined after its time; another refusal leaves it."""
    world, rooms = rooms_world()
    async with world.client() as client:
        lobby, hall = await joined(client), await joined(client, "hall")
        await joined(client, "attic")
        rooms.refusals = {"hall": ("join_rate_limited", 4000), "attic": ("permission_denied", None)}
        left: list[Any] = []
        client.room("attic").on("left", left.append)
        await back(world)
        assert (lobby.state, hall.state, client.rooms.state) == ("in", "joining", "ready")
        assert [each.reason for each in left] == ["permission_denied"]
        with pytest.raises(RequestRefused):
            await read(client.room("attic"), 1)
        rooms.refusals = {}
        await world.advance(3.5)
        assert hall.state == "joining"
        await world.advance(1.5)
        assert hall.state == "in"  # type: ignore[comparison-overlap]


@pytest.mark.parametrize(
    ("code", "retry"), [("permission_denied", None), ("join_rate_limited", 900)]
)
async def test_a_refused_join_is_raised(code: str, retry: int | None) -> None:
    """Joining raises what the gateway refuses, with when to try again."""
    world, _ = rooms_world()
    world.answers["join"] = refused(code, retry)
    async with world.client() as client:
        with pytest.raises(RequestRefused) as caught:
            await asyncio.wait_for(client.room("lobby").join(), 5)
        assert caught.value.code == code
        assert caught.value.retry_after == (None if retry is None else 0.9)
        assert client.room("lobby").state == "out"


async def test_a_cancelled_join_leaves() -> None:
    """A join that is given up is no membership, also when its answer comes later."""
    world, _ = rooms_world()
    async with world.client() as client:
        await joined(client, "hall")
        world.last.answers["join"] = lambda _: []
        joining = asyncio.create_task(client.room("lobby").join())
        await settle()
        joining.cancel()
        await settle()
        assert client.room("lobby").state == "out"
        assert world.last.kinds().count("leave") == 1
        late = {"roomId": "lobby", "position": {"offset": 0, "epoch": "e1"}}
        world.last.say("room_joined", late)
        await settle()
        assert world.last.kinds().count("leave") == 2


async def test_a_join_that_is_not_answered() -> None:
    """A join without an answer ends the connection; the next one joins."""
    world, rooms = rooms_world()
    world.draw = 0.0
    async with world.client() as client:
        connecting = asyncio.create_task(client.rooms.connect())
        await settle()
        await connecting
        world.last.answers["join"] = lambda _: []
        joining = asyncio.create_task(client.room("lobby").join())
        await world.advance(11)
        await joining
        assert (client.room("lobby").state, len(world.transports)) == ("in", 2)
        assert rooms.messages == []


@pytest.mark.parametrize("reason", ["kicked", "permission_denied", "unsubscribed"])
async def test_a_room_that_is_taken_away(reason: str) -> None:
    """Removed from a room, the iteration ends with the reason; the room can be joined again."""
    world, rooms = rooms_world()
    async with world.client() as client:
        room = await joined(client)
        rooms.publish("one", world.last)
        await settle()
        world.last.say("room_left", {"roomId": "lobby", "reason": reason})
        await settle()
        assert await read(room, 1) == ["one"]
        with pytest.raises(RequestRefused) as caught:
            await read(room, 1)
        assert (caught.value.code, room.state) == (reason, "out")
        assert await joined(client) is room
        rooms.publish("two", world.last)
        await settle()
        assert await read(room, 1) == ["two"]


@pytest.mark.parametrize("reason", ["insufficient_state", "unavailable"])
async def test_a_room_the_gateway_cannot_keep_up_with(reason: str) -> None:
    """It is joined again at once, from its position, and the answer says what was lost."""
    world, rooms = rooms_world()
    async with world.client() as client:
        room = await joined(client)
        gaps: list[Gap] = []
        room.on("gap", gaps.append)
        rooms.epoch = "e2"
        world.last.say("room_left", {"roomId": "lobby", "reason": reason})
        await settle()
        assert room.state == "in"
        assert [(gap.start, gap.end) for gap in gaps] == [(Position(0, "e1"), Position(0, "e2"))]


# -- gaps and state


async def test_a_gap_is_an_event() -> None:
    """Without get_state a gap is one event, and messages go on after it."""
    world, rooms = rooms_world()
    async with world.client() as client:
        room = await joined(client)
        gaps: list[Gap] = []
        room.on("gap", gaps.append)
        rooms.epoch, rooms.messages = "e2", []
        rooms.publish("lost")
        await back(world)
        rooms.publish("new", world.last)
        await settle()
        assert [(gap.channel, gap.start, gap.end) for gap in gaps] == [
            ("lobby", Position(0, "e1"), Position(1, "e2"))
        ]
        assert await read(room, 1) == ["new"]


async def test_a_gap_that_nothing_handles_is_raised() -> None:
    """Without get_state and without a callback the iteration raises the gap, and can go on."""
    world, rooms = rooms_world()
    async with world.client() as client:
        room = await joined(client)
        reading = asyncio.create_task(read(room, 1))
        await settle()
        rooms.epoch = "e2"
        await back(world)
        rooms.publish("new", world.last)
        await settle()
        with pytest.raises(GapError, match="lobby"):
            await reading
        assert await read(room, 1) == ["new"]


async def test_state_is_loaded_at_every_entry_and_gap() -> None:
    """With get_state there is no gap: it is called with the position, and what follows comes after."""
    world, rooms = rooms_world()
    loads: list[Position] = []
    release = asyncio.Event()

    async def get_state(position: Position) -> None:
        loads.append(position)
        await release.wait()

    async with world.client() as client:
        room = await joined(client, get_state=get_state)
        gaps: list[Gap] = []
        room.on("gap", gaps.append)
        rooms.publish("one", world.last)
        await settle()
        assert room._main._items.__len__() == 0
        release.set()
        await settle()
        assert await read(room, 1) == ["one"]
        rooms.epoch, rooms.messages = "e2", []
        rooms.publish("lost")
        await back(world)
        rooms.publish("new", world.last)
        await settle()
        assert await read(room, 1) == ["new"]
        assert loads == [Position(0, "e1"), Position(1, "e2")]
        assert gaps == []


async def test_what_the_state_covers_is_left_out() -> None:
    """A position that get_state returns says what its state has already."""
    world, rooms = rooms_world()
    release = asyncio.Event()

    async def get_state(_: Position) -> Position:
        await release.wait()
        return Position(2, "e1")

    async with world.client() as client:
        room = await joined(client, get_state=get_state)
        for text in ("one", "two", "three"):
            rooms.publish(text, world.last)
        await settle()
        release.set()
        await settle()
        assert await read(room, 1) == ["three"]


async def test_too_much_while_the_state_loads() -> None:
    """More than 1000 held messages make the state be loaded again, from where the room is then."""
    world, rooms = rooms_world()
    loads: list[Position] = []
    release = asyncio.Event()

    async def get_state(position: Position) -> None:
        loads.append(position)
        if len(loads) == 1:
            await asyncio.Event().wait()
        await release.wait()

    async with world.client() as client:
        room = await joined(client, get_state=get_state)
        for number in range(1002):
            rooms.publish(str(number), world.last)
        await settle(1200)
        release.set()
        await settle()
        assert loads == [Position(0, "e1"), Position(1001, "e1")]
        assert await read(room, 1) == ["1001"]


@pytest.mark.parametrize("listens", [True, False])
async def test_state_that_fails_is_loaded_again(listens: bool) -> None:
    """A get_state that raises is called again after a wait; its error goes to `error`, or to the loop."""
    world, _ = rooms_world()
    world.draw = 1.0
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: failures.append(told))
    calls = 0

    async def get_state(_: Position) -> None:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise LookupError("no state")

    async with world.client() as client:
        room = client.room("lobby", get_state=get_state)
        if listens:
            room.on("error", failures.append)
        await joined(client)
        await world.advance(2)
        assert (calls, len(failures)) == (3, 2)


async def test_a_reader_that_falls_behind() -> None:
    """An iteration with more than 1000 unread messages ends with an error; the next begins anew."""
    world, rooms = rooms_world()
    async with world.client() as client:
        room = await joined(client)
        rooms.publish("first", world.last)
        await settle()
        assert await read(room, 1) == ["first"]
        for number in range(1001):
            rooms.publish(str(number), world.last)
        await settle(3000)
        with pytest.raises(ReadOverflowError):
            await read(room, 1)
        iterator = room.__aiter__()
        rooms.publish("later", world.last)
        await settle()
        assert (await anext(iterator)).content == "later"


async def test_two_readers_of_their_own() -> None:
    """A reader of its own gets everything, beside the iteration of the room."""
    world, rooms = rooms_world()
    async with world.client() as client:
        room = await joined(client)
        reader = room.reader()
        rooms.publish("one", world.last)
        await settle()
        assert (await anext(reader)).content == "one"
        assert await read(room, 1) == ["one"]
        with pytest.raises(ValueError, match="no event 'mesage'"):
            room.on("mesage", print)


async def test_callbacks_that_raise_stop_nothing() -> None:
    """An error of a callback is reported to the loop; the next callback is called."""
    world, rooms = rooms_world()
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))

    def fails(_: Message) -> None:
        raise LookupError

    async with world.client() as client:
        room = await joined(client)
        heard: list[Message] = []
        room.on("message", fails)
        off = room.on("message", heard.append)
        rooms.publish("one", world.last)
        await settle()
        off()
        off()
        rooms.publish("two", world.last)
        await settle()
        assert [each.content for each in heard] == ["one"]
        assert len(told) == 2


# -- sending


async def test_what_becomes_of_a_message() -> None:
    """A message is stored at a position, or refused with a code, or neither is known."""
    world, _ = rooms_world()
    async with world.client() as client:
        room = await joined(client)
        stored = await asyncio.wait_for(room.send("hello"), 5)
        assert stored == Stored("m1", Position(1, "e1"))
        assert isinstance(stored, Stored)
        assert (stored.status, stored.offset, stored.epoch) == ("stored", 1, "e1")
        world.last.answers["message"] = refused("rate_limited", 800)
        assert await room.send("x") == Refused("rate_limited", "No: rate_limited", True, 0.8)
        world.last.answers["message"] = lambda _: [("ack", {"odd": 1})]
        assert await room.send("x") == Unknown()
        world.last.answers["message"] = lambda _: []
        sending = asyncio.create_task(room.send("y"))
        await settle()
        world.last.end(None)
        await settle()
        assert await sending == Unknown()


async def test_messages_wait_for_the_next_connection() -> None:
    """What was not written waits; what was written is never written again."""
    world, rooms = rooms_world()
    world.draw = 1.0
    async with world.client() as client:
        room = await joined(client)
        first = world.last
        first.answers["message"] = lambda _: []
        written = asyncio.create_task(room.send("written"))
        await settle()
        first.end(None)
        await settle()
        waiting = [asyncio.create_task(room.send(str(number))) for number in range(3)]
        await settle()
        assert [each["content"] for each in first.of("message")] == ["written"]
        await world.advance(1)
        assert await written == Unknown()
        results = await asyncio.gather(*waiting)
        assert [each.status for each in results] == ["stored"] * 3
        assert [each["content"] for each in rooms.messages] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("limits", "texts"),
    [(QueueLimits(2, 10_000), ["a"] * 3), (QueueLimits(9, 5), ["abc", "ab", "c"])],
)
async def test_the_queue_is_bounded(limits: QueueLimits, texts: list[str]) -> None:
    """A message over the number or the size of the queue is refused at once."""
    world, _ = rooms_world()
    async with world.client(queue=limits) as client:
        room = await joined(client)
        world.draw = 1.0
        world.last.end(None)
        await settle()
        sending = [asyncio.create_task(room.send(text)) for text in texts]
        await settle()
        result = await sending[-1]
        assert isinstance(result, Refused)
        assert (result.code, result.temporary) == ("queue_full", True)
        assert not sending[0].done()
        await world.advance(1)
        assert [(await each).status for each in sending[:-1]] == ["stored"] * 2


async def test_a_cancelled_message_is_not_written() -> None:
    """A message whose caller gives up before it is written leaves the queue."""
    world, rooms = rooms_world()
    world.draw = 1.0
    async with world.client() as client:
        room = await joined(client)
        world.last.end(None)
        await settle()
        sending = asyncio.create_task(room.send("never"))
        await settle()
        sending.cancel()
        await world.advance(1)
        assert rooms.messages == []
        assert len(client.rooms.outgoing) == 0


async def test_closing_settles_what_waits() -> None:
    """Closed, what waits to be written is refused, and so is what comes later."""
    world, _ = rooms_world()
    async with world.client() as client:
        room = await joined(client)
        world.draw = 1.0
        world.last.end(None)
        await settle()
        sending = asyncio.create_task(room.send("x"))
        await settle()
    assert (await sending) == Refused("closed", "the client is closed")
    assert (await room.send("y")).status == "refused"


async def test_many_messages_at_once() -> None:
    """No more than 256 messages wait for an answer; the others go as answers come."""
    world, _ = rooms_world()
    async with world.client(queue=QueueLimits(1000)) as client:
        room = await joined(client)
        world.last.answers["message"] = lambda _: []
        sending = [asyncio.create_task(room.send("x")) for _ in range(300)]
        await settle(1000)
        assert world.last.kinds().count("message") == 256
        world.last.end(None)
        await settle()
        assert sum(each.done() for each in sending) == 256
        await world.advance(1)
        await asyncio.gather(*sending)


# -- requests and events


async def test_requests() -> None:
    """History, participants and what administrators may do."""
    world, _ = rooms_world()
    position = {"offset": 1, "epoch": "e1"}
    world.answers |= {
        "history": lambda _: [
            ("history", {"roomId": "lobby", "messages": [], "position": position})
        ],
        "presence": lambda _: [
            ("presence", {"participants": [{"userId": "ann", "connections": 2}]})
        ],
        "kick": lambda _: [("done", {})],
        "set_permissions": lambda _: [("done", {})],
    }
    async with world.client() as client:
        room = await joined(client)
        page = await room.history(5, before=3)
        assert page.position == Position(1, "e1")
        assert world.last.of("history") == [{"roomId": "lobby", "limit": 5, "before": 3}]
        assert [tuple(each) for each in await room.participants()] == [("ann", 2)]
        await room.kick("mallory")
        await room.set_permissions({"read": ["user"]})
        await room.typing(active=False)
        await settle()
        assert world.last.of("typing") == [{"roomId": "lobby", "active": False}]
        world.last.answers["presence"] = lambda _: [("presence", {"participants": 1})]
        with pytest.raises(ClientError, match="presence"):
            await room.participants()


async def test_presence_and_typing() -> None:
    """Who is in the room is kept up to date; it is the same object until it changes."""
    world, _ = rooms_world()
    async with world.client() as client:
        room = await joined(client)
        seen: list[Any] = []
        for event in ("presence", "user_joined", "user_left", "typing"):
            room.on(event, seen.append)
        users = room.presence.users
        world.last.say("user_joined", {"roomId": "lobby", "userId": "ann"})
        await settle()
        assert room.presence.users is users
        world.last.say("user_joined", {"roomId": "lobby", "userId": "bob"})
        world.last.say("typing", {"roomId": "lobby", "userId": "bob", "active": True})
        await settle()
        assert list(room.presence) == ["ann", "bob"]
        assert "bob" in room.presence
        world.last.say("user_disconnected", {"roomId": "lobby", "userId": "bob"})
        world.last.say("user_left", {"roomId": "lobby", "userId": "ann"})
        await settle()
        assert len(room.presence) == 0
        assert [type(each).__name__ for each in seen] == [
            "UserJoined", "tuple", "UserJoined", "Typing", "tuple", "UserLeft", "tuple", "UserLeft",
        ]  # fmt: skip


# -- tokens


async def test_the_session_token_comes_first() -> None:
    """Coming back, the session token of the last connection is shown, else a token."""
    world, _ = rooms_world()
    given: list[str] = []

    def get_token(reason: str) -> str:
        given.append(reason)
        return "token-secret"

    async with world.client(get_token=get_token) as client:
        await joined(client)
        assert world.last.of("auth") == [{"token": "token-secret"}]
        assert client.rooms.user == "ann"
        await back(world)
        assert world.last.of("auth") == [{"wsToken": "session-secret"}]

        def only_tokens(data: dict[str, Any]) -> Answers:
            return (
                refused("authentication_failed")(data) if "wsToken" in data else authenticated(data)
            )

        world.answers["auth"] = only_tokens
        await back(world)
        assert world.last.of("auth") == [{"wsToken": "session-secret"}, {"token": "token-secret"}]
        assert given == ["connect", "connect"]


async def test_a_refused_token_is_replaced_once() -> None:
    """A token that is refused is asked for once more as `rejected`; refused again, the client stops."""
    world, _ = rooms_world()
    given: list[str] = []

    def get_token(reason: str) -> str:
        given.append(reason)
        return f"token-secret-{len(given)}"

    world.answers["auth"] = refused("authentication_failed")
    async with world.client(get_token=get_token) as client:
        with pytest.raises(AuthenticationRefused) as caught:
            await asyncio.wait_for(client.rooms.connect(), 5)
        assert given == ["connect", "rejected"]
        assert client.rooms.state == "stopped"
        assert "secret" not in f"{caught.value!r} {client!r} {client.rooms!r} {vars(caught.value)}"
        world.answers["auth"] = authenticated
        await asyncio.wait_for(client.rooms.connect(), 5)
        assert given[2:] == ["connect"]


@pytest.mark.parametrize("token", ["fixed", lambda: "t"])
async def test_a_revoked_token_stops_at_once(token: Any) -> None:
    """A token that was taken back is not asked for again."""
    world, _ = rooms_world()
    world.answers["auth"] = refused("token_revoked")
    async with world.client(get_token=token) as client:
        with pytest.raises(AuthenticationRefused):
            await asyncio.wait_for(client.rooms.connect(), 5)
        assert len(world.last.of("auth")) == 1


async def test_authentication_that_is_refused_for_now() -> None:
    """A refusal by a limit is followed by another attempt at the named time, with the same session."""
    world, _ = rooms_world()
    world.answers["auth"] = refused("auth_rate_limited", 2000)
    async with world.client() as client:
        connecting = asyncio.create_task(client.rooms.connect())
        await settle()
        assert client.rooms.state == "waiting"
        world.answers["auth"] = authenticated
        await world.advance(1.5)
        assert len(world.transports) == 1
        await world.advance(1.5)
        await connecting


async def test_no_token_at_all() -> None:
    """Without a token nothing is shown."""
    world, _ = rooms_world()
    async with world.client(get_token=None) as client:
        await joined(client)
        assert world.last.kinds() == ["join"]


async def test_joining_a_closed_client() -> None:
    """A closed client joins nothing."""
    world, _ = rooms_world()
    async with world.client() as client:
        room = await joined(client)
        await room.leave()
    with pytest.raises(ClosedError):
        await room.join()
