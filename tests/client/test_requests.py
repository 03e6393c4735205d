import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from portward.client.codec import FlatCodec, Incoming, RoomsCodec
from portward.client.errors import ConnectionLost, NoAnswer, RequestRefused
from portward.client.requests import RequestConnection, refusal
from portward.client.transport import TransportClosed
from portward.testing import FakeClock
from tests.client.scripted import FakeTransport, refused, settle


class Bench:
    """A connection, what it received, and how it ended."""

    def __init__(self, transport: FakeTransport) -> None:
        self.transport = transport
        self.clock = FakeClock()
        self.received: list[tuple[str, bool]] = []
        codec = RoomsCodec(self.clock.time) if transport.style == "rooms" else FlatCodec()
        self.connection = RequestConnection(transport, codec, self.clock, 10.0, self.take)

    def take(self, incoming: Incoming, answer: bool) -> None:
        """Remember a message."""
        if incoming.kind == "broken":
            raise ValueError("broken")
        self.received.append((incoming.kind, answer))

    async def read(self) -> TransportClosed:
        """Read to the end."""

        async def at_once() -> None:
            return

        return await self.connection.read(at_once)


@asynccontextmanager
async def reading(
    transport: FakeTransport,
) -> AsyncIterator[tuple[Bench, "asyncio.Task[TransportClosed]"]]:
    """A connection that is read until the block ends."""
    bench = Bench(transport)
    task = asyncio.create_task(bench.read())
    yield bench, task
    await bench.connection.close()
    await task


async def test_answers_find_their_requests() -> None:
    """Two requests under way each get their own answer, whatever comes first."""
    transport = FakeTransport("rooms", {})
    async with reading(transport) as (bench, task):
        asking = [asyncio.create_task(bench.connection.request(kind, {})) for kind in ("a", "b")]
        await settle()
        transport.say("message", {})
        transport.say("second", {}, transport.sent[1]["id"])
        transport.say("first", {}, transport.sent[0]["id"])
        assert [(await each).kind for each in asking] == ["first", "second"]
        assert bench.received == [("message", False), ("second", True), ("first", True)]
    assert task.result().code == 1000


@pytest.mark.parametrize("key", ["retryAfterMs", "retryMs"])
async def test_an_error_is_raised(key: str) -> None:
    """An answer that is an error is raised, with when to try again."""
    error = [("error", {"code": "rate_limited", "message": "No", key: 1500})]
    async with reading(FakeTransport("rooms", {"join": lambda _: error})) as (bench, _):
        with pytest.raises(RequestRefused, match="No") as caught:
            await bench.connection.request("join", {})
        assert (caught.value.code, caught.value.retry_after) == ("rate_limited", 1.5)
        assert caught.value.temporary


@pytest.mark.parametrize("wait", [None, "soon", -5, [], True])
def test_odd_waits(wait: object) -> None:
    """A wait that is no number of milliseconds is none."""
    error = refusal({"code": "x", "message": "y", "retryAfterMs": wait})
    assert error.retry_after is None


async def test_a_break_fails_what_waits() -> None:
    """A connection that breaks fails the requests under way, and those that come later."""
    transport = FakeTransport("rooms", {})
    async with reading(transport) as (bench, task):
        asking = asyncio.create_task(bench.connection.request("join", {}))
        abandoned = asyncio.create_task(bench.connection.request("join", {}))
        await settle()
        abandoned.cancel()
        transport.end(3008, "slow")
        with pytest.raises(ConnectionLost):
            await asking
        closed = await task
        assert (closed.code, closed.reason) == (3008, "slow")
        with pytest.raises(ConnectionLost):
            await bench.connection.request("join", {})
        with pytest.raises(ConnectionLost):
            await bench.connection.send("{}")
        bench.connection.post("join", {})


async def test_an_answer_that_does_not_come() -> None:
    """A request that is not answered in time says so, and its late answer answers nothing."""
    transport = FakeTransport("rooms", {})
    async with reading(transport) as (bench, _):
        asking = asyncio.create_task(bench.connection.request("join", {}))
        slower = asyncio.create_task(bench.connection.request("open", {}, 20.0))
        await settle()
        bench.clock.advance(10.0)
        with pytest.raises(NoAnswer):
            await asking
        assert not slower.done()
        transport.say("late", {}, "1")
        await settle()
        assert bench.received == [("late", False)]
        bench.clock.advance(10.0)
        with pytest.raises(NoAnswer):
            await slower


async def test_several_answers() -> None:
    """A request about several things is complete with its last answer; each begins the time anew."""
    transport = FakeTransport("rooms", {})
    async with reading(transport) as (bench, _):
        asking = asyncio.create_task(bench.connection.request_several("join", {}, "joined"))
        await settle()
        for kind, data in (("room_joined", {}), ("error", {"roomId": "a"}), ("joined", {})):
            bench.clock.advance(9.0)
            transport.say(kind, data, "1")
            await settle()
        assert [each.kind for each in await asking] == ["room_joined", "error", "joined"]


async def test_a_refusal_of_all() -> None:
    """An error that names no single thing refuses the whole request."""
    async with reading(FakeTransport("rooms", {"join": refused("invalid_structure")})) as (
        bench,
        _,
    ):
        with pytest.raises(RequestRefused, match="invalid_structure"):
            await bench.connection.request_several("join", {}, "joined")


async def test_several_answers_that_stop() -> None:
    """When the next of several answers does not come, the request ends."""
    transport = FakeTransport("rooms", {"join": lambda _: [("room_joined", {})]})
    async with reading(transport) as (bench, _):
        asking = asyncio.create_task(bench.connection.request_several("join", {}, "joined"))
        await settle()
        bench.clock.advance(10.0)
        with pytest.raises(NoAnswer):
            await asking


@pytest.mark.parametrize("text", ["no JSON", '{"type":"broken","data":{}}'])
async def test_messages_of_something_else(text: str) -> None:
    """A peer that sends something else is left, for good."""
    transport = FakeTransport("rooms", {})
    bench = Bench(transport)
    transport.say_raw(text)
    assert (await bench.read()).code == 1002
    assert transport.closed is not None


async def test_dropping() -> None:
    """A connection that is given up ends as one that broke, with the reason it was given up for."""
    transport = FakeTransport("flat", {})
    async with reading(transport) as (bench, task):
        bench.connection.drop("no sign of life")
        closed = await task
        assert (closed.code, closed.reason) == (None, "no sign of life")


async def test_a_request_is_cancelled_while_it_is_written() -> None:
    """A request whose caller gives up leaves nothing behind."""
    transport = FakeTransport("rooms", {})
    async with reading(transport) as (bench, _):
        asking = asyncio.create_task(bench.connection.request("join", {}))
        await asyncio.sleep(0)
        asking.cancel()
        await settle()
        assert bench.connection._pending == {}
