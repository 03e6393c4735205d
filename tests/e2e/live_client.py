"""A client of the live endpoint: a page whose user's cookies the browser sends along."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.e2e.gateways import ORIGIN, UNLIMITED, GatewayRunner, Place
from tests.e2e.listeners import PATIENCE
from tests.e2e.provider_server import COOKIE, Directory, directory

Message = dict[str, Any]
VIOLATION: Final = {
    "type": "error",
    "code": "protocol-violation",
    "message": "Invalid message envelope",
}
TOPICS: Final = """
[identity_provider.topics]
"event:{id}" = "/items/events/{id}?fields=id"
"""


def asking(provider: Directory, **options: str) -> str:
    """Settings of a gateway that asks this provider."""
    given = "".join(f"{name} = {value}\n" for name, value in options.items())
    return f'{UNLIMITED}\n[identity_provider]\nurl = "{provider.url}"\n{given}{TOPICS}'


class Viewer:
    """One connection of a page."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def hear(self) -> Message:
        """The next message."""
        message: Message = json.loads(await asyncio.wait_for(self.socket.recv(), PATIENCE))
        return message

    async def say(self, kind: str, topic: object, **rest: Any) -> None:
        """Send a message about a topic."""
        await self.socket.send(json.dumps({"type": kind, "topic": topic, **rest}))

    async def ask(self, kind: str, topic: object, **rest: Any) -> Message:
        """Send it; the next that is heard."""
        await self.say(kind, topic, **rest)
        return await self.hear()

    async def subscribe(self, topic: str) -> Message:
        """Subscribe, which is allowed; the answer, whose form is that of all such answers."""
        answer = await self.ask("subscribe", topic)
        assert set(answer) == {"type", "topic", "snapshot", "position"}, answer
        assert (answer["type"], answer["topic"]) == ("subscribed", topic)
        assert set(answer["position"]) == {"offset", "epoch"}
        return answer

    async def data(self) -> Message:
        """The next message, which is a publication."""
        message = await self.hear()
        assert message["type"] == "data", message
        assert set(message) - {"key"} == {"type", "topic", "data", "ts", "offset"}
        return message

    async def silence(self) -> None:
        """Nothing has come before the answer to a message that is none."""
        await self.socket.send("{}")
        assert await self.hear() == VIOLATION

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


def page(cookie: str | None, **options: Any) -> dict[str, Any]:
    """What a browser sends: the page's origin, and the session cookie among others."""
    options.setdefault("origin", ORIGIN)
    if cookie is not None:
        jar = f"theme=dark; {COOKIE}={cookie}; other=1"
        options["additional_headers"] = {"Cookie": jar}
    return options | {"max_queue": None}


@asynccontextmanager
async def view(url: str, cookie: str) -> AsyncIterator[Viewer]:
    """A page whose user is logged in."""
    async with connect(url, **page(cookie)) as socket:
        yield Viewer(socket)


async def status(url: str, cookie: str | None, **options: Any) -> int:
    """The outcome of a handshake: 101 when it succeeds."""
    try:
        async with connect(url, **page(cookie, **options)):
            return 101
    except InvalidStatus as refused:
        answer = refused.response
    assert not answer.body
    return answer.status_code


Site = Callable[..., AbstractAsyncContextManager[tuple[Place, Directory]]]


def site(runner: GatewayRunner) -> Site:
    """A gateway behind this listener, and a provider it asks; settings of `identity_provider` by name."""

    @asynccontextmanager
    async def running(more: str = "", **options: str) -> AsyncIterator[tuple[Place, Directory]]:
        async with directory() as provider, runner(asking(provider, **options) + more) as place:
            yield place, provider

    return running
