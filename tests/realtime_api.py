"""The demo's stand-in of a realtime API, with faults that a test switches on, and with transcriptions."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State

from portward.demo.upstream import StandInUpstream, refusal
from portward.demo.upstream_session import Json, UpstreamSession
from portward.node.sessions.clock import LoopClock
from portward.settings import Settings

CANARY: Final = "stand-in-canary-5e0c"
"""Part of every refusal: no client of a relay may ever read it."""
_TRANSCRIPTION: Final = "conversation.item.input_audio_transcription"


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a client sent to connect: the target, and its headers with their names as they came."""

    target: str
    headers: list[tuple[str, str]] = field(repr=False)


class TranscribingSession(UpstreamSession):
    """A session that also transcribes audio; without a model it does nothing else."""

    def __init__(self, model: str, now: float) -> None:
        super().__init__(model, now)
        if not model:
            self.settings["type"] = "transcription"

    def commit(self, event: Json) -> Iterator[Json]:
        """Make an item, and transcribe it where that is switched on."""
        yield from super().commit(event)
        asked = self.settings["audio"]["input"]["transcription"]
        if asked is None:
            return
        by_time = {"type": "duration", "seconds": 2.0}
        by_tokens = {"type": "tokens", "total_tokens": 24, "input_tokens": 20, "output_tokens": 4}
        usage = by_time if asked["model"] == "whisper-1" else by_tokens
        where = {"item_id": "item_1", "content_index": 0}
        yield {"type": f"{_TRANSCRIPTION}.delta", "delta": "hello"} | where
        yield {"type": f"{_TRANSCRIPTION}.completed", "transcript": "hello", "usage": usage} | where


class FaultyUpstream(StandInUpstream):
    """Records handshakes and messages, and can refuse, stall, drop, close and flood."""

    sessions = TranscribingSession

    def __init__(self, key: str) -> None:
        super().__init__(Settings(), LoopClock(), key=key)
        self.refuse: int | None = None
        """The HTTP status that answers every handshake."""
        self.handshakes: deque[Handshake] = deque(maxlen=1000)
        self.received: deque[str | bytes] = deque(maxlen=1000)
        self.flooded = 0
        """Bytes of floods that clients took."""
        self._peers: set[ServerConnection] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()

    @property
    def base_url(self) -> str:
        """What the official SDK wants as its `websocket_base_url`."""
        return self.url.partition("/realtime")[0]

    @property
    def open(self) -> int:
        """Connections that are open."""
        return len(self._peers)

    async def __aexit__(self, *_: object) -> None:
        self.stall = False
        self.drop()
        await super().__aexit__()

    @property
    def stall(self) -> bool:
        """Whether it reads nothing and answers nothing."""
        return not self._flowing.is_set()

    @stall.setter
    def stall(self, on: bool) -> None:
        for peer in self._peers:
            if peer.state is not State.CLOSED:
                transport = peer.transport
                transport.pause_reading() if on else transport.resume_reading()
        self._flowing.clear() if on else self._flowing.set()

    def drop(self) -> None:
        """Cut every connection without a close frame."""
        for peer in self._peers:
            peer.transport.abort()

    async def close(self, code: int, reason: str = "") -> None:
        """Close every connection with a code."""
        await asyncio.gather(*(peer.close(code, reason) for peer in self._peers))

    async def flood(self, size: int, count: int) -> None:
        """Send every client `count` deltas of `size` bytes, as fast as they are taken."""
        event = {"type": "response.output_text.delta", "event_id": "event_flood"}
        event |= {"response_id": "resp_flood", "item_id": "item_flood"}
        message = msgspec.json.encode({**event, "output_index": 0, "content_index": 0, "delta": ""})
        message = message.replace(b'""', b'"' + b"x" * (size - len(message)) + b'"')
        for peer in self._peers:
            with suppress(ConnectionClosed):
                for _ in range(count):
                    await peer.send(message, text=True)
                    self.flooded += len(message)

    # -- in place of the stand-in's own

    async def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Record the handshake; refuse it, or decide as the stand-in does."""
        self.handshakes.append(Handshake(request.path, list(request.headers.raw_items())))
        if self.refuse is not None:
            return refusal(self.refuse, "server_error", CANARY)
        refused = await super().admit(connection, request)
        return refused and refusal(refused.status_code, "refused", CANARY)

    async def serve(self, connection: ServerConnection) -> None:
        """Carry out a session; an intent takes the place of a model."""
        self._peers.add(connection)
        path = connection.request.path if connection.request is not None else ""
        try:
            if parse_qs(urlsplit(path).query).get("intent") == ["transcription"]:
                with suppress(ConnectionClosed):
                    await self.talk(connection, TranscribingSession("", 0.0))
            else:
                await super().serve(connection)
        finally:
            self._peers.discard(connection)

    async def talk(self, connection: ServerConnection, session: UpstreamSession) -> None:
        """Answer the events of a client, while it does not stall."""
        gated: Any = _Gated(connection, self._flowing, self.received)
        await super().talk(gated, session)


class _Gated:
    """A connection that reads and sends only while `flowing` is set."""

    def __init__(
        self,
        connection: ServerConnection,
        flowing: asyncio.Event,
        received: deque[str | bytes],
    ) -> None:
        self._connection = connection
        self._flowing = flowing
        self._received = received

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        while True:
            await self._flowing.wait()
            message = await self._connection.recv()
            self._received.append(message)
            yield message

    async def send(self, message: bytes, *, text: bool) -> None:
        """Send a message."""
        await self._flowing.wait()
        await self._connection.send(message, text=text)
