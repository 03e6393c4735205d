"""One connection: requests that wait for their answers, and everything else in order."""

import asyncio
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Final

from portward.client.envelope import Envelope, decode, encode
from portward.client.errors import ConnectionLost, NoAnswer, RequestRefused
from portward.client.inbox import Inbox
from portward.client.link import Link, LinkClosed

_PROTOCOL_ERROR: Final = 1002
Hear = Callable[[str, Envelope, bool], None]
"""Is given every message in order: its text, itself, and whether it answers a request.

It comes to hear of an answer before who asked does, so what follows is judged by what was answered.
"""


class Connection:
    """Requests and their answers on one link. `listen` must run for answers to come."""

    def __init__(self, link: Link, inbox: Inbox, hear: Hear, timeout: float) -> None:
        self._link = link
        self._inbox = inbox
        self._hear = hear
        self._timeout = timeout
        self._pending: dict[str, asyncio.Future[Envelope | None]] = {}
        self._numbers = count(1)
        self._closed: LinkClosed | None = None

    async def listen(self) -> LinkClosed:
        """Read until the connection is over; say how it ended."""
        try:
            while True:
                await self._inbox.passable()
                self._take(await self._link.receive())
        except LinkClosed as closed:
            return self._end(closed)
        except ValueError:
            await self._link.close()
            return self._end(LinkClosed(_PROTOCOL_ERROR, "what came is not the rooms dialect"))

    def _take(self, text: str) -> None:
        envelope = decode(text)
        waiting = self._pending.pop(envelope.id, None) if envelope.id is not None else None
        self._hear(text, envelope, waiting is not None)
        if waiting is not None and not waiting.done():
            waiting.set_result(envelope)

    def _end(self, closed: LinkClosed) -> LinkClosed:
        self._closed = closed
        for waiting in self._pending.values():
            if not waiting.done():
                waiting.set_result(None)
        self._pending.clear()
        return closed

    async def request(self, kind: str, data: Mapping[str, Any]) -> Envelope:
        """Ask, and wait for the answer.

        Raises:
            RequestRefused: the answer is an error.
            ConnectionLost: there is none.
        NoAnswer: there is none in time.
        """
        if self._closed is not None:
            raise ConnectionLost("not connected")
        identifier = str(next(self._numbers))
        waiting: asyncio.Future[Envelope | None] = asyncio.get_running_loop().create_future()
        self._pending[identifier] = waiting
        try:
            with self._inbox.hurry():
                async with asyncio.timeout(self._timeout):
                    await self.send(encode(kind, data, identifier))
                    envelope = await waiting
        except TimeoutError:
            raise NoAnswer("no answer in time") from None
        finally:
            self._pending.pop(identifier, None)
        if envelope is None:
            raise ConnectionLost("the connection broke before the answer")
        if envelope.type == "error":
            raise _refusal(envelope.data)
        return envelope

    async def send(self, text: str) -> None:
        """Send a text.

        Raises:
            ConnectionLost: there is no connection any more.
        """
        try:
            await self._link.send(text)
        except LinkClosed:
            raise ConnectionLost("the connection is gone") from None

    async def close(self) -> None:
        """Close with 1000; `listen` returns."""
        await self._link.close()


def _refusal(data: Mapping[str, Any]) -> RequestRefused:
    wait = data.get("retryAfterMs")
    seconds = wait / 1000 if isinstance(wait, int | float) else None
    code, text = str(data.get("code", "error")), str(data.get("message", "refused"))
    return RequestRefused(code, text, seconds)
