"""The events of the older client, whose connection a test scripts."""

import asyncio
from typing import Any

import pytest

from portward.client import (
    AuthenticationRefused,
    Backoff,
    ConnectionLost,
    Ended,
    RequestRefused,
    RoomsClient,
    events,
)
from portward.client.errors import ClientError, ConnectFailed
from portward.client.events import Event
from portward.client.link import Link
from portward.client.rooms_events import Inbox
from portward.model.position import Position
from tests.client.peers import FakeLink, Pauses, joined, message, proven, refusing

PLACE = Position(2, "e")


class Script:
    """Gives connections one after the other, or says why there is none."""

    def __init__(self, *steps: FakeLink | ClientError) -> None:
        self.steps = list(steps)
        self.pauses = Pauses()

    async def dial(self) -> Link:
        """The next step; after the last, none ever."""
        step = self.steps.pop(0) if self.steps else RequestRefused("over", "the script is over")
        if isinstance(step, ClientError):
            raise step
        return step

    def client(self, **options: Any) -> RoomsClient:
        """A client that is given these connections."""
        given: dict[str, Any] = {
            "token": "t",
            "dial": self.dial,
            "sleep": self.pauses,
            "backoff": Backoff(first=1.0, draw=lambda: 1.0),
        }
        return RoomsClient("ws://gateway/rooms", **{**given, **options})


def link(auth: Any = None, **answers: Any) -> FakeLink:
    """A connection that accepts, unless told otherwise."""
    return FakeLink({"auth": auth or proven(), "join": joined(), **answers})


async def until(client: RoomsClient, kind: type[Event]) -> Any:
    """Take events up to one of a kind."""
    async for event in client:
        if isinstance(event, kind):
            return event
    raise LookupError(kind)


def test_a_warning_names_the_new_way() -> None:
    """Making the older client warns, and says what takes its place."""
    with pytest.warns(DeprecationWarning, match="use Portward"):
        RoomsClient("ws://gateway/rooms")


async def test_coming_back() -> None:
    """A break, failed attempts and the return are events; the times of the gateway are kept."""
    first, second = link(), link(proven("s2", resumed=True))
    script = Script(first, ConnectFailed("connection refused"), second)
    async with script.client(rooms={"lobby": PLACE, "hall": None}) as client:
        assert (await until(client, events.Connected)).expires_at == 5.0
        await until(client, events.Joined)
        first.end(3008, "slow")
        gone = await until(client, events.Disconnected)
        assert (gone.code, gone.reason, gone.retry_in) == (3008, "slow", 1.0)
        assert (await until(client, events.Disconnected)).reason == "connection refused"
        assert (await until(client, events.Connected)).resumed
        await until(client, events.Joined)
        assert script.pauses.asked == [1.0, 2.0]
        assert client.session == "s2"


async def test_a_room_that_is_refused_on_return() -> None:
    """It is one event, and the client goes on without it."""
    script = Script(link(join=refusing("permission_denied")))
    async with script.client(rooms={"lobby": PLACE}) as client:
        failed = await until(client, events.JoinFailed)
        assert (failed.room, failed.code) == ("lobby", "permission_denied")
        assert client.positions == {}


async def test_a_join_that_is_refused_with_a_position() -> None:
    """What was asked for is raised where it was asked, also when a limit refuses it."""
    script = Script(link(join=refusing("join_rate_limited", 3000)))
    async with script.client() as client:
        with pytest.raises(RequestRefused) as refused:
            await client.join("lobby", PLACE)
        assert refused.value.retry_after == 3.0


async def test_joining_again() -> None:
    """A room that is joined already can be joined from another position."""
    only = link()
    async with Script(only).client() as client:
        await client.join("lobby")
        assert (await client.join("lobby", PLACE)).position == Position(0, "e")
        assert only.sent[-1]["data"] == {"roomId": "lobby", "since": {"offset": 2, "epoch": "e"}}


async def test_a_room_that_is_taken_away() -> None:
    """The reason is told, and a room the gateway lost count of is joined again from its place."""
    only = link()
    async with Script(only).client() as client:
        await client.join("lobby")
        await client.join("hall")
        only.say("room_left", {"roomId": "hall", "reason": "kicked"})
        left = await until(client, events.Left)
        assert (left.room, left.reason) == ("hall", "kicked")
        only.say("room_left", {"roomId": "lobby", "reason": "insufficient_state"})
        await until(client, events.Joined)
        assert list(client.positions) == ["lobby"]


async def test_notices() -> None:
    """What the gateway says of itself, and what answers nothing, are events."""
    only = link(refresh=refusing("authentication_failed"))

    async def source() -> str:
        return "t"

    async with Script(only).client(token=source, raw=True) as client:
        only.say("shutdown", {"retryMs": 1500})
        assert (await until(client, events.ShuttingDown)).retry_in == 1.5
        only.say("handshake", {"x": 1})
        assert (await until(client, events.Other)).data == {"x": 1}
        only.say("token_expiring", {"expiresAt": 61_000})
        assert (await until(client, events.TokenExpiring)).expires_at == 61.0
        assert (await until(client, events.Other)).type == "refresh_failed"
        only.say("refresh_success", {"wsToken": "s3", "expiresAt": 9000})
        assert (await until(client, events.TokenRefreshed)).expires_at == 9.0
        assert client.session == "s3"


