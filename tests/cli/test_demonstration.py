import asyncio
import re
from collections.abc import AsyncIterator

import httpx
import pytest
from msgspec.structs import replace

from portward.app.gateway import Gateway
from portward.app.server import Server
from portward.cli.demonstration import ROBOT, SAYINGS, Demonstration, loaded
from portward.cli.reading import ready
from portward.client import Message, RoomsClient
from portward.settings import Settings


class Demo:
    """A gateway with a demonstration around it, and what that announced."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[str] = asyncio.Queue()

    async def line(self, start: str) -> str:
        """The next line that starts so, without its heading."""
        while True:
            line = await self.lines.get()
            if line.startswith(start):
                return line[13:]


@pytest.fixture
def settings() -> Settings:
    """The settings of the demo on any free ports."""
    settings = ready(loaded()).settings
    return replace(settings, server=replace(settings.server, port=0, admin_port=0))


@pytest.fixture
async def demo(settings: Settings) -> AsyncIterator[Demo]:
    """A running demonstration that says everything at once."""
    made = Demo()
    async with (
        Gateway(settings) as gateway,
        Demonstration(settings, made.lines.put_nowait, pause=0.0) as around,
    ):
        server = Server(gateway)
        await server.start()
        around.begin(gateway, server)
        yield made
        await server.stop()


def test_settings_of_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo reads neither the environment nor a file, and its ports differ."""
    monkeypatch.setenv("PORTWARD_SERVER__PORT", "1")
    found = loaded()
    server = found.settings.server
    assert found.settings.environment == "development"
    assert server.port not in {1, server.admin_port}
    assert found.settings.engine.url == "memory://"


async def test_printed_lines_work(demo: Demo) -> None:
    """The page is there, and who connects as it says can talk and hears the simulated user."""
    url = (await demo.line("page")).split()[0]
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(url)).status_code == 200
    await demo.line("token")
    command = await demo.line("bob talks")
    match = re.fullmatch(r"\S+ connect (\S+) --subscribe lobby --token (\S+)", command)
    assert match is not None
    assert await demo.line("leave") == "Ctrl-C"
    async with RoomsClient(match[1], token=match[2]) as bob:
        assert bob.user == "bob"
        await bob.join("lobby")
        async for event in bob:
            if isinstance(event, Message):
                break
        assert isinstance(event, Message)
        assert event.user == "robin (simulated)"
        assert event.content in SAYINGS


async def test_simulated_user_stops_with_the_gateway(settings: Settings) -> None:
    """When the gateway sends the simulated user away, it goes, and the rest stays."""
    async with Gateway(settings) as gateway, Demonstration(settings, lambda _: None) as around:
        server = Server(gateway)
        await server.start()
        around.begin(gateway, server)
        task = around._task
        assert task is not None
        while not gateway.connections(ROBOT):
            await asyncio.wait({task}, timeout=0.01)
        await gateway.disconnect(ROBOT)
        await asyncio.wait({task})
        assert task.exception() is None
        await server.stop()


async def test_nothing_was_begun(settings: Settings) -> None:
    """A demonstration that never began ends all the same."""
    async with Demonstration(settings, lambda _: None):
        pass
