"""A peer that closes: what it said before is handled first, for a while, and then it is gone."""

from collections.abc import AsyncIterator, Callable

import pytest

from portward.model.disconnects import Disconnect
from portward.model.limits import CLOSE_TIME
from portward.node.sessions.closing import PeerClose
from portward.settings.limits import Limits
from portward.telemetry.events import Event
from portward.testing import MemoryClient
from tests.node.sessions.test_session import UNLIMITED
from tests.running_gateway import RunningGateway, contents, kinds, session_of, settings, settle
from tests.slow_engine import SlowEngine, arrive, slow_gateway

Slow = tuple[RunningGateway, SlowEngine]
Close = Callable[[MemoryClient], None]
SERIES = "messages_unhandled_total"
FREE = Limits(messages=UNLIMITED, join=UNLIMITED, auth=UNLIMITED, history=UNLIMITED)


@pytest.fixture
async def slow() -> AsyncIterator[Slow]:
    """A gateway without limits, whose engine answers when it is told to."""
    async with slow_gateway(settings(rooms={"limits": FREE})) as pair:
        yield pair


def say(client: MemoryClient, count: int) -> list[str]:
    """Send so many messages at once; returns what they say."""
    said = [str(number) for number in range(count)]
    for number, text in enumerate(said):
        data = {"roomId": "lobby", "content": text}
        client.send({"type": "message", "id": f"m{number}", "data": data})
    return said


WAYS: dict[str, Close] = {
    "closes": lambda client: client.leave(1000),
    "goes away": lambda client: client.leave(1001),
    "vanishes": lambda client: client.leave(None),
}


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("count", [1, 5, 16, 40])
async def test_everything_before_the_end_of_a_connection_is_handled(
    slow: Slow, way: str, count: int
) -> None:
    """However the connection ends, all messages that came before are stored, in order."""
    running, engine = slow
    ann, bob = (
        await arrive(running, engine, "ann", "lobby"),
        await arrive(running, engine, "bob", "lobby"),
    )
    said = say(ann, count)
    WAYS[way](ann)
    assert running.inside()[0] == 2
    await engine.run()
    await settle()
    await engine.run()
    assert contents(bob) == said
    assert kinds(bob)[-1] == "user_disconnected"
    assert running.inside() == (1, 0, 1)
    assert running.count(SERIES, endpoint="rooms") == 0


async def test_nothing_waits_for_an_idle_session(slow: Slow) -> None:
    """A connection with nothing in flight is over at once."""
    running, engine = slow
    ann = await arrive(running, engine, "ann", "lobby")
    ann.leave(1000)
    assert running.inside() == (0, 0, 0)
    await engine.run()


async def test_a_whole_visit_in_one_go(slow: Slow) -> None:
    """Who proves itself, joins, says something and leaves without waiting for an answer has said it."""
    running, engine = slow
    bob = await arrive(running, engine, "bob", "lobby")
    ann = await running.client()
    ann.send({"type": "auth", "data": {"token": running.token("ann")}})
    ann.send({"type": "join", "data": {"roomId": "lobby"}})
    say(ann, 3)
    ann.leave(1000)
    await engine.run()
    assert contents(bob) == ["0", "1", "2"]
    assert running.inside() == (1, 0, 1)


async def test_answers_come_before_the_end(slow: Slow) -> None:
    """A peer that closed and still reads is answered before the connection ends."""
    running, engine = slow
    ann = await arrive(running, engine, "ann", "lobby")
    say(ann, 5)
    told: list[list[str]] = []
    ann.session.peer_closed(lambda: told.append([each["id"] for each in ann.all("ack")]))
    assert told == []
    await engine.run()
    await settle()
    assert told == [["m0", "m1", "m2", "m3", "m4"]]
    assert len(contents(ann)) == 5


async def test_the_wait_has_an_end(slow: Slow) -> None:
    """What is not handled in time is given up, counted and logged."""
    running, engine = slow
    ann, bob = (
        await arrive(running, engine, "ann", "lobby"),
        await arrive(running, engine, "bob", "lobby"),
    )
    say(ann, 5)
    ann.leave(None)
    await running.advance(CLOSE_TIME - 0.3)
    assert running.inside()[0] == 2
    await running.advance(0.5)
    assert running.inside() == (1, 0, 1)
    assert running.count(SERIES, endpoint="rooms") == 5
    assert running.events(Event.INBOX_DROP) == 1
    await engine.run()
    assert contents(bob) in ([], ["0"])


async def test_a_broken_connection_does_not_prolong_the_wait(slow: Slow) -> None:
    """The time runs from the first close, and ends whatever the session was waiting for."""
    running, engine = slow
    ann = await arrive(running, engine, "ann", "lobby")
    say(ann, 3)
    parted: list[int] = []
    ann.session.peer_closed(lambda: parted.append(1))
    await running.advance(1.0)
    ann.leave(None)
    await running.advance(CLOSE_TIME - 1.0 + 0.2)
    assert running.inside() == (0, 0, 0)
    assert parted == []
    await engine.run()


async def test_the_gateways_own_end_drops_what_waits(slow: Slow) -> None:
    """A session that the gateway ends handles nothing more, also while it was about to leave."""
    running, engine = slow
    ann, bob = (
        await arrive(running, engine, "ann", "lobby"),
        await arrive(running, engine, "bob", "lobby"),
    )
    say(ann, 5)
    parted: list[int] = []
    ann.session.peer_closed(lambda: parted.append(1))
    session_of(ann).end(Disconnect.REVOKED, "test")
    assert parted == [1]
    assert ann.closed == (3503, "force disconnect")
    await engine.run()
    await settle()
    assert contents(bob) in ([], ["0"])
    assert running.count(SERIES, endpoint="rooms") == 0
    assert running.inside() == (1, 0, 1)


async def test_a_gateway_that_stops_waits_for_nobody(slow: Slow) -> None:
    """A stop ends a session that was about to leave; it is counted out once."""
    running, engine = slow
    ann = await arrive(running, engine, "ann", "lobby")
    say(ann, 5)
    ann.leave(None)
    await running.gateway.node.stop()
    await settle()
    assert running.inside() == (0, 0, 0)


async def test_a_message_of_nobodys_ends_the_wait_too(slow: Slow) -> None:
    """Messages that are refused are handled like any other."""
    running, engine = slow
    ann = await arrive(running, engine, "ann", "lobby")
    say(ann, 1)
    ann.send_bytes(b"no JSON", binary=False)
    ann.send({"type": "message", "data": {"roomId": "elsewhere", "content": "x"}})
    ann.leave(1000)
    await engine.run()
    assert running.inside() == (0, 0, 0)


def test_a_close_is_over_once() -> None:
    """What is to happen then happens once."""
    calls: list[int] = []
    closing = PeerClose(1.0, lambda: calls.append(1))
    assert [closing.over(), closing.over()] == [True, False]
    assert calls == [1]
