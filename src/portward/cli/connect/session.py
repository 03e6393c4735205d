"""Runs a conversation until the input ends, Ctrl-C is pressed, or the gateway closes."""

import asyncio
import signal
from typing import Protocol

from portward.cli.connect.keyboard import Keyboard


class Conversation(Protocol):
    """A conversation to run."""

    async def listen(self) -> None:
        """Show what arrives; raises when the connection has ended."""

    async def type(self, keyboard: Keyboard) -> None:
        """Send what is typed, until the input ends."""

    async def leave(self) -> None:
        """Close with a handshake; `listen` then returns, or raises that the connection has ended."""


async def converse(conversation: Conversation, keyboard: Keyboard) -> None:
    """Run both directions; close when the input ends or Ctrl-C is pressed.

    A second Ctrl-C is a KeyboardInterrupt.

    Raises:
        ClientError, CommandRefused: the gateway ended the conversation; see `listen`.
    """
    loop = asyncio.get_running_loop()
    interrupted = asyncio.Event()
    loop.add_signal_handler(signal.SIGINT, interrupted.set)
    listening = asyncio.create_task(conversation.listen())
    typing = asyncio.create_task(conversation.type(keyboard))
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
        await conversation.leave()
        await asyncio.wait({listening})
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        for task in (listening, typing, stopping):
            task.cancel()
        await asyncio.gather(listening, typing, stopping, return_exceptions=True)
