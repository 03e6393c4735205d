import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from portward.app.gateway import Gateway
from portward.client import RoomsClient, events
from portward.client.errors import ClientError, ConnectionLost, Ended, RequestRefused
from portward.client.events import Event
from portward.model.position import Position
from portward.testing import memory_gateway
from tests.client.peers import Cable, FakeLink, Pauses, proven


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """A gateway without sockets, whose clock stands still."""
    async with memory_gateway() as running:
        yield running


@pytest.fixture
def cable(gateway: Gateway) -> Cable:
    """The way to it."""
    return Cable(gateway)


def client(cable: Cable, user: str = "ann", **options: Any) -> RoomsClient:
    """A client of a user, not entered."""
    token = cable.gateway.token(user, roles=["user"])
    return RoomsClient(
        "ws://memory/rooms", **{"token": token, "dial": cable.dial, "sleep": Pauses(), **options}
    )


async def until(one: RoomsClient, kind: type[Event]) -> Any:
    """Take events up to one of a kind."""
    async for event in one:
        if isinstance(event, kind):
            return event
    raise LookupError(kind)


async def test_conversation(cable: Cable) -> None:
    """Two users meet in a room, hear each other, and see each other go."""
    async with client(cable) as ann, client(cable, "bob") as bob:
        assert (ann.user, ann.connected) == ("ann", True)
        await ann.join("lobby")
        reply = await bob.join("lobby")
        assert reply.participants == ("ann", "bob")
        assert (await until(ann, events.UserJoined)).user == "bob"
        ack = await bob.say("lobby", "hello")
        heard = await until(ann, events.Message)
        assert (heard.user, heard.content, heard.position) == ("bob", "hello", ack.position)
        assert heard.id == ack.id
        assert ann.positions == {"lobby": ack.position}
        await bob.typing("lobby")
        assert (await until(ann, events.Typing)).active
        assert [each.user for each in await ann.presence("lobby")] == ["ann", "bob"]
        await bob.leave("lobby")
        assert not (await until(ann, events.UserLeft)).disconnected


async def test_history(cable: Cable) -> None:
    """A room is read back: the latest, those before an offset, those after a position."""
    async with client(cable) as ann:
        await ann.join("lobby")
        acks = [await ann.say("lobby", f"n{number}") for number in range(4)]
        latest = await ann.history("lobby", 2)
        assert [each.content for each in latest.messages] == ["n2", "n3"]
        assert latest.position == acks[-1].position
        before = await ann.history("lobby", before=2)
        assert [each.content for each in before.messages] == ["n0"]
        since = await ann.history("lobby", since=acks[1].position)
        assert [each.position for each in since.messages] == [each.position for each in acks[2:]]


async def test_refusal(cable: Cable) -> None:
    """What the gateway refuses is raised where it was asked."""
    async with client(cable) as ann:
        with pytest.raises(RequestRefused, match="Room not found") as refused:
            await ann.say("nowhere", "hello")
        assert refused.value.code == "room_not_found"


async def test_join_since(cable: Cable) -> None:
    """Joining since a position gives what came after it, and nothing else."""
    async with client(cable) as ann:
        await ann.join("lobby")
        first = await ann.say("lobby", "one")
        await ann.say("lobby", "two")
        async with client(cable, "bob") as bob:
            reply = await bob.join("lobby", first.position)
            assert reply.recovered is True
            heard = await until(bob, events.Message)
            assert (heard.content, heard.missed) == ("two", True)


async def test_nothing_is_missed(cable: Cable) -> None:
    """What is said while a client is cut off arrives when it is back, in order and once."""
    async with client(cable) as ann, client(cable, "bob") as bob:
        await ann.join("lobby")
        await bob.join("lobby")
        await bob.say("lobby", "before")
        await until(ann, events.Message)
        cable.ends[0].cut()
        for word in ("one", "two"):
            await bob.say("lobby", word)
        back = await until(ann, events.Joined)
        assert back.recovered is True
        await bob.say("lobby", "after")
        heard = [(await until(ann, events.Message)).content for _ in range(3)]
        assert heard == ["one", "two", "after"]


