from collections.abc import Callable
from typing import Any

import pytest

from portward.client import events
from portward.client.backoff import Backoff
from portward.client.errors import (
    AuthenticationRefused,
    ClientError,
    ConnectFailed,
    ConnectionLost,
    Ended,
    HandshakeRefused,
    NoAnswer,
    RequestRefused,
)
from portward.client.events import Event
from portward.client.hearing import Hearing
from portward.client.inbox import Inbox
from portward.client.keeping import Keeper
from portward.client.link import Link
from portward.client.proving import Prover, TokenSource
from portward.model.position import Position
from tests.client.peers import FakeLink, Pauses, joined, proven, refusing

Step = FakeLink | ClientError
PLACE = Position(2, "e")


class Bench:
    """A keeper whose connections are given, one after the other."""

    def __init__(
        self,
        *steps: Step,
        token: str | TokenSource | None = "t",
        session: str | None = None,
        timeout: float = 5.0,
        reconnect: bool = True,
        backoff: Backoff | None = None,
        **rooms: Position | None,
    ) -> None:
        self.steps = list(steps)
        self.pauses = Pauses()
        self.inbox = Inbox(1000)
        self.hearing = Hearing(self.inbox, session=session, rooms=rooms, raw=False)
        self.keeper = Keeper(
            dial=self.dial,
            inbox=self.inbox,
            hearing=self.hearing,
            prover=Prover(token, self.hearing, self.inbox),
            backoff=backoff or Backoff(first=1.0, draw=lambda: 1.0),
            reconnect=reconnect,
            timeout=timeout,
            sleep=self.pauses,
        )

    async def dial(self) -> Link:
        """The next connection, or why there is none; after the last, none ever."""
        step = self.steps.pop(0) if self.steps else Ended(None, "the script is over")
        if isinstance(step, ClientError):
            raise step
        return step

    async def until(self, kind: type[Event]) -> Any:
        """Take events up to one of a kind."""
        while True:
            event = await self.inbox.get()
            if event is None:
                raise LookupError(kind)
            if isinstance(event, kind):
                return event


def link(auth: Callable[[Any], tuple[str, Any]] | None = None, **answers: Any) -> FakeLink:
    """A connection that accepts, unless told otherwise."""
    return FakeLink({"auth": auth or proven(), "join": joined(), **answers})


async def test_token_proves() -> None:
    """A new client shows its token, and is ready."""
    first = link()
    bench = Bench(first)
    await bench.keeper.open()
    assert (await bench.until(events.Connected)).user == "ann"
    assert (await bench.keeper.connection()) is not None
    assert bench.keeper.ready
    assert [each["data"] for each in first.sent] == [{"token": "t"}]
    await bench.keeper.close()
    assert await bench.inbox.get() is None
    assert not bench.keeper.ready


async def test_nothing_to_show() -> None:
    """Without session and token nothing is shown."""
    first = link()
    bench = Bench(first, token=None)
    await bench.keeper.open()
    assert await bench.until(events.Connected) == events.Connected()
    assert first.sent == []
    await bench.keeper.close()


async def test_session_comes_before_the_token() -> None:
    """A session is shown instead of the token."""
    first = link()
    bench = Bench(first, session="s0")
    await bench.keeper.open()
    assert [each["data"] for each in first.sent] == [{"wsToken": "s0"}]
    await bench.keeper.close()


async def test_token_after_a_dead_session() -> None:
    """A session that is over is followed by the token, on the same connection."""

    def auth(data: dict[str, Any]) -> tuple[str, Any]:
        return (refusing() if "wsToken" in data else proven("s1"))(data)

    first = link(auth)
    bench = Bench(first, session="s0")
    await bench.keeper.open()
    assert [each["data"] for each in first.sent] == [{"wsToken": "s0"}, {"token": "t"}]
    assert bench.hearing.session == "s1"
    await bench.keeper.close()


async def test_dead_session_without_a_token() -> None:
    """With neither, the client is refused."""
    bench = Bench(link(refusing()), session="s0", token=None)
    with pytest.raises(AuthenticationRefused):
        await bench.keeper.open()


