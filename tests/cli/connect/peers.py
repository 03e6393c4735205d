"""A user at the terminal of a client that talks to a memory gateway."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from portward.cli.connect.keyboard import Keyboard
from portward.cli.connect.memory import Memory
from portward.cli.connect.screen import Screen
from portward.cli.connect.talk import Talk
from portward.client import RoomsClient
from tests.client.peers import Cable, Pauses


class Typist:
    """Stands for a keyboard."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)

    async def line(self) -> str | None:
        """The next line."""
        await asyncio.sleep(0)
        return self.lines.pop(0) if self.lines else None

    @property
    def keyboard(self) -> Keyboard:
        """The keyboard it stands for."""
        return cast("Keyboard", self)


class Terminal:
    """A talk under way; `out` waits for a line on either stream."""

    def __init__(self, talk: Talk, client: RoomsClient, capsys: pytest.CaptureFixture[str]) -> None:
        self.talk = talk
        self.client = client
        self.listening = asyncio.create_task(talk.listen())
        self.shown = ""
        self._capsys = capsys

    async def type(self, *lines: str) -> None:
        """Type some lines."""
        await self.talk.type(Typist(*lines).keyboard)

    async def until(self, text: str) -> str:
        """Everything shown, once a text is among it."""
        async with asyncio.timeout(20):
            while text not in self.shown:
                await asyncio.sleep(0)
                self.look()
        return self.shown

    def look(self) -> str:
        """Everything shown so far."""
        self.shown += "".join(self._capsys.readouterr())
        return self.shown


@asynccontextmanager
async def terminal(
    cable: Cable,
    capsys: pytest.CaptureFixture[str],
    user: str = "ann",
    roles: tuple[str, ...] = ("user",),
    **options: Any,
) -> AsyncIterator[Terminal]:
    """A talk whose events are shown."""
    memory = Memory("ws://memory/rooms", user, "")
    client = RoomsClient(
        "ws://memory/rooms",
        token=cable.gateway.token(user, roles=list(roles)),
        dial=cable.dial,
        sleep=Pauses(),
        session=memory.kept.session,
        rooms=memory.kept.rooms,
        **options,
    )
    try:
        async with client:
            made = Terminal(Talk(client, Screen(), memory), client, capsys)
            try:
                yield made
            finally:
                await client.close()
                await asyncio.gather(made.listening, return_exceptions=True)
    finally:
        memory.close()
