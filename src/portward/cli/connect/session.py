"""Runs a conversation to its end: the input is over, Ctrl-C, or the gateway wants no more."""

import asyncio
import signal
from typing import Protocol

from portward.cli.connect.keyboard import Keyboard


class Conversation(Protocol):
    """What is run."""

    async def listen(self) -> None:
        """Show what comes; raises when there will be no more."""

    async def type(self, keyboard: Keyboard) -> None:
        """Send what is typed, until there is no more."""

    async def leave(self) -> None:
        """Close politely; `listen` then returns, or raises that it is over."""


async def converse(conversation: Conversation, keyboard: Keyboard) -> None:
    """Let both directions run; leave when the input is over or Ctrl-C is pressed.

    A second Ctrl-C is a KeyboardInterrupt.

    Raises:
        ClientError, Refusal: the other side ended it; see `listen`.
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
