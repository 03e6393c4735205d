"""One client of the stand-in upstream: its messages, the answers, and what can be done to it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import msgspec
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from portward.demo.upstream_reply import UpstreamReply
from portward.demo.upstream_session import UpstreamSession
from portward.demo.upstream_words import Json, make_id
from portward.model.clock import Clock


class Naps:
    """Waits by the clock, all of which can be ended at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: set[asyncio.Future[None]] = set()

    async def nap(self, seconds: float) -> None:
        """Wait; for one turn of the loop at least."""
        if not seconds:
            await asyncio.sleep(0)
            return
        awake = asyncio.get_running_loop().create_future()
        self._waiting.add(awake)
        timer = self._clock.call_later(seconds, lambda: _wake(awake))
        try:
            await awake
        finally:
            timer.cancel()
            self._waiting.discard(awake)

    def wake(self) -> None:
        """End every wait."""
        for awake in self._waiting:
            _wake(awake)


def _wake(awake: asyncio.Future[None]) -> None:
    if not awake.done():
        awake.set_result(None)


class UpstreamPeer:
    """A connection. It waits for `flowing` before it reads or says anything.

    `pace` gives the seconds between two events of a response; `heard` is called with every message.
    """

    def __init__(
        self,
        connection: ServerConnection,
        flowing: asyncio.Event,
        naps: Naps,
        pace: Callable[[], float],
        heard: Callable[[str | bytes], None],
    ) -> None:
        self._connection = connection
        self._flowing = flowing
        self._naps = naps
        self._pace = pace
        self._heard = heard
        self._telling: set[asyncio.Task[None]] = set()

    async def run(self, conversation: UpstreamSession) -> None:
        """Talk until the connection ends."""
        try:
            await self.say(conversation.begin())
            while True:
                await self._flowing.wait()
                message = await self._connection.recv()
                self._heard(message)
                await self._answer(conversation, message)
        except ConnectionClosed:
            pass
        finally:
            for task in self._telling:
                task.cancel()

    async def say(self, event: Json) -> None:
        """Send an event, with an id of its own."""
        named = {"type": event["type"], "event_id": make_id("event")} | event
        await self._flowing.wait()
        await self._connection.send(msgspec.json.encode(named), text=True)

    async def close(self, code: int, reason: str) -> None:
        """Close in order."""
        await self._connection.close(code, reason)

    def drop(self) -> None:
        """Cut the connection."""
        self._connection.transport.abort()

    def stop(self) -> None:
        """Read nothing more from the socket."""
        if self._connection.state is not State.CLOSED:
            self._connection.transport.pause_reading()

    def go_on(self) -> None:
        """Read again, unless it is full and will by itself."""
        if self._connection.state is not State.CLOSED and not self._connection.recv_messages.paused:
            self._connection.transport.resume_reading()

    async def flood(self, size: int, count: int, taken: Callable[[int], None]) -> None:
        """Send `count` deltas of `size` bytes each, told to `taken` one by one as the client takes them."""
        where = {"response_id": "resp_flood", "item_id": "item_flood", "output_index": 0}
        event = {"type": "response.output_text.delta", "event_id": "event_flood"} | where
        event |= {"content_index": 0, "delta": ""}
        event["delta"] = "x" * (size - len(msgspec.json.encode(event)))
        message = msgspec.json.encode(event)
        with suppress(ConnectionClosed):
            for _ in range(count):
                await self._connection.send(message, text=True)
                taken(len(message))

    async def _answer(self, conversation: UpstreamSession, message: str | bytes) -> None:
        before = conversation.reply
        for event in conversation.take(message):
            await self.say(event)
        reply = conversation.reply
        if reply is not None and reply is not before:
            task = asyncio.create_task(self._tell(conversation, reply))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)
        elif reply is not None and reply.cancelled:
            self._naps.wake()

    async def _tell(self, conversation: UpstreamSession, reply: UpstreamReply) -> None:
        with suppress(ConnectionClosed):
            for event in reply.events():
                if event["type"] == "response.done":
                    # Before it is said: the next may be asked for as soon as it is heard.
                    conversation.told()
                await self.say(event)
                await self._naps.nap(self._pace())