async def test_refused_token() -> None:
    """A token that is refused ends the attempt, and the connection with it."""
    first = link(refusing())
    with pytest.raises(AuthenticationRefused, match="No: authentication_failed"):
        await Bench(first).keeper.open()
    assert first.closed is not None


@pytest.mark.parametrize("session", [None, "s0"])
async def test_refused_for_now(session: str | None) -> None:
    """A refusal by a limit is no verdict: the attempt fails with it, and the session stays."""
    bench = Bench(link(refusing("auth_rate_limited", 2000)), session=session)
    with pytest.raises(RequestRefused) as refused:
        await bench.keeper.open()
    assert refused.value.temporary
    assert bench.hearing.session == session


async def test_silent_gateway() -> None:
    """A gateway that answers nothing is left."""
    with pytest.raises(NoAnswer):
        await Bench(FakeLink(), timeout=0.0).keeper.open()


@pytest.mark.parametrize(
    ("code", "error"), [(3500, Ended), (3001, ConnectionLost), (None, ConnectionLost)]
)
async def test_closed_while_proving(code: int | None, error: type[ClientError]) -> None:
    """A close in place of an answer is judged by its code."""
    first = FakeLink()
    first.end(code, "closed")
    with pytest.raises(error, match="closed"):
        await Bench(first).keeper.open()


async def test_first_connection_is_tried_once() -> None:
    """Nobody there is an error the first time."""
    with pytest.raises(ConnectFailed):
        await Bench(ConnectFailed("connection refused"), link()).keeper.open()


async def test_comes_back() -> None:
    """After a break the client pauses, shows its session, and joins from where it was."""
    first, second = link(), link(proven("s2", resumed=True))
    bench = Bench(first, second, lobby=PLACE, hall=None)
    await bench.keeper.open()
    await bench.until(events.Joined)
    await bench.until(events.Joined)
    bench.hearing.rooms["hall"] = None
    first.end(3008, "slow")
    gone = await bench.until(events.Disconnected)
    assert (gone.code, gone.reason, gone.retry_in) == (3008, "slow", 1.0)
    assert (await bench.until(events.Connected)).resumed
    await bench.until(events.Joined)
    await bench.keeper.connection()
    assert [each["data"] for each in second.sent] == [
        {"wsToken": "s1"},
        {"rooms": [{"roomId": "lobby", "since": {"offset": 0, "epoch": "e"}}, {"roomId": "hall"}]},
    ]
    assert bench.pauses.asked == [1.0]
    await bench.keeper.close()


async def test_waits_grow_until_it_is_back() -> None:
    """Each failed attempt doubles the range; a suggestion of the gateway goes before it."""
    first, second = link(), link()
    bench = Bench(
        first,
        ConnectFailed("connection refused"),
        HandshakeRefused(503, 7.0),
        FakeLink({"auth": refusing("unavailable")}),
        second,
    )
    await bench.keeper.open()
    first.end(None)
    await bench.until(events.Disconnected)
    reasons = [(await bench.until(events.Disconnected)).reason for _ in range(3)]
    assert reasons[0] == "connection refused"
    await bench.until(events.Connected)
    assert bench.pauses.asked == [1.0, 2.0, 7.0, 8.0]
    second.end(None)
    await bench.until(events.Disconnected)
    assert bench.pauses.asked[-1] == 16.0
    await bench.keeper.close()


async def test_waits_start_again_after_a_connection_that_lasted() -> None:
    """Once a connection has stood for as long as the longest wait, the next wait is short again."""
    first, second = link(), link()
    bench = Bench(first, second, backoff=Backoff(first=1.0, longest=0.0, draw=lambda: 1.0))
    await bench.keeper.open()
    first.end(None)
    await bench.until(events.Disconnected)
    await bench.until(events.Connected)
    second.end(None)
    await bench.until(events.Disconnected)
    assert bench.keeper._attempt == 1
    await bench.keeper.close()


