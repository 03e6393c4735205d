"""A client of the alerts endpoint, as somebody writes it who has only read about its messages."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.e2e.gateways import Place
from tests.e2e.listeners import PATIENCE

Message = dict[str, Any]


class Watcher:
    """One connection; its greeting was heard."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def hear(self) -> Message:
        """The next message."""
        message: Message = json.loads(await asyncio.wait_for(self.socket.recv(), PATIENCE))
        return message

    async def greeting(self) -> str:
        """The handshake, compared in every word; the session's id."""
        first = await self.hear()
        session: str = first["payload"]["sessionId"]
        assert re.fullmatch(r"sess_[0-9a-f]{24}", session)
        told = {"sessionId": session, "message": "Connected to alert server"}
        assert first == {"type": "handshake", "payload": told}
        return session

    async def say(self, kind: str, **rest: Any) -> None:
        """Send a message."""
        await self.socket.send(json.dumps({"type": kind, **rest}))

    async def ask(self, kind: str, **rest: Any) -> Message:
        """Send a message; the next that is heard."""
        await self.say(kind, **rest)
        return await self.hear()

    async def subscribe(self, *calls: str) -> Message:
        """Subscribe; what the answer carries."""
        answer = await self.ask("subscribe", callIds=list(calls))
        assert set(answer) == {"type", "payload"}
        assert answer["type"] == "subscribed"
        payload: Message = answer["payload"]
        return payload

    async def history(self, **rest: Any) -> list[Message]:
        """Read back; the alerts."""
        answer = await self.ask("getHistory", **rest)
        assert set(answer) == {"type", "payload"}
        assert (answer["type"], set(answer["payload"])) == ("history", {"alerts"})
        alerts: list[Message] = answer["payload"]["alerts"]
        return alerts

    async def alert(self) -> Message:
        """The next message, which is an alert; what it carries."""
        message = await self.hear()
        assert message["type"] == "alert", message
        assert set(message) == {"type", "payload"}
        payload: Message = message["payload"]
        return payload

    async def silence(self) -> None:
        """Nothing has come before the answer to a ping that is sent now."""
        answer = await self.ask("ping")
        assert answer["type"] == "pong", answer

    async def goodbye(self) -> list[Message]:
        """Everything that comes until the connection is closed."""
        heard = []
        try:
            while True:
                heard.append(await self.hear())
        except ConnectionClosed:
            return heard

    @property
    def closed(self) -> tuple[int | None, str | None]:
        """Close code and reason."""
        return self.socket.close_code, self.socket.close_reason


@asynccontextmanager
async def watch(url: str, token: str | None, **options: Any) -> AsyncIterator[Watcher]:
    """Connect with a token in the header, and hear the greeting."""
    if token is not None:
        options["additional_headers"] = {"Authorization": f"Bearer {token}"}
    async with connect(url, max_queue=None, **options) as socket:
        watcher = Watcher(socket)
        await watcher.greeting()
        yield watcher


@asynccontextmanager
async def visitor(place: Place, user: str = "ann", **claims: Any) -> AsyncIterator[Watcher]:
    """Somebody with a token of the gateway's own."""
    async with watch(place.alerts, place.gateway.token(user, **claims)) as watcher:
        yield watcher


@asynccontextmanager
async def visitors(place: Place, *users: str, **claims: Any) -> AsyncIterator[list[Watcher]]:
    """Several of them."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(visitor(place, user, **claims)) for user in users]
