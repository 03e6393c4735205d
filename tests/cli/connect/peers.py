"""A user at the terminal of a client that talks to a memory gateway."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from portward.cli.connect.keyboard import Keyboard
from portward.cli.connect.loop import TerminalProtocol, run
from portward.cli.connect.resume_state import ResumeFile
from portward.cli.connect.rooms import TerminalRooms
from portward.cli.connect.screen import Screen
from portward.client import RoomsClient
from portward.client.transport import Payload, TransportClosed
from tests.client.peers import Cable, Pauses


class Typist:
    """Stands for a keyboard; with `stays` the input does not end."""

    def __init__(self, *lines: str, stays: bool = False) -> None:
        self.lines = list(lines)
        self._stays = stays

    async def line(self) -> str | None:
        """The next line."""
        await asyncio.sleep(0)
        if not self.lines and self._stays:
            await asyncio.Event().wait()
        return self.lines.pop(0) if self.lines else None

    @property
    def keyboard(self) -> Keyboard:
        """The keyboard it stands for."""
        return cast("Keyboard", self)


async def talk(protocol: TerminalProtocol, *lines: str, stays: bool = False) -> None:
    """Type some lines, see the answers, leave and close."""
    try:
        await run(protocol, Typist(*lines, stays=stays).keyboard)
    finally:
        await protocol.close()


class Mirror:
    """Implements `ClientTransport`: sends everything back, unless it is dumb; `sent` is what was sent."""

    def __init__(self, *texts: Payload, dumb: bool = False) -> None:
        self.dumb = dumb
        self.sent: list[Payload] = []
        self.queue: asyncio.Queue[Payload | TransportClosed] = asyncio.Queue()
        self.closed: TransportClosed | None = None
        for text in texts:
            self.queue.put_nowait(text)

    async def send(self, message: Payload) -> None:
        """Send back."""
        if self.closed is not None:
            raise self.closed
        self.sent.append(message)
        if not self.dumb:
            self.queue.put_nowait(message)

    async def receive(self) -> Payload:
        """What came back."""
        item = await self.queue.get()
        if isinstance(item, TransportClosed):
            raise item
        return item

    async def close(self, code: int = 1000) -> None:
        """Close."""
        self.end(code, "")

    def abort(self) -> None:
        """Break."""
        self.end(None, "")

    def end(self, code: int | None, reason: str) -> None:
        """Be over."""
        self.closed = TransportClosed(code, reason)
        self.queue.put_nowait(self.closed)


class Terminal:
    """A rooms client under way; `until` waits for a line on either stream."""

    def __init__(
        self, rooms: TerminalRooms, client: RoomsClient, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.rooms = rooms
        self.client = client
        self.listening = asyncio.create_task(self._listen())
        self.shown = ""
        self._capsys = capsys

    async def _listen(self) -> None:
        while (event := await self.rooms.receive()) is not None:
            await self.rooms.show(event)

    async def type(self, *lines: str) -> None:
        """Type some lines, until one ends the conversation."""
        for line in lines:
            if not await self.rooms.send(line):
                return

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


def rooms_client(
    cable: Cable,
    state: ResumeFile,
    user: str = "ann",
    roles: tuple[str, ...] = ("user",),
    **options: Any,
) -> RoomsClient:
    """A client of the memory gateway."""
    return RoomsClient(
        "ws://memory/rooms",
        token=cable.gateway.token(user, roles=list(roles)),
        dial=cable.dial,
        sleep=Pauses(),
        session=state.kept.session,
        rooms=state.kept.rooms,
        **options,
    )


@asynccontextmanager
async def terminal(
    cable: Cable,
    capsys: pytest.CaptureFixture[str],
    user: str = "ann",
    *rooms: str,
    **options: Any,
) -> AsyncIterator[Terminal]:
    """A rooms client, in the rooms of its command line, whose events are shown."""
    state = ResumeFile("ws://memory/rooms", user, "")
    client = rooms_client(cable, state, user, **options)
    try:
        async with client:
            made = Terminal(TerminalRooms(client, Screen(), state, rooms), client, capsys)
            try:
                await made.rooms.begin()
                yield made
            finally:
                await client.close()
                await asyncio.gather(made.listening, return_exceptions=True)
    finally:
        state.close()
