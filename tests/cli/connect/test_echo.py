import asyncio

import pytest

from portward.cli.connect import echo as module
from portward.cli.connect.echo import EchoConversation
from portward.cli.connect.screen import Screen
from portward.cli.errors import CommandRefused
from portward.client.link import LinkClosed
from tests.cli.connect.peers import Typist


class Mirror:
    """Implements `Link`: sends everything back, unless it is dumb."""

    def __init__(self, *, dumb: bool = False) -> None:
        self.dumb = dumb
        self.queue: asyncio.Queue[str | LinkClosed] = asyncio.Queue()
        self.closed: LinkClosed | None = None

    async def send(self, text: str) -> None:
        """Send back."""
        if self.closed is not None:
            raise self.closed
        if not self.dumb:
            self.queue.put_nowait(text)

    async def receive(self) -> str:
        """What came back."""
        item = await self.queue.get()
        if isinstance(item, LinkClosed):
            raise item
        return item

    async def close(self) -> None:
        """Close."""
        self.end(1000, "")

    def end(self, code: int | None, reason: str) -> None:
        """Be over."""
        self.closed = LinkClosed(code, reason)
        self.queue.put_nowait(self.closed)


async def test_everything_comes_back(capsys: pytest.CaptureFixture[str]) -> None:
    """What is typed goes out as it is, and what comes back is shown; then one leaves."""
    link = Mirror()
    echo = EchoConversation(link, Screen())
    listening = asyncio.create_task(echo.listen())
    await echo.type(Typist("/join x", "", "\x1b[2J").keyboard)
    await echo.leave()
    with pytest.raises(CommandRefused, match=r"the connection is over: closed \(1000\)"):
        await listening
    assert capsys.readouterr() == ("/join x\n\n\\x1b[2J\n", "")


async def test_nothing_comes_back(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines that do not come back are counted."""
    monkeypatch.setattr(module, "_LAST_WORDS", 0.0)
    echo = EchoConversation(Mirror(dumb=True), Screen())
    await echo.type(Typist("one", "two").keyboard)
    await echo.leave()
    assert capsys.readouterr().err == "! 2 lines did not come back\n"


async def test_other_side_closes() -> None:
    """A connection that breaks ends both directions."""
    link = Mirror()
    echo = EchoConversation(link, Screen())
    link.end(None, "connection lost")
    await echo.type(Typist("one", "two").keyboard)
    with pytest.raises(CommandRefused, match=r"the connection is over: connection lost$"):
        await echo.listen()
