"""A demonstration that runs in this process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

import pytest
from msgspec.structs import replace

from portward.app.gateway import Gateway
from portward.app.server import Server
from portward.cli import demo as module
from portward.cli.config import with_secrets
from portward.cli.demo import DemoServices, loaded
from portward.demo.listener import DemoListener
from portward.settings import Settings


class Demo:
    """A gateway with a demonstration around it, and what that announced."""

    def __init__(self, gateway: Gateway, page: str) -> None:
        self.gateway = gateway
        self.page = page
        self.lines: asyncio.Queue[str] = asyncio.Queue()
        self.opened: list[str] = []

    async def line(self, start: str) -> str:
        """The next line that starts so, without its heading."""
        while True:
            line = await self.lines.get()
            if line.startswith(start):
                return line[13:]


def anywhere(settings: Settings) -> Settings:
    """The same settings on any free ports."""
    return replace(settings, server=replace(settings.server, port=0, admin_port=0))


@asynccontextmanager
async def demonstration() -> AsyncIterator[Demo]:
    """A running demonstration whose simulated user sends all messages at once."""
    with pytest.MonkeyPatch.context() as patch, closing(DemoListener(0)) as listener:
        patch.setattr(module, "CHAT_PACE", 0.0)
        settings = anywhere(with_secrets(loaded(listener.url)).settings)
        async with Gateway(settings) as gateway:
            made = Demo(gateway, listener.url)
            around = DemoServices(settings, listener, made.opened.append, made.lines.put_nowait)
            async with around:
                server = Server(gateway)
                await server.start()
                around.begin(gateway, server)
                yield made
                await server.stop()
