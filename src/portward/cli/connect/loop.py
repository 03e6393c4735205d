"""The loop of `portward connect`: typed lines go to the protocol, messages of the gateway to the screen."""

import asyncio
import signal
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Any, Final

from portward.cli.connect.keyboard import Keyboard
from portward.cli.connect.screen import Screen
from portward.cli.terminal import CommandRefused
from portward.client import ClientError
from portward.client.transport import TransportClosed

_LAST_ANSWERS: Final = 5.0
"""Seconds to wait for the last answers, and again for leaving, before the connection is closed anyway."""
_ENDED: Final = (ClientError, TransportClosed)


class TerminalProtocol(ABC):
    """One connection in one protocol. `failed` is whether something that the user asked for was refused."""

    quiet: float | None = None
    """Seconds without a message after which no answer is expected any more; None for no such limit."""

    def __init__(self, screen: Screen) -> None:
        self.failed = False
        self.screen = screen

    async def begin(self) -> None:  # noqa: B027 - optional
        """Send what the command line asks for, before the first line is read."""

    @abstractmethod
    async def receive(self) -> Any:
        """Wait for a message; returns None when there will be no more.

        Raises:
            ClientError, TransportClosed: the connection has ended.
        """

    @abstractmethod
    async def show(self, message: Any) -> None:
        """Show a received message, and answer it where the protocol demands an answer."""

    @abstractmethod
    async def send(self, line: str) -> bool:
        """Send a typed line; returns False when the line ends the conversation."""

    @property
    def waiting(self) -> bool:
        """Whether an answer to a sent line is still to come."""
        return False

    async def leave(self) -> None:  # noqa: B027 - optional
        """Send what the protocol sends before a close."""

    @abstractmethod
    async def close(self) -> None:
        """Close the connection."""

    def refuse(self, text: str) -> None:
        """Show an error in what was typed."""
        self.failed = True
        self.screen.bad(text)


async def run(protocol: TerminalProtocol, keyboard: Keyboard) -> None:
    """Run both directions; close when the input ends or Ctrl-C is pressed.

    A second Ctrl-C is a KeyboardInterrupt.

    Raises:
        ClientError, CommandRefused: the connection has ended for another reason.
    """
    loop = asyncio.get_running_loop()
    interrupted, shown = asyncio.Event(), asyncio.Event()
    loop.add_signal_handler(signal.SIGINT, interrupted.set)
    listening = asyncio.create_task(_listen(protocol, shown))
    typing = asyncio.create_task(_type(protocol, keyboard))
    stopping = asyncio.create_task(interrupted.wait())
    try:
        await asyncio.wait({listening, typing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        loop.remove_signal_handler(signal.SIGINT)
        if listening.done():
            listening.result()
            return
        if typing.done():
            typing.result()
        typing.cancel()
        await _finish(protocol, shown)
        await asyncio.wait({listening})
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        for task in (listening, typing, stopping):
            task.cancel()
        await asyncio.gather(listening, typing, stopping, return_exceptions=True)


async def _listen(protocol: TerminalProtocol, shown: asyncio.Event) -> None:
    try:
        while (message := await protocol.receive()) is not None:
            await protocol.show(message)
            shown.set()
    except TransportClosed as closed:
        raise CommandRefused(ending(closed.reason or "closed", closed.code)) from None


async def _type(protocol: TerminalProtocol, keyboard: Keyboard) -> None:
    with suppress(*_ENDED):  # `_listen` reports how the connection ended
        await protocol.begin()
        while (line := await keyboard.line()) is not None:
            if not await protocol.send(line):
                return


async def _finish(protocol: TerminalProtocol, shown: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_ANSWERS):
            while protocol.waiting:
                shown.clear()
                await asyncio.wait_for(shown.wait(), protocol.quiet)
    with suppress(TimeoutError, *_ENDED):
        async with asyncio.timeout(_LAST_ANSWERS):
            await protocol.leave()
    await protocol.close()


def ending(reason: str, code: int | None) -> str:
    """Return the text for the end of a connection."""
    return f"the connection is over: {reason}{f' ({code})' if code is not None else ''}"