async def test_leaving_node_says_when() -> None:
    """A node that shuts down says when to come back, and is obeyed."""
    first, second = link(), link()
    bench = Bench(first, second)
    await bench.keeper.open()
    first.say("shutdown", {"retryMs": 4500})
    first.end(3001, "shutdown")
    assert (await bench.until(events.Disconnected)).retry_in == 4.5
    await bench.until(events.Connected)
    await bench.keeper.close()


@pytest.mark.parametrize("code", [1000, 1008, 3500, 3503])
async def test_forbidden_to_come_back(code: int) -> None:
    """Some codes end the client, and whoever asks it is told."""
    first = link()
    bench = Bench(first, link())
    await bench.keeper.open()
    first.end(code, "over")
    with pytest.raises(Ended, match="over") as ended:
        await bench.until(events.Disconnected)
    assert ended.value.code == code
    with pytest.raises(Ended):
        await bench.keeper.connection()
    await bench.keeper.close()


async def test_told_not_to_come_back() -> None:
    """A client that is told to stay away ends with its first connection."""
    first = link()
    bench = Bench(first, link(), reconnect=False)
    await bench.keeper.open()
    first.end(3001, "shutdown")
    with pytest.raises(Ended):
        await bench.until(events.Disconnected)
    await bench.keeper.close()


async def test_refused_when_it_comes_back() -> None:
    """A token that is no longer good ends the client."""
    first = link()
    bench = Bench(first, link(refusing("token_revoked")))
    await bench.keeper.open()
    first.end(None)
    with pytest.raises(AuthenticationRefused):
        await bench.until(events.JoinFailed)
    await bench.keeper.close()


async def test_room_that_is_refused() -> None:
    """Coming back, a room that is refused for good is given up, and the client goes on."""
    bench = Bench(link(join=refusing("permission_denied")), lobby=PLACE)
    await bench.keeper.open()
    failed = await bench.until(events.JoinFailed)
    assert (failed.room, failed.code, failed.text) == (
        "lobby",
        "permission_denied",
        "No: permission_denied",
    )
    await bench.keeper.connection()
    assert bench.hearing.rooms == {}
    await bench.keeper.close()


async def test_room_that_is_refused_for_now() -> None:
    """A room refused by a limit is tried again, after as long as it says or a growing wait."""
    answers = [refusing("join_rate_limited", 3000), refusing("unavailable"), joined()]

    def join(data: Any) -> Any:
        return answers.pop(0)(data)

    bench = Bench(link(join=join), lobby=PLACE)
    await bench.keeper.open()
    await bench.until(events.Joined)
    assert bench.pauses.asked == [3.0, 2.0]
    await bench.keeper.close()


async def test_several_rooms_of_which_some_are_refused() -> None:
    """What a limit refuses is joined again after its time; what is refused for good is given up."""
    answers = [
        [
            ("error", {"roomId": "a", "code": "join_rate_limited", "message": "Wait"}),
            ("joined", {"rooms": [], "failed": [
                {"roomId": "a", "code": "join_rate_limited", "retryAfterMs": 4000},
                {"roomId": "b", "code": "room_full"},
                {"roomId": "c", "code": "unavailable", "retryAfterMs": 1000},
            ]}),
        ]
    ]  # fmt: skip

    def join(data: Any) -> Any:
        return answers.pop(0) if answers else joined()(data)

    only = link(join=join)
    bench = Bench(only, a=PLACE, b=None, c=PLACE)
    await bench.keeper.open()
    assert (await bench.until(events.JoinFailed)).room == "b"
    await bench.keeper.connection()
    assert bench.pauses.asked == [4.0]
    assert [each["data"] for each in only.sent][2:] == [
        {"rooms": [{"roomId": room, "since": {"offset": 2, "epoch": "e"}} for room in "ac"]}
    ]
    await bench.keeper.close()


async def test_break_while_joining() -> None:
    """A connection that breaks before its rooms are joined is made again."""
    first, second = FakeLink({"auth": proven()}), link()
    bench = Bench(first, second, lobby=PLACE)
    await bench.keeper.open()
    await first.heard("join")
    first.end(3008, "slow")
    assert (await bench.until(events.Disconnected)).code == 3008
    await bench.until(events.Joined)
    await bench.keeper.close()


