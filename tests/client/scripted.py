"""A gateway that says what a test tells it, under a clock that leaps."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from portward.client import Backoff, ClientError, ConnectionOptions, Portward, QueueLimits
from portward.client.transport import Payload, TransportClosed
from portward.testing import FakeClock

Answers = list[tuple[str, dict[str, Any]]]
Answerer = Callable[[dict[str, Any]], Answers]


def nothing(_: object) -> Answers:
    """No answer."""
    return []


class FakeTransport:
    """Implements `ClientTransport`: one connection, on whose other end the test speaks."""

    def __init__(self, style: str, answers: Mapping[str, Answerer]) -> None:
        self.style = style
        self.answers = dict(answers)
        self.sent: list[Any] = []
        self.frozen = False
        self.closed: TransportClosed | None = None
        self.closed_with: int | None = None
        self._queue: asyncio.Queue[Payload | TransportClosed] = asyncio.Queue()

    def kinds(self) -> list[str]:
        """The types of what the client sent."""
        return [each["type"] for each in self.sent if isinstance(each, dict)]

    def of(self, kind: str) -> list[Any]:
        """What the client sent of one type, without its envelope."""
        mine = [each for each in self.sent if isinstance(each, dict) and each["type"] == kind]
        if self.style == "rooms":
            return [each["data"] for each in mine]
        return [{key: each[key] for key in each if key not in ("type", "id")} for each in mine]

    def say(self, kind: str, data: Mapping[str, Any], identifier: str | None = None) -> None:
        """Send a message to the client."""
        if self.frozen:
            return
        content: dict[str, Any]
        if self.style == "rooms":
            content = {"type": kind, "data": data, "timestamp": 0}
        elif self.style == "alerts":
            content = {"type": kind, "payload": data}
        else:
            content = {"type": kind, **data}
        if identifier is not None:
            content["id"] = identifier
        self._queue.put_nowait(json.dumps(content))

    def say_raw(self, payload: Payload) -> None:
        """Send a text or bytes to the client."""
        self._queue.put_nowait(payload)

    def end(self, code: int | None, reason: str = "") -> None:
        """Close, or with None break."""
        if self.closed is None:
            self.closed = TransportClosed(code, reason)
            self._queue.put_nowait(self.closed)

    async def send(self, message: Payload) -> None:
        """Take what the client sends, and answer it."""
        await asyncio.sleep(0)
        if self.closed is not None:
            raise self.closed
        if isinstance(message, bytes):
            self.sent.append(message)
            return
        content = json.loads(message)
        self.sent.append(content)
        answerer = self.answers.get(content["type"], nothing)
        data = content["data"] if self.style == "rooms" else content
        for kind, answer in answerer(data):
            self.say(kind, answer, None if kind == "alert" else content.get("id"))

    async def receive(self) -> Payload:
        """Give the client the next message."""
        item = await self._queue.get()
        if isinstance(item, TransportClosed):
            self._queue.put_nowait(item)
            raise item
        return item

    async def close(self, code: int = 1000) -> None:
        """The client closes."""
        self.closed_with = code
        self.end(code)

    def abort(self) -> None:
        """The client gives up."""
        self.end(None)


class World:
    """A clock, a gateway that is scripted, and clients of it.

    `troubles` are raised by the next attempts to connect, in order. `draw` is what chance gives.
    """

    def __init__(self, style: str, answers: Mapping[str, Answerer]) -> None:
        self.clock = FakeClock()
        self.style = style
        self.answers = dict(answers)
        self.troubles: list[ClientError] = []
        self.transports: list[FakeTransport] = []
        self.dialled: list[float] = []
        self.headers: list[Mapping[str, str]] = []
        self.draw = 0.5
        self.states: list[tuple[str, float | None]] = []
        self.stops: list[ClientError] = []

    async def dial(self, _: str, headers: Mapping[str, str]) -> FakeTransport:
        """Connect."""
        self.dialled.append(self.clock.monotonic())
        self.headers.append(headers)
        await asyncio.sleep(0)
        if self.troubles:
            raise self.troubles.pop(0)
        self.transports.append(FakeTransport(self.style, self.answers))
        return self.transports[-1]

    @property
    def last(self) -> FakeTransport:
        """The newest connection."""
        return self.transports[-1]

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[Portward]:
        """A client of the gateway."""
        connection = ConnectionOptions(
            dial=self.dial,
            clock=self.clock,
            backoff=Backoff(draw=lambda: self.draw),
            queue=options.pop("queue", QueueLimits()),
        )
        options = {"get_token": lambda: "token-secret", **options}
        async with Portward("ws://gateway", connection=connection, **options) as made:
            made.on("state", lambda told: self.states.append((told[1].state, told[1].retry_in)))
            made.on("stopped", lambda told: self.stops.append(told[1]))
            yield made

    async def advance(self, seconds: float, step: float = 0.25) -> None:
        """Let time pass, a step at a time, and everything that follows from it."""
        await settle()
        steps = max(1, round(seconds / step))
        for _ in range(steps):
            self.clock.advance(seconds / steps)
            await settle()


async def settle(turns: int = 30) -> None:
    """Let every task go on as far as it can."""
    for _ in range(turns):
        await asyncio.sleep(0)


def authenticated(_: object) -> Answers:
    """A token is accepted."""
    data = {"wsToken": "session-secret", "user": {"userId": "ann"}, "expiresAt": 5000}
    return [("auth_success", data)]


def refused(code: str, retry: int | None = None, **more: Any) -> Answerer:
    """A request is refused."""
    data = {"code": code, "message": f"No: {code}", **more}
    return lambda _: [("error", data if retry is None else data | {"retryAfterMs": retry})]


class FakeRooms:
    """Answers joins as the gateway does: positions go on, and a fresh epoch recovers nothing."""

    def __init__(self) -> None:
        self.epoch = "e1"
        self.messages: list[dict[str, Any]] = []
        self.kept_from = 0
        self.refusals: dict[str, tuple[str, int | None]] = {}

    def join(self, data: dict[str, Any]) -> Answers:
        """Answer `join` in both forms."""
        if "rooms" not in data:
            return [self._one(data)]
        answers = [self._one(each) for each in data["rooms"]]
        failed = [
            {"roomId": room, "code": code} | ({"retryAfterMs": retry} if retry else {})
            for room, (code, retry) in self.refusals.items()
        ]
        rooms = [each["roomId"] for each in data["rooms"] if each["roomId"] not in self.refusals]
        return [*answers, ("joined", {"rooms": rooms, "failed": failed})]

    def _one(self, data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        room, since = data["roomId"], data.get("since")
        if room in self.refusals:
            code, retry = self.refusals[room]
            error = {"code": code, "message": f"No: {code}", "roomId": room}
            return "error", error | ({"retryAfterMs": retry} if retry else {})
        answer = {
            "roomId": room,
            "participants": ["ann"],
            "position": {"offset": len(self.messages), "epoch": self.epoch},
        }
        if since is not None:
            recovered = since["epoch"] == self.epoch and since["offset"] >= self.kept_from
            missed = self.messages[since["offset"] :] if recovered else []
            answer |= {"recovered": recovered, "messages": missed}
        return "room_joined", answer

    def publish(self, content: str, transport: FakeTransport | None = None) -> dict[str, Any]:
        """A message is stored, and sent to a connection."""
        number = len(self.messages) + 1
        message = {
            "id": f"m{number}",
            "type": "chat_message",
            "roomId": "lobby",
            "content": content,
            "userId": "bob",
            "timestamp": 1000,
            "offset": number,
        }
        self.messages.append(message)
        if transport is not None:
            transport.say("message", message)
        return message

    def store(self, data: dict[str, Any]) -> Answers:
        """Answer `message`."""
        message = self.publish(data["content"])
        stored = {"messageId": message["id"], "offset": message["offset"], "epoch": self.epoch}
        return [("ack", stored)]


def rooms_world() -> tuple[World, FakeRooms]:
    """A world whose gateway has rooms."""
    rooms = FakeRooms()
    answers: dict[str, Answerer] = {
        "auth": authenticated,
        "join": rooms.join,
        "message": rooms.store,
        "leave": lambda data: [("room_left", {"roomId": data["roomId"]})],
        "heartbeat": lambda _: [("heartbeat_response", {"serverTime": 1})],
        "refresh": lambda _: [("refresh_success", {"wsToken": "session-2", "expiresAt": 9000})],
    }
    return World("rooms", answers), rooms
