"""A terminal client for the rooms protocol: arriving messages are shown, typed lines are sent."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from portward.cli.connect import words
from portward.cli.connect.keyboard import Keyboard
from portward.cli.connect.memory import Memory
from portward.cli.connect.screen import Screen
from portward.cli.connect.words import Word
from portward.client import events
from portward.client.errors import ClientError, RequestRefused
from portward.client.events import Event
from portward.client.rooms_client import RoomsClient
from portward.model.position import Position

T = TypeVar("T")

_PATIENCE: Final = 5
"""How often a request that a limit refused is tried again."""
_LAST_WORDS: Final = 5.0
"""Seconds for leaving the rooms, before the connection is closed anyway."""
_HISTORY: Final = 20
_LONGEST_HISTORY: Final = 100


class Talk:
    """One user at a terminal, in the rooms of one endpoint.

    `failed` is whether a typed line or a requested room was refused.
    """

    def __init__(self, client: RoomsClient, screen: Screen, memory: Memory) -> None:
        self.failed = False
        self.current = memory.kept.current
        self._client = client
        self._screen = screen
        self._memory = memory
        self._shown: dict[str, Position | None] = dict(memory.kept.rooms)
        self._said: dict[str, int] = {}
        self._progress = asyncio.Event()
        self._typed: dict[str, Callable[[str], Awaitable[None]]] = {
            "say": self._say,
            "join": self._join,
            "leave": self._leave,
            "who": self._who,
            "history": self._history,
            "raw": self._raw,
            "help": self._help,
        }

    # -- receiving

    async def listen(self) -> None:
        """Show events until there are no more.

        Raises:
            ClientError: the client has ended for another reason than `leave`.
        """
        async for event in self._client:
            self._screen.show(event)
            self._note(event)

    def _note(self, event: Event) -> None:
        """Store the state after an event was shown: a kill in between repeats a line instead of losing it."""
        if isinstance(event, events.Message):
            self._shown[event.room] = event.position
        elif isinstance(event, events.Joined):
            self._entered(event)
        elif isinstance(event, events.Left | events.JoinFailed):
            self.failed |= isinstance(event, events.JoinFailed)
            self._shown.pop(event.room, None)
            if self.current == event.room:
                self.current = next(iter(self._shown), None)
        self._keep()
        self._progress.set()

    def _entered(self, event: events.Joined) -> None:
        if not event.recovered:
            self._shown[event.room] = event.position
        if self.current is None:
            self.current = event.room

    def _keep(self) -> None:
        kept = replace(
            self._memory.kept,
            session=self._client.session,
            rooms=dict(self._shown),
            current=self.current,
        )
        try:
            self._memory.keep(kept)
        except OSError as error:
            self._memory.mine = False
            self._screen.bad(f"nothing is kept from here on: {error.strerror}")

    # -- sending

    async def begin(self, rooms: list[str]) -> None:
        """Join the requested rooms in which the user is not already."""
        for room in rooms:
            if room not in self._shown and await self._enter(room):
                # The event about it may not have been shown yet, and the typed lines come next.
                self.current = self.current or room

    async def type(self, keyboard: Keyboard) -> None:
        """Carry out the typed lines, until the input ends or `/quit`."""
        while (line := await keyboard.line()) is not None:
            try:
                word = words.parse(line)
            except ValueError as error:
                self._wrong(str(error))
                continue
            if word is None:
                continue
            if word.name == "quit":
                return
            await self._do(word)

    async def _do(self, word: Word) -> None:
        await self._typed[word.name](word.rest)

    async def _try(self, what: str, ask: Callable[[], Awaitable[T]]) -> T | None:
        """Send a request; repeat it when a limit refuses it; show a final refusal."""
        for attempt in count():
            try:
                return await ask()
            except RequestRefused as refused:
                if refused.retry_after is None or attempt == _PATIENCE:
                    self.failed = True
                    self._screen.refused(f"not done: {what}", refused)
                    break
                self._screen.note(f"{refused.text}: {what}, again in {refused.retry_after:.1f} s")
                await asyncio.sleep(refused.retry_after)
            except ClientError as error:
                self._wrong(f"not done, or not known: {what}: {error}")
                break
        return None

    def _wrong(self, text: str) -> None:
        self.failed = True
        self._screen.bad(text)

    def _room(self) -> str | None:
        if self.current is None:
            self._wrong("there is no current room; enter one with /join ROOM")
        return self.current

    async def _say(self, text: str) -> None:
        room = self._room()
        if room is not None:
            stored = await self._try("say", lambda: self._client.say(room, text))
            if stored is not None:
                self._said[room] = stored.position.offset

    async def _join(self, room: str) -> None:
        if room in self._shown or await self._enter(room):
            self.current = room
            self._keep()

    async def _enter(self, room: str) -> bool:
        return await self._try(f"join {room}", lambda: self._client.join(room)) is not None

    async def _leave(self, room: str) -> None:
        chosen = room or self._room()
        if chosen is not None:
            await self._try(f"leave {chosen}", lambda: self._client.leave(chosen))

    async def _who(self, _: str) -> None:
        room = self._room()
        if room is not None:
            people = await self._try("who", lambda: self._client.presence(room))
            if people is not None:
                self._screen.people(room, people)

    async def _history(self, number: str) -> None:
        room = self._room()
        if room is None:
            return
        if number and not (number.isdecimal() and 0 < int(number) <= _LONGEST_HISTORY):
            self._wrong(f"/history takes a number from 1 to {_LONGEST_HISTORY}")
            return
        limit = int(number or _HISTORY)
        page = await self._try("history", lambda: self._client.history(room, limit))
        if page is not None:
            self._screen.note(f"history of {room}, {len(page.messages)} messages")
            for message in page.messages:
                self._screen.message(message)

    async def _raw(self, text: str) -> None:
        try:
            message: Any = json.loads(text)
        except ValueError as error:
            self._wrong(f"not JSON: {error}")
            return
        if isinstance(message, dict):
            message.setdefault("timestamp", int(time.time() * 1000))
        await self._try("raw", lambda: self._client.send_text(json.dumps(message)))

    async def _help(self, _: str) -> None:
        for command, what in words.HELP:
            self._screen.note(f"{command:<14} {what}")

    # -- closing

    async def leave(self) -> None:
        """Wait for the own messages, leave every room, and delete the state."""
        try:
            async with asyncio.timeout(_LAST_WORDS):
                await self._all_shown()
                if self._client.connected:
                    for room in list(self._shown):
                        await self._client.leave(room)
        except (TimeoutError, ClientError):
            pass  # the connection is closed in any case
        await self._client.close()
        self._memory.forget()

    async def _all_shown(self) -> None:
        while self._client.connected and any(self._missing(room) for room in self._said):
            self._progress.clear()
            await self._progress.wait()

    def _missing(self, room: str) -> bool:
        place = self._shown.get(room)
        return place is not None and place.offset < self._said[room]