async def test_a_full_inbox_stops_the_reading() -> None:
    """Nothing more is read until events are taken; an answer is found all the same."""
    only = link(presence=lambda _: ("presence", {"participants": []}))
    async with Script(only).client(max_events=2) as client:
        await client.join("lobby")
        for number in range(20):
            only.say("message", message(number + 1))
        await asyncio.sleep(0.01)
        assert client._inbox.open is False
        assert await client.presence("lobby") == ()
        heard = [(await until(client, events.Message)).position.offset for _ in range(20)]
        assert heard == list(range(1, 21))


@pytest.mark.parametrize(("code", "error"), [(3500, Ended), (3001, ConnectionLost)])
async def test_closed_while_authenticating(code: int, error: type[ClientError]) -> None:
    """A close in place of an answer is judged by its code."""
    first = FakeLink()
    first.end(code, "closed")
    with pytest.raises(error, match="closed"):
        async with Script(first).client():
            pass


async def test_the_first_attempt_is_the_only_one() -> None:
    """The first connection is tried once, and what it fails with is raised."""
    for step, error in (
        (ConnectFailed("refused"), ConnectFailed),
        (link(refusing()), AuthenticationRefused),
        (link(refusing("auth_rate_limited", 2000)), RequestRefused),
    ):
        with pytest.raises(error):
            async with Script(step, link()).client():
                pass


async def test_without_coming_back() -> None:
    """A client that is told not to come back ends with its first connection."""
    only = link()
    async with Script(only, link()).client(reconnect=False) as client:
        only.end(3001, "shutdown")
        with pytest.raises(Ended) as ended:
            await until(client, events.JoinFailed)
        assert ended.value.code == 3001
        with pytest.raises(Ended):
            await client.send_text("{}")


async def test_a_session_without_a_token() -> None:
    """A session token that is refused, and no token, is a refusal; so is one that was taken back."""
    for code, options in (("authentication_failed", {"token": None}), ("token_revoked", {})):
        with pytest.raises(AuthenticationRefused):
            async with Script(link(refusing(code))).client(session="s0", **options):
                pass


async def test_an_answer_of_another_form() -> None:
    """An answer that is not what it should be is an error of its own."""
    only = link(message=lambda _: ("ack", {"odd": 1}))
    async with Script(only).client() as client:
        with pytest.raises(ClientError, match="has not the expected form"):
            await client.say("lobby", "x")


# -- the inbox

EVENTS = [events.TokenExpiring(expires_at=float(n)) for n in range(4)]


async def test_events_keep_their_order() -> None:
    """Events come out as they went in."""
    inbox = Inbox(10)
    for event in EVENTS:
        inbox.put(event)
    assert [await inbox.get() for _ in EVENTS] == EVENTS


async def test_reader_waits_for_an_event() -> None:
    """Who takes from an empty inbox waits for the next event."""
    inbox = Inbox(10)
    taking = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    assert not taking.done()
    inbox.put(EVENTS[0])
    assert await taking == EVENTS[0]


async def test_end_comes_after_what_is_there() -> None:
    """The end is seen once everything was taken, and stays."""
    inbox = Inbox(10)
    inbox.put(EVENTS[0])
    inbox.end(None)
    inbox.end(Ended(1, "too late"))
    assert [await inbox.get(), await inbox.get(), await inbox.get()] == [EVENTS[0], None, None]


async def test_error_ends_it() -> None:
    """An error is raised to whoever waits, and to whoever asks later."""
    inbox = Inbox(10)
    taking = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    inbox.end(Ended(3503, "force disconnect"))
    with pytest.raises(Ended):
        await taking
    with pytest.raises(Ended):
        await inbox.get()


async def test_full_inbox_holds_the_writer() -> None:
    """A full inbox lets no more in until an event was taken."""
    inbox = Inbox(2)
    inbox.put(EVENTS[0])
    await inbox.wait_open()
    inbox.put(EVENTS[1])
    waiting = asyncio.create_task(inbox.wait_open())
    await asyncio.sleep(0)
    assert not waiting.done()
    await inbox.get()
    await waiting


async def test_hurry_lets_everything_in() -> None:
    """While an answer is waited for, a full inbox holds nobody."""
    inbox = Inbox(1)
    inbox.put(EVENTS[0])
    waiting = asyncio.create_task(inbox.wait_open())
    await asyncio.sleep(0)
    with inbox.unbounded():
        await waiting
    again = asyncio.create_task(inbox.wait_open())
    await asyncio.sleep(0)
    assert not again.done()
    inbox.end(None)
    await again
