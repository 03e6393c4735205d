import asyncio

import pytest

from portward.client.codec import Incoming, RoomsCodec
from portward.client.outgoing import OutgoingQueue, QueueLimits, SendResult, Stored, Unknown
from portward.client.requests import RequestConnection
from portward.client.transport import Payload, TransportClosed
from portward.model.position import Position
from portward.testing import FakeClock
from tests.client.scripted import FakeTransport, settle


class Stuck(FakeTransport):
    """A transport that is full: what is sent waits until it is released, or fails."""

    def __init__(self) -> None:
        super().__init__("rooms", {})
        self.release = asyncio.Event()
        self.failure: TransportClosed | None = None

    async def send(self, message: Payload) -> None:
        """Wait, then send or fail."""
        await self.release.wait()
        if self.failure is not None:
            raise self.failure
        await super().send(message)


def stored(_: Incoming) -> Stored:
    """Every answer says the same."""
    return Stored("m1", Position(1, "e"))


async def send(queue: OutgoingQueue, text: str, *, may_go: bool = True) -> SendResult:
    """Send a message of a room."""
    data = {"roomId": "lobby", "content": text}
    return await queue.send("message", data, len(text), may_go=lambda: may_go, stored=stored)


def connection(transport: FakeTransport) -> RequestConnection:
    """A connection that is not read."""
    clock = FakeClock()
    return RequestConnection(transport, RoomsCodec(clock.time), clock, 10.0, lambda *_: None)


@pytest.mark.parametrize("way", ["cancelled", "failed"])
async def test_a_message_that_is_being_written_when_the_connection_ends(way: str) -> None:
    """It may have left in part: what became of it is unknown, and it is not written again."""
    queue, transport = OutgoingQueue(QueueLimits()), Stuck()
    sending = [asyncio.create_task(send(queue, text)) for text in ("first", "second")]
    writing = asyncio.create_task(queue.run(connection(transport)))
    await settle()
    if way == "cancelled":
        writing.cancel()
    else:
        transport.failure = TransportClosed(None, "")
        transport.release.set()
    await asyncio.gather(writing, return_exceptions=True)
    await settle()
    assert await sending[0] == Unknown()
    assert (sending[1].done(), len(queue)) == (False, 1)
    queue.close()
    assert (await sending[1]).status == "refused"
    assert (await send(queue, "third")).status == "refused"


async def test_a_message_that_may_not_go_yet_holds_up_no_other() -> None:
    """A message of a room that is being joined waits; one of another room goes before it."""
    queue, transport = OutgoingQueue(QueueLimits()), FakeTransport("rooms", {})
    waiting = asyncio.create_task(send(queue, "later", may_go=False))
    going = asyncio.create_task(send(queue, "now"))
    writing = asyncio.create_task(queue.run(connection(transport)))
    await settle()
    assert [each["content"] for each in transport.of("message")] == ["now"]
    assert not waiting.done()
    writing.cancel()
    queue.refuse_all("stopped", "the client has stopped")
    assert (await waiting).status == "refused"
    going.cancel()
    await asyncio.gather(writing, going, return_exceptions=True)


async def test_a_connection_that_is_over_is_not_written_to() -> None:
    """With a connection that is over, everything stays in the queue."""
    queue, transport = OutgoingQueue(QueueLimits()), FakeTransport("rooms", {})
    over = connection(transport)
    over.drop("gone")
    sending = asyncio.create_task(send(queue, "x"))
    await settle()
    await queue.run(over)
    assert (transport.sent, len(queue)) == ([], 1)
    sending.cancel()
    await settle()
    assert len(queue) == 0
