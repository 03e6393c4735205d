"""The other end of a client: a gateway without sockets, and one that says what a test tells it."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from portward.app.gateway import Gateway
from portward.client.link import LinkClosed
from portward.testing.gateway import MemoryClient, request
from portward.wire.message import WireMessage
from tests.running_gateway import RoutedGate

Answer = tuple[str, Any]
Answerer = Callable[[Any], Answer | list[Answer]]


def all_of(answers: Answer | list[Answer]) -> list[Answer]:
    """The answers to one request, in order."""
    return answers if isinstance(answers, list) else [answers]


class FakeLink:
    """Implements `Link`; a test speaks for the gateway.

    `answers` gives, for a type of request, the type and data of its answer; others stay unanswered.
    """

    def __init__(self, answers: dict[str, Answerer] | None = None) -> None:
        self.sent: list[Any] = []
        self.answers = answers or {}
        self.closed: LinkClosed | None = None
        self._queue: asyncio.Queue[str | LinkClosed] = asyncio.Queue()
        self._heard = asyncio.Condition()

    def say(self, kind: str, data: Any, identifier: str | None = None) -> None:
        """Let the client hear an envelope."""
        envelope = {"type": kind, "data": data, "timestamp": 0}
        if identifier is not None:
            envelope["id"] = identifier
        self.say_text(json.dumps(envelope))

    def say_text(self, text: str) -> None:
        """Let the client hear a text."""
        self._queue.put_nowait(text)

    def end(self, code: int | None, reason: str = "") -> None:
        """Close, or with None break."""
        self.closed = LinkClosed(code, reason)
        self._queue.put_nowait(self.closed)

    def kinds(self) -> list[str]:
        """The types of what the client sent."""
        return [each["type"] for each in self.sent]

    async def heard(self, kind: str, times: int = 1) -> None:
        """Wait until the client has sent a type of message so often."""
        async with self._heard:
            await self._heard.wait_for(lambda: self.kinds().count(kind) >= times)

    async def send(self, text: str) -> None:
        """Take what the client sends, and answer it."""
        if self.closed is not None:
            raise self.closed
        message = json.loads(text)
        self.sent.append(message)
        async with self._heard:
            self._heard.notify_all()
        answer = self.answers.get(message["type"])
        if answer is not None:
            for kind, data in all_of(answer(message["data"])):
                self.say(kind, data, message.get("id"))

    async def receive(self) -> str:
        """Give the client the next thing."""
        item = await self._queue.get()
        if isinstance(item, LinkClosed):
            self._queue.put_nowait(item)
            raise item
        return item

    async def close(self) -> None:
        """The client closes."""
        if self.closed is None:
            self.end(1000)


def proven(session: str = "s1", *, resumed: bool = False) -> Callable[[Any], tuple[str, Any]]:
    """An answer to `auth` that accepts."""
    data = {"wsToken": session, "user": {"userId": "ann"}, "expiresAt": 5000, "resumed": resumed}
    return lambda _: ("auth_success", data)


def refusing(
    code: str = "authentication_failed", retry: int | None = None
) -> Callable[[Any], tuple[str, Any]]:
    """An answer that refuses."""
    data: dict[str, Any] = {"message": f"No: {code}", "code": code}
    if retry is not None:
        data["retryAfterMs"] = retry
    return lambda _: ("error", data)


def joined(offset: int = 0, epoch: str = "e", **more: Any) -> Callable[[dict[str, Any]], Any]:
    """An answer to `join` of one room, or the answers to one of several."""

    def one(room: str) -> Answer:
        place = {"offset": offset, "epoch": epoch}
        return "room_joined", {"roomId": room, "participants": ["ann"], "position": place} | more

    def answer(data: dict[str, Any]) -> Answer | list[Answer]:
        if "rooms" not in data:
            return one(data["roomId"])
        names = [each["roomId"] for each in data["rooms"]]
        return [*map(one, names), ("joined", {"rooms": names, "failed": []})]

    return answer


def message(offset: int, content: str = "hello", room: str = "lobby") -> dict[str, Any]:
    """A message of a room as it travels."""
    return {
        "id": f"m{offset}",
        "type": "chat_message",
        "roomId": room,
        "content": content,
        "userId": "bob",
        "timestamp": 1000,
        "offset": offset,
    }


class GatewayLink(MemoryClient):
    """A connection to a memory gateway, in one process: the gateway's link and the client's."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: asyncio.Queue[str | None] = asyncio.Queue()

    def _take(self, message: WireMessage) -> None:
        super()._take(message)
        for payload in message.payloads:
            self.texts.put_nowait(payload.decode())

    def _lose(self, code: int | None) -> None:
        super()._lose(code)
        self.texts.put_nowait(None)

    def cut(self) -> None:
        """Break, as when a cable is pulled."""
        self.leave(None)


class ClientEnd:
    """Implements `Link` on a `GatewayLink`."""

    def __init__(self, end: GatewayLink) -> None:
        self.end = end

    async def send(self, text: str) -> None:
        """Send to the gateway."""
        if not self.end.open:
            raise self._closed()
        self.end.send_bytes(text.encode(), binary=False)

    async def receive(self) -> str:
        """Wait for the gateway."""
        text = await self.end.texts.get()
        if text is None:
            self.end.texts.put_nowait(None)
            raise self._closed()
        return text

    async def close(self) -> None:
        """Close as a client does."""
        if self.end.open:
            self.end.leave(1000)

    def _closed(self) -> LinkClosed:
        return LinkClosed(*(self.end.closed or (None, "connection lost")))


class Cable:
    """Dials a memory gateway; remembers every connection."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.ends: list[GatewayLink] = []

    async def dial(self) -> ClientEnd:
        """Make a connection."""
        admission = await RoutedGate(self.gateway.node).admit(request("/rooms"))
        end = GatewayLink()
        end.attach(admission.open(end))
        self.ends.append(end)
        return ClientEnd(end)


class Pauses:
    """A sleep that takes no time and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def __call__(self, seconds: float) -> None:
        """Return at once."""
        self.asked.append(seconds)
        await asyncio.sleep(0)
