"""A conversation in a dialect of plain messages: they are shown as they come, and typed as they are.

For alerts, live and the relay. What is to be heard, and the proof of who one is where that goes in a
message, is said first.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from portward.cli.connect.keyboard import Keyboard
from portward.cli.connect.screen import Screen
from portward.cli.errors import Refusal, Usage
from portward.client.link import Link, LinkClosed

DIALECTS: Final = ("alerts", "live", "relay")
_QUIET: Final = 1.0
"""Seconds without a message after which the last answer has come."""
_LAST_WORDS: Final = 5.0


def opening(dialect: str, wanted: Sequence[str], token: str | None) -> list[str]:
    """What is said first: `wanted` are calls, or topics.

    Raises:
        Usage: the dialect has nothing to subscribe to.
    """
    said: list[dict[str, Any]] = []
    if dialect == "alerts" and wanted:
        said.append({"type": "subscribe", "callIds": list(wanted)})
    elif dialect == "live":
        said += [{"type": "subscribe", "topic": topic} for topic in wanted]
    elif dialect == "relay":
        if wanted:
            raise Usage("the relay has nothing to subscribe to")
        if token:
            said.append({"type": "authenticate", "token": token})
        said.append({"type": "connect_realtime"})
    return [json.dumps(each) for each in said]


def own_origin(url: str) -> str:
    """The gateway's own origin: cookies count only with one, and a page of the same site would have it."""
    parts = urlsplit(url)
    return f"{'https' if parts.scheme == 'wss' else 'http'}://{parts.netloc}"


class Plain:
    """One connection, without coming back."""

    def __init__(self, link: Link, screen: Screen, first: Sequence[str] = ()) -> None:
        self._link = link
        self._screen = screen
        self._first = first
        self._heard = asyncio.Event()

    async def listen(self) -> None:
        """Show what comes, until the connection is over.

        Raises:
            Refusal: the other side closed.
        """
        try:
            while True:
                self._screen.plain(await self._link.receive())
                self._heard.set()
        except LinkClosed as closed:
            code = f" ({closed.code})" if closed.code is not None else ""
            raise Refusal(f"the connection is over: {closed.reason or 'closed'}{code}") from None

    async def type(self, keyboard: Keyboard) -> None:
        """Say what is said first, then send line by line."""
        try:
            for message in self._first:
                await self._link.send(message)
            while (line := await keyboard.line()) is not None:
                if line.strip():
                    await self._link.send(line)
        except LinkClosed:
            return  # the listener says how it ended

    async def leave(self) -> None:
        """Hear the last answers, and close."""
        try:
            async with asyncio.timeout(_LAST_WORDS):
                while True:
                    self._heard.clear()
                    await asyncio.wait_for(self._heard.wait(), _QUIET)
        except TimeoutError:
            pass
        await self._link.close()
