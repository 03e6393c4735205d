"""The rooms protocol at the terminal: a text for the current room, or a command after a slash."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from portward.cli.connect.loop import TerminalProtocol
from portward.cli.connect.options import ConnectOptions
from portward.cli.connect.resume_state import ResumeFile
from portward.cli.connect.screen import Screen
from portward.cli.state import state_folder
from portward.cli.terminal import CommandRefused
from portward.client import events
from portward.client.errors import ClientError, RequestRefused
from portward.client.events import Event
from portward.client.rooms_client import RoomsClient
from portward.model.position import Position

T = TypeVar("T")

HELP: Final = (
    ("text", "send it to the current room; //text sends /text"),
    ("/join ROOM", "enter a room, or go back to it: it is the current one then"),
    ("/leave [ROOM]", "leave a room, by default the current one"),
    ("/who", "the users in the current room"),
    ("/history [N]", "the last N messages of the current room, by default 20"),
    ("/raw {json}", "send a message as it is"),
    ("/help", "this list"),
    ("/quit", "leave every room, and end"),
)
_NEEDED: Final = frozenset({"join", "raw"})
"""Commands that need an argument."""
_ATTEMPTS: Final = 5
"""How often a request that a limit refused is tried again."""
_HISTORY: Final = 20
_LONGEST_HISTORY: Final = 100


class TerminalRooms(TerminalProtocol):
    """One user at a terminal, in the rooms of one endpoint."""

    def __init__(
        self, client: RoomsClient, screen: Screen, state: ResumeFile, rooms: tuple[str, ...] = ()
    ) -> None:
        super().__init__(screen)
        self.current = state.kept.current
        self._client = client
        self._state = state
        self._rooms = rooms
        self._events = aiter(client)
        self._shown: dict[str, Position | None] = dict(state.kept.rooms)
        self._sent: dict[str, int] = {}
        self._commands: dict[str, Callable[[str], Awaitable[None]]] = {
            "join": self._join,
            "leave": self._leave,
            "who": self._who,
            "history": self._history,
            "raw": self._raw,
            "help": self._help,
        }

    # -- receiving

    async def receive(self) -> Event | None:
        """Wait for an event."""
        return await anext(self._events, None)

    async def show(self, message: Event) -> None:
        """Show an event, then store the state: a kill in between repeats a line instead of losing it."""
        self.screen.show(message)
        if isinstance(message, events.Message):
            self._shown[message.room] = message.position
        elif isinstance(message, events.Joined):
            if not message.recovered:
                self._shown[message.room] = message.position
            self.current = self.current or message.room
        elif isinstance(message, events.Left | events.JoinFailed):
            self.failed |= isinstance(message, events.JoinFailed)
            self._shown.pop(message.room, None)
            if self.current == message.room:
                self.current = next(iter(self._shown), None)
        self._store()

    def _store(self) -> None:
        rooms = dict(self._shown)
        state = replace(
            self._state.kept, session=self._client.session, rooms=rooms, current=self.current
        )
        try:
            self._state.keep(state)
        except OSError as error:
            self._state.mine = False
            self.screen.bad(f"nothing is kept from here on: {error.strerror}")

    # -- sending

    async def begin(self) -> None:
        """Join the rooms of the command line in which the user is not already."""
        for room in self._rooms:
            if room not in self._shown and await self._enter(room):
                # The event about it may not have been shown yet, and the typed lines come next.
                self.current = self.current or room

    async def send(self, line: str) -> bool:
        """Carry out a typed line; returns False for `/quit`."""
        line = line.strip()
        name, _, rest = line[1:].partition(" ")
        if not line.startswith("/") or line.startswith("//"):
            if line:
                await self._say(line.removeprefix("/"))
        elif name == "quit":
            return False
        elif name not in self._commands:
            self.refuse(f"there is no command /{name}; /help lists them")
        elif name in _NEEDED and not rest.strip():
            self.refuse(f"/{name} needs something after it; /help says what")
        else:
            await self._commands[name](rest.strip())
        return True

    async def _try(self, what: str, request: Callable[[], Awaitable[T]]) -> T | None:
        """Send a request; repeat it when a limit refuses it; show a final refusal."""
        for attempt in count():
            try:
                return await request()
            except RequestRefused as refused:
                if refused.retry_after is None or attempt == _ATTEMPTS:
                    self.refuse(f"not done: {what}: {refused.text} ({refused.code})")
                    break
                self.screen.note(f"{refused.text}: {what}, again in {refused.retry_after:.1f} s")
                await asyncio.sleep(refused.retry_after)
            except ClientError as error:
                self.refuse(f"not done, or not known: {what}: {error}")
                break
        return None

    async def _say(self, text: str) -> None:
        if room := self._room():
            stored = await self._try("say", lambda: self._client.say(room, text))
            if stored is not None:
                self._sent[room] = stored.position.offset

    async def _join(self, room: str) -> None:
        if room in self._shown or await self._enter(room):
            self.current = room
            self._store()

    async def _enter(self, room: str) -> bool:
        return await self._try(f"join {room}", lambda: self._client.join(room)) is not None

    async def _leave(self, room: str) -> None:
        if chosen := room or self._room():
            await self._try(f"leave {chosen}", lambda: self._client.leave(chosen))

    async def _who(self, _: str) -> None:
        if room := self._room():
            people = await self._try("who", lambda: self._client.presence(room))
            if people is not None:
                self.screen.people(room, people)

    async def _history(self, number: str) -> None:
        if not (room := self._room()):
            return
        limit = int(number or _HISTORY) if number.isdecimal() or not number else 0
        if not 0 < limit <= _LONGEST_HISTORY:
            self.refuse(f"/history takes a number from 1 to {_LONGEST_HISTORY}")
        elif page := await self._try("history", lambda: self._client.history(room, limit)):
            self.screen.note(f"history of {room}, {len(page.messages)} messages")
            for message in page.messages:
                self.screen.message(message)

    def _room(self) -> str | None:
        if self.current is None:
            self.refuse("there is no current room; enter one with /join ROOM")
        return self.current

    async def _raw(self, text: str) -> None:
        try:
            message: Any = json.loads(text)
        except ValueError as error:
            self.refuse(f"not JSON: {error}")
            return
        if isinstance(message, dict):
            message.setdefault("timestamp", int(time.time() * 1000))
        await self._try("raw", lambda: self._client.send_text(json.dumps(message)))

    async def _help(self, _: str) -> None:
        for command, what in HELP:
            self.screen.note(f"{command:<14} {what}")

    # -- closing

    @property
    def waiting(self) -> bool:
        """Whether an own message has not been shown yet."""
        places = ((self._shown.get(room), offset) for room, offset in self._sent.items())
        return self._client.connected and any(place and place.offset < to for place, to in places)

    async def leave(self) -> None:
        """Leave every room, and delete the state."""
        try:
            if self._client.connected:
                for room in list(self._shown):
                    await self._client.leave(room)
        finally:
            self._state.forget()

    async def close(self) -> None:
        """Close, and release the state for other clients."""
        await self._client.close()
        self._state.close()


async def open_rooms(options: ConnectOptions, screen: Screen) -> TerminalRooms:
    """Connect, with the stored session if there is one."""
    state = _state(options, screen)
    try:
        client = RoomsClient(
            options.url,
            token=options.token,
            session=state.kept.session,
            rooms=state.kept.rooms,
            raw=options.as_json,
            headers=options.handshake,
            tls=options.tls,
        )
        await client.__aenter__()
    except BaseException:
        state.close()
        raise
    return TerminalRooms(client, screen, state, options.subscribe)


def _state(options: ConnectOptions, screen: Screen) -> ResumeFile:
    try:
        state = ResumeFile(options.url, options.user, options.profile)
    except OSError as error:
        raise CommandRefused(
            f"cannot keep anything in {state_folder()}: {error.strerror}"
        ) from None
    if not state.mine:
        screen.note("another client of this user is running: nothing is kept; see --profile")
    if state.kept.credential != options.credential:
        # A session keeps the roles of the credential that it was opened with.
        state.kept = replace(state.kept, session=None, credential=options.credential)
    return state
