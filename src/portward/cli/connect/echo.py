"""The echo protocol: typed lines are sent unchanged, and the answers are shown."""

import asyncio
from typing import Final

from portward.cli.connect.keyboard import Keyboard
from portward.cli.connect.screen import Screen
from portward.cli.errors import CommandRefused
from portward.client.link import Link, LinkClosed

_LAST_WORDS: Final = 5.0


class EchoConversation:
    """One connection without reconnects: it tests whether a connection is possible."""

    def __init__(self, link: Link, screen: Screen) -> None:
        self._link = link
        self._screen = screen
        self._due = 0
        self._settled = asyncio.Event()
        self._settled.set()

    async def listen(self) -> None:
        """Show messages until the connection is closed.

        Raises:
            CommandRefused: the gateway closed the connection.
        """
        try:
            while True:
                self._screen.plain(await self._link.receive())
                self._due -= 1
                if self._due <= 0:
                    self._settled.set()
        except LinkClosed as closed:
            code = f" ({closed.code})" if closed.code is not None else ""
            raise CommandRefused(
                f"the connection is over: {closed.reason or 'closed'}{code}"
            ) from None

    async def type(self, keyboard: Keyboard) -> None:
        """Send the typed lines."""
        while (line := await keyboard.line()) is not None:
            self._due += 1
            self._settled.clear()
            try:
                await self._link.send(line)
            except LinkClosed:
                return  # `listen` reports how the connection ended

    async def leave(self) -> None:
        """Wait for the last answers, and close."""
        try:
            async with asyncio.timeout(_LAST_WORDS):
                await self._settled.wait()
        except TimeoutError:
            self._screen.bad(f"{self._due} lines did not come back")
        await self._link.close()
