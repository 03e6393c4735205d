"""An upstream whose moves a test makes; the real client of one is tested by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from portward.model.errors import Unavailable
from portward.protocols.relay import service
from portward.protocols.relay.ports import UpstreamClosed
from portward.settings import Settings
from portward.testing import MemoryClient, connect
from tests.running_gateway import RunningGateway, run_gateway, settle


class FakeLink:
    """Implements `UpstreamLink`: what was sent is in `sent`, `say` makes it speak."""

    def __init__(
        self, model: str, parameters: tuple[tuple[str, str], ...] = (), *, named: bool = True
    ) -> None:
        self.model = model
        self.parameters = dict(parameters)
        self.named = named
        self.sent: list[tuple[bytes, bool]] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self.asked = 0
        self.closed: int | None = None
        self._coming: asyncio.Queue[tuple[bytes, bool] | UpstreamClosed] = asyncio.Queue()
        self._over: UpstreamClosed | None = None

    async def send(self, payload: bytes, *, binary: bool) -> None:
        """Take a message, when it reads."""
        await self.reads.wait()
        if self._over is not None:
            raise self._over
        self.sent.append((payload, binary))

    async def receive(self) -> tuple[bytes, bool]:
        """The next that was said."""
        self.asked += 1
        said = await self._coming.get()
        if isinstance(said, UpstreamClosed):
            raise said
        return said

    async def close(self, code: int) -> None:
        """Note how it was closed."""
        self.closed = code

    def say(self, payload: bytes, *, binary: bool = False) -> None:
        """Say something to the client."""
        self._coming.put_nowait((payload, binary))

    def end(self, code: int | None, reason: str = "") -> None:
        """Close, or with None be lost."""
        self._over = UpstreamClosed(code, reason)
        self._coming.put_nowait(self._over)
        self.reads.set()


class FakeUpstream:
    """Implements `UpstreamPort`."""

    def __init__(self) -> None:
        self.links: list[FakeLink] = []
        self.refuses = False
        self.opens = asyncio.Event()
        self.opens.set()

    async def open(
        self, model: str, parameters: tuple[tuple[str, str], ...] = (), *, named: bool = True
    ) -> FakeLink:
        """Open a link."""
        await self.opens.wait()
        if self.refuses:
            raise Unavailable("upstream answered 401")
        self.links.append(FakeLink(model, parameters, named=named))
        return self.links[-1]

    @property
    def link(self) -> FakeLink:
        """The last that was opened."""
        return self.links[-1]


@asynccontextmanager
async def relaying(
    monkeypatch: pytest.MonkeyPatch, settings: Settings | None = None
) -> AsyncIterator[tuple[RunningGateway, FakeUpstream]]:
    """A running gateway and its upstream."""
    upstream = FakeUpstream()
    monkeypatch.setattr(service, "make_upstream", lambda _: upstream)
    async with run_gateway(settings or Settings()) as running:
        yield running, upstream


async def tell(client: MemoryClient, message: dict[str, Any]) -> None:
    """Send a message and let everything happen that can."""
    client.send(message)
    await settle()
    await settle()


async def proven(running: RunningGateway, user: str = "ann", **claims: Any) -> MemoryClient:
    """A client that has authenticated by message."""
    client = await connect(running.gateway, "/realtime")
    await tell(client, {"type": "authenticate", "token": running.token(user, **claims)})
    return client


async def connected(running: RunningGateway, user: str = "ann", **claims: Any) -> MemoryClient:
    """A client whose messages go upstream."""
    client = await proven(running, user, **claims)
    await tell(client, {"type": "connect_realtime"})
    return client


async def transparent(
    running: RunningGateway, path: str = "/realtime", **claims: Any
) -> MemoryClient:
    """A client that came with its token in a header."""
    bearer = f"Bearer {running.token('ann', **claims)}"
    client = await connect(running.gateway, path, authorization=bearer)
    await settle()
    return client