async def test_silence_while_joining() -> None:
    """A connection whose rooms are not answered for is given up and made again."""
    bench = Bench(FakeLink({"auth": proven()}), link(), lobby=PLACE)
    await bench.keeper.open()
    assert bench.keeper._connection is not None
    bench.keeper._connection._timeout = 0.0
    gone = await bench.until(events.Disconnected)
    assert (gone.code, gone.reason) == (None, "no answer in time")
    await bench.until(events.Joined)
    await bench.keeper.close()


async def test_nobody_waits_for_ever() -> None:
    """A request finds no connection in time, and says so."""
    first = link()
    bench = Bench(first, timeout=0.0)
    bench.keeper._settled.clear()
    with pytest.raises(ConnectionLost, match="not connected"):
        await bench.keeper.connection()


async def test_token_is_renewed() -> None:
    """A client that can get newer tokens refreshes when the present one runs out."""
    tokens = ["t1", "t2"]

    async def source() -> str:
        return tokens.pop(0)

    refreshed = ("refresh_success", {"wsToken": "s2", "expiresAt": 9000})
    first = link(refresh=lambda _: refreshed)
    bench = Bench(first, token=source)
    await bench.keeper.open()
    first.say("token_expiring", {"expiresAt": 5000})
    assert (await bench.until(events.TokenRefreshed)).expires_at == 9.0
    assert [each["data"] for each in first.sent] == [{"token": "t1"}, {"token": "t2"}]
    assert bench.hearing.session == "s2"
    await bench.keeper.close()


async def test_failed_renewal_is_told() -> None:
    """A renewal that fails is an event; the connection stays."""
    calls = iter([True, False])

    async def source() -> str:
        if next(calls):
            return "t1"
        raise RuntimeError("no more tokens")

    first = link()
    bench = Bench(first, token=source)
    await bench.keeper.open()
    await bench.until(events.Connected)
    first.say("token_expiring", {"expiresAt": 5000})
    other = await bench.until(events.Other)
    assert (other.type, other.data) == ("refresh_failed", {"message": "no more tokens"})
    assert bench.keeper.ready
    await bench.keeper.close()


async def test_plain_token_is_not_renewed() -> None:
    """A client with one token only tells that it runs out."""
    first = link()
    bench = Bench(first)
    await bench.keeper.open()
    first.say("token_expiring", {"expiresAt": 5000})
    await bench.until(events.TokenExpiring)
    assert first.kinds() == ["auth"]
    await bench.keeper.close()


async def test_failing_source_ends_the_iteration() -> None:
    """An error of the application's own, while coming back, is what the iteration ends with."""
    calls = iter([True, False])

    async def source() -> str:
        if next(calls):
            return "t1"
        raise RuntimeError("no more tokens")

    first = link()
    bench = Bench(first, link(refusing()), token=source)
    await bench.keeper.open()
    first.end(None)
    with pytest.raises(RuntimeError, match="no more tokens"):
        await bench.until(events.JoinFailed)
    await bench.keeper.close()


async def test_close_before_open() -> None:
    """A client that never connected can be closed."""
    bench = Bench()
    await bench.keeper.close()
    assert await bench.inbox.get() is None


async def test_a_room_the_gateway_lost_count_of_is_joined_again() -> None:
    """It is joined from where it was left, on the same connection, and its answer says what was lost."""
    answer = joined(7, "f", recovered=False)
    only = link(join=answer)
    bench = Bench(only, lobby=PLACE)
    await bench.keeper.open()
    await bench.until(events.Joined)
    only.say("room_left", {"roomId": "lobby", "reason": "insufficient_state"})
    again = await bench.until(events.Joined)
    assert (again.room, again.recovered) == ("lobby", False)
    assert bench.hearing.rooms == {"lobby": Position(7, "f")}
    assert [each["type"] for each in only.sent].count("join") == 2
    await bench.keeper.close()
