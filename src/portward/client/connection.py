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


class _Request:
    """A request under way, and the answers to it so far.

    Without `last` the first answer completes it. With `last` an answer of that type does, or an error
    about the whole request; each other answer begins the time limit anew.
    """

    def __init__(self, last: str | None, limit: asyncio.Timeout, timeout: float) -> None:
        self.answers: list[Envelope] = []
        self.done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._last = last
        self._limit = limit
        self._timeout = timeout

    def answer(self, envelope: Envelope) -> None:
        """Take an answer."""
        if self.done.done():
            return
        self.answers.append(envelope)
        if self._last is None or envelope.type == self._last or _refuses_all(envelope):
            self.done.set_result(True)
        else:
            self._limit.reschedule(asyncio.get_running_loop().time() + self._timeout)

    def give_up(self) -> None:
        """There will be no further answer."""
        if not self.done.done():
            self.done.set_result(False)


def _refuses_all(envelope: Envelope) -> bool:
    return envelope.type == "error" and "roomId" not in envelope.data


class Connection:
    """Requests and their answers on one link. `listen` must run for answers to come."""

    def __init__(self, link: Link, inbox: Inbox, hear: Hear, timeout: float) -> None:
        self._link = link
        self._inbox = inbox
        self._hear = hear
        self._timeout = timeout
        self._pending: dict[str, _Request] = {}
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
        request = self._pending.get(envelope.id) if envelope.id is not None else None
        self._hear(text, envelope, request is not None)
        if request is not None:
            request.answer(envelope)

    def _end(self, closed: LinkClosed) -> LinkClosed:
        self._closed = closed
        for request in self._pending.values():
            request.give_up()
        self._pending.clear()
        return closed

    async def request(self, kind: str, data: Mapping[str, Any]) -> Envelope:
        """Ask, and wait for the answer.

        Raises:
            RequestRefused: the answer is an error.
            ConnectionLost: there is none.
            NoAnswer: there is none in time.
        """
        return (await self._request(kind, data, None))[-1]

    async def request_several(
        self, kind: str, data: Mapping[str, Any], last: str
    ) -> list[Envelope]:
        """Ask for several things at once, and wait for an answer to each and the one of type `last`.

        The time limit counts from the latest answer. An error of one thing names its `roomId` and is
        returned like any answer; raises as `request` when the whole request is refused.
        """
        return await self._request(kind, data, last)

    async def _request(
        self, kind: str, data: Mapping[str, Any], last: str | None
    ) -> list[Envelope]:
        if self._closed is not None:
            raise ConnectionLost("not connected")
        identifier = str(next(self._numbers))
        try:
            with self._inbox.hurry():
                async with asyncio.timeout(self._timeout) as limit:
                    request = self._pending[identifier] = _Request(last, limit, self._timeout)
                    await self.send(encode(kind, data, identifier))
                    complete = await request.done
        except TimeoutError:
            raise NoAnswer("no answer in time") from None
        finally:
            self._pending.pop(identifier, None)
        if not complete:
            raise ConnectionLost("the connection broke before the answer")
        final = request.answers[-1]
        if final.type == "error":
            raise _refusal(final.data)
        return request.answers

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