async def test_several_rooms_come_back(cable: Cable) -> None:
    """After a cut every room is joined again with one message, and nothing of any is missed."""
    async with client(cable) as ann, client(cable, "bob") as bob:
        rooms = [f"room-{number}" for number in range(5)]
        for room in rooms:
            await ann.join(room)
            await bob.join(room)
        cable.ends[0].cut()
        for room in rooms:
            await bob.say(room, f"in {room}")
        heard = [(await until(ann, events.Message)).content for _ in rooms]
        assert sorted(heard) == [f"in {room}" for room in rooms]


async def test_session_is_resumed_by_another_client(cable: Cable) -> None:
    """A client goes on where another one left off, with its session and what it had handled."""
    async with client(cable) as first:
        await first.join("lobby")
        one = await first.say("lobby", "one")
        await first.say("lobby", "two")
        cable.ends[0].cut()
        session = first.session
    rooms = {"lobby": one.position}
    async with client(cable, token=None, session=session, rooms=rooms) as second:
        assert (await until(second, events.Connected)).resumed
        assert (await until(second, events.Message)).content == "two"
        assert second.user == "ann"


async def test_gap_is_told(cable: Cable) -> None:
    """A position of another life of the room is answered with where it stands now."""
    rooms = {"lobby": Position(7, "another")}
    async with client(cable, rooms=rooms) as ann:
        back = await until(ann, events.Joined)
        assert (back.recovered, back.position.offset) == (False, 0)


async def test_refresh(cable: Cable) -> None:
    """A newer token can be put in force by hand."""
    async with client(cable) as ann:
        old = ann.session
        await ann.refresh(cable.gateway.token("ann", roles=["user"]))
        assert ann.session != old


async def test_revocation_ends_the_client(cable: Cable) -> None:
    """Revoked, the client is told so by its iteration and by its next request."""
    async with client(cable) as ann:
        await cable.gateway.revoke(user="ann")
        with pytest.raises(Ended, match="force disconnect") as ended:
            await until(ann, events.JoinFailed)
        assert ended.value.code == 3503
        with pytest.raises(Ended):
            await ann.join("lobby")


async def test_closed_client_iterates_to_its_end(cable: Cable) -> None:
    """Closing ends the iteration without an error, and everything else with one."""
    async with client(cable) as ann:
        taking = asyncio.create_task(until(ann, events.JoinFailed))
        await asyncio.sleep(0)
        await ann.close()
        with pytest.raises(LookupError):
            await taking
        with pytest.raises(ConnectionLost):
            await ann.say("lobby", "hello")


async def test_raw(cable: Cable) -> None:
    """On request the messages themselves are events."""
    async with client(cable, raw=True) as ann:
        assert '"handshake"' in (await until(ann, events.Raw)).text


async def test_text_of_ones_own(cable: Cable) -> None:
    """Anything can be sent; an answer nobody waits for is an event."""
    async with client(cable) as ann:
        await ann.send_text('{"type":"heartbeat","data":{},"timestamp":0}')
        other = await until(ann, events.Other)
        assert other.type == "handshake"
        assert (await until(ann, events.Other)).type == "heartbeat_response"


async def test_answer_of_another_kind() -> None:
    """An answer that is not what it should be is an error of its own."""
    link = FakeLink({"auth": proven(), "presence": lambda _: ("presence", {"participants": 1})})

    async def dial() -> FakeLink:
        return link

    async with RoomsClient("ws://x/rooms", token="t", dial=dial) as ann:
        with pytest.raises(ClientError, match="presence"):
            await ann.presence("lobby")


def test_address_is_checked_at_once() -> None:
    """An address that is none is refused before anything is tried."""
    with pytest.raises(ValueError, match="not a WebSocket address"):
        RoomsClient("http://127.0.0.1/rooms")
