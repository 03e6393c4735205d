"""The stand-in upstream behind a plain WebSocket client, every event read by the official SDK."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter
from websockets.asyncio.client import ClientConnection, connect

from portward.demo.upstream import StandInUpstream
from portward.demo.upstream_session import UpstreamSession
from portward.settings import Settings
from portward.testing.clock import FakeClock

KEY = "sk-stand-in"
MODEL = "gpt-realtime"
_EVENTS: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


def read(message: str | bytes) -> dict[str, Any]:
    """An event, that the SDK must know and have every field of."""
    event = msgspec.json.decode(message)
    typed = _EVENTS.validate_python(event)
    assert typed.type == event["type"]
    assert type(typed).__name__ not in {"dict", "object"}
    strict(event, typed)
    found: dict[str, Any] = event
    return found


def strict(event: Any, typed: Any) -> None:
    """Whether nothing in an event is unknown to the SDK, all the way down, but what is listed here."""
    if isinstance(event, dict) and hasattr(type(typed), "model_fields"):
        unknown = event.keys() - type(typed).model_fields.keys()
        # Told by the real one too, though the SDK's session has no fields for them.
        assert unknown <= {"object", "id", "expires_at"}, (type(typed).__name__, unknown)
        for name in event.keys() - unknown:
            strict(event[name], getattr(typed, name))
    elif isinstance(event, list):
        for one, other in zip(event, typed, strict=True):
            strict(one, other)


class Talk:
    """A client that says events and hears events."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def say(self, kind: str, **fields: Any) -> None:
        """Send an event."""
        await self.socket.send(msgspec.json.encode({"type": kind, **fields}), text=True)

    async def hear(self, *kinds: str) -> dict[str, Any]:
        """The next events, which must be of these kinds; gives the last."""
        event: dict[str, Any] = {}
        for kind in kinds:
            event = read(await self.socket.recv())
            assert event["type"] == kind, event
        return event

    async def until(self, kind: str) -> list[dict[str, Any]]:
        """The next events up to one of this kind."""
        events = [read(await self.socket.recv())]
        while events[-1]["type"] != kind:
            events.append(read(await self.socket.recv()))
        return events

    async def refused(self, code: str, param: str | None = None) -> dict[str, Any]:
        """The next event, which must be this error; the session lives."""
        error: dict[str, Any] = (await self.hear("error"))["error"]
        assert (error["code"], error["param"]) == (code, param)
        return error

    async def tell(self, text: str, **more: Any) -> str:
        """Put a message of the user's into the conversation; gives its id."""
        content = [{"type": "input_text", "text": text}]
        await self.say(
            "conversation.item.create",
            item={"type": "message", "role": "user", "content": content} | more,
        )
        event = await self.hear("conversation.item.added", "conversation.item.done")
        identity: str = event["item"]["id"]
        return identity

    async def ask(self, **response: Any) -> list[dict[str, Any]]:
        """Ask for a response; gives all of its events."""
        await self.say("response.create", response=response)
        return await self.until("response.done")


@asynccontextmanager
async def upstream(**options: Any) -> AsyncIterator[tuple[StandInUpstream, FakeClock]]:
    """A stand-in, and the clock it goes by."""
    clock = FakeClock()
    made = StandInUpstream(Settings(), clock, key=KEY, **options)
    async with made:
        yield made, clock


def dial(made: StandInUpstream, *, model: str = MODEL, url: str = "", **options: Any) -> connect:
    """A plain client of it."""
    headers = {"Authorization": f"Bearer {KEY}"}
    url = (url or made.url).replace("{model}", model)
    settings = {"proxy": None, "compression": None, "close_timeout": 0.2, "ping_interval": None}
    return connect(url, **{"additional_headers": headers} | settings | options)


@asynccontextmanager
async def talk(made: StandInUpstream) -> AsyncIterator[Talk]:
    """A client whose session has begun."""
    async with dial(made) as socket:
        talking = Talk(socket)
        await talking.hear("session.created")
        yield talking


def joined(events: list[dict[str, Any]], kind: str) -> str:
    """The deltas of a kind, put together."""
    return "".join(event["delta"] for event in events if event["type"] == kind)


def sound(events: list[dict[str, Any]]) -> bytes:
    """The sound of a response."""
    deltas = [each["delta"] for each in events if each["type"] == "response.output_audio.delta"]
    return b"".join(map(base64.b64decode, deltas))


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something is so."""
    for _ in range(1_000_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to be")


async def still(count: Callable[[], int]) -> int:
    """Wait until a number grows no more."""
    seen, turns = -1, 0
    while turns < 400:
        turns = turns + 1 if count() == seen else 0
        seen = count()
        await asyncio.sleep(0)
    return seen


class Session:
    """A session without a connection; every event is read by the SDK's types."""

    def __init__(self, model: str | None = MODEL) -> None:
        self.conversation = UpstreamSession(model, 1_700_000_000.5)

    def take(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """Say an event and give the answers."""
        asked = msgspec.json.encode({"type": kind, **fields}).decode()
        return [_seen(event) for event in self.conversation.take(asked)]

    def one(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Say an event that has one answer."""
        (event,) = self.take(kind, **fields)
        return event

    def refused(self, kind: str, **fields: Any) -> tuple[str, str | None]:
        """Say an event that cannot be; gives the code and the parameter that is told."""
        error = self.one(kind, **fields)
        assert error["type"] == "error"
        return error["error"]["code"], error["error"]["param"]

    def tell(self, text: str) -> dict[str, Any]:
        """Put a message of the user's into the conversation."""
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        added, done = self.take("conversation.item.create", item=item)
        assert (added["type"], done["type"]) == (
            "conversation.item.added",
            "conversation.item.done",
        )
        assert added["item"] == done["item"]
        found: dict[str, Any] = done["item"]
        return found

    def respond(self, cancel_after: int = -1, **response: Any) -> list[dict[str, Any]]:
        """Ask for a response and give its events; it is cancelled after so many of them."""
        assert self.take("response.create", response=response) == []
        reply = self.conversation.reply
        assert reply is not None
        events = []
        for number, event in enumerate(reply.events()):
            events.append(_seen(event))
            if number == cancel_after:
                assert self.take("response.cancel", response_id=reply.id) == []
        self.conversation.told()
        return events


def _seen(event: dict[str, Any]) -> dict[str, Any]:
    return read(msgspec.json.encode({"event_id": "event_1"} | event))
