"""The events of the older `RoomsClient`, made from the messages of its rooms."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

import portward.client.decode as decode
import portward.client.events as events
from portward.client.codec import Incoming
from portward.client.endpoint import EndpointOptions
from portward.client.errors import (
    ClientError,
    ClosedError,
    ConnectionLost,
    Ended,
    RequestRefused,
    StoppedError,
)
from portward.client.events import Event
from portward.client.options import StateChange
from portward.client.requests import RequestConnection
from portward.client.room import Room
from portward.client.rooms import RoomClient
from portward.model.position import Position

_SECOND = 1000
_NOTICES = frozenset({"token_expiring", "shutdown", "closing"})


class Inbox:
    """A queue of events whose writer waits while it is full, unless an answer is waited for.

    So an application that iterates slowly slows the gateway down, and one that sends a request before it
    iterates still receives the answer.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._events: deque[Event] = deque()
        self._urgent = 0
        self._over = False
        self._error: Exception | None = None
        self._filled = asyncio.Event()
        self._open = asyncio.Event()
        self._open.set()

    @property
    def open(self) -> bool:
        """Whether more may be read."""
        return self._open.is_set()

    def put(self, event: Event) -> None:
        """Add an event."""
        self._events.append(event)
        self._update()

    async def get(self) -> Event | None:
        """Take the next event; None when there will be no more.

        Raises:
            ClientError: there will be no more, for this reason.
        """
        while not self._events:
            if self._error is not None:
                raise self._error
            if self._over:
                return None
            self._filled.clear()
            await self._filled.wait()
        event = self._events.popleft()
        self._update()
        return event

    async def wait_open(self) -> None:
        """Wait until more may be read."""
        await self._open.wait()

    @contextmanager
    def unbounded(self) -> Iterator[None]:
        """Do not limit the queue while an answer is waited for."""
        self._urgent += 1
        self._update()
        try:
            yield
        finally:
            self._urgent -= 1
            self._update()

    def end(self, error: Exception | None) -> None:
        """End the iteration after the waiting events, with an error or without."""
        if not self._over:
            self._over, self._error = True, error
        self._update()

    def _update(self) -> None:
        if self._events or self._over:
            self._filled.set()
        if self._urgent or self._over or len(self._events) < self._bound:
            self._open.set()
        else:
            self._open.clear()


class EventRooms(RoomClient):
    """Rooms whose events go, in order, into one inbox."""

    def __init__(
        self,
        options: EndpointOptions,
        inbox: Inbox,
        rooms: Mapping[str, Position | None],
        *,
        session_token: str | None,
        raw: bool,
    ) -> None:
        super().__init__(options, session_token)
        self.answers: dict[str, decode.RoomJoined] = {}
        """The last answer to a join, by room."""
        self._inbox = inbox
        self._raw = raw
        self._asking: set[str] = set()
        self._seen: set[str] = set()
        self._translated: dict[str, Callable[[dict[str, Any]], events.Event]] = {
            "auth_success": _connected,
            "refresh_success": lambda data: events.TokenRefreshed(
                expires_at=_seconds(msgspec.convert(data, decode.RefreshSuccess).expires_at)
            ),
            "token_expiring": lambda data: events.TokenExpiring(
                expires_at=msgspec.convert(data, decode.TokenExpiry).expires_at / _SECOND
            ),
            "shutdown": lambda data: events.ShuttingDown(
                retry_in=msgspec.convert(data, decode.ShutdownNotice).retry_ms / _SECOND
            ),
        }
        for room, position in rooms.items():
            one = self.room_with_events(room)
            one.tracker.position = position
            one.state = "joining"
            self._wanted[room] = one

    # -- for RoomsClient

    @property
    def positions(self) -> dict[str, Position]:
        """The rooms that are joined, and the last place received in each."""
        return {
            name: room.position for name, room in self._wanted.items() if room.position is not None
        }

    def room_with_events(self, name: str) -> Room:
        """A room whose events go into the inbox."""
        room = self.room(name)
        if name not in self._seen:
            self._seen.add(name)
            for event in ("joined", "message", "user_joined", "user_left", "typing", "left"):
                room.on(event, self._inbox.put)
        return room

    async def enter(self, name: str, since: Position | None) -> decode.RoomJoined:
        """Join a room; with `since`, also receive what came after it."""
        room = self.room_with_events(name)
        if since is not None:
            room.tracker.position = since
        self._asking.add(name)
        try:
            if room.state == "in":
                asked = {"roomId": name} | ({} if since is None else {"since": since})
                await self.ask("join", asked)
            else:
                await room.join()
        finally:
            self._asking.discard(name)
        return self.answers[name]

    def usable_error(self, error: ClientError) -> ClientError:
        """Return an error in the form of RoomsClient."""
        if isinstance(error, StoppedError):
            return Ended(error.close_code, error.reason)
        if isinstance(error, ClosedError):
            return ConnectionLost("the client was closed")
        return error

    def final_error(self, error: ClientError) -> ClientError:
        """Return the error for the end of the client in the form of RoomsClient."""
        if isinstance(error, ConnectionLost):
            return Ended(error.close_code, str(error))
        return self.usable_error(error)

    # -- for the connection

    @property
    def blocked(self) -> bool:
        """Whether too many events wait to be iterated."""
        return not self._inbox.open

    async def before_read(self) -> None:
        """Read on once there is room for events."""
        await self._inbox.wait_open()

    async def open(self, connection: RequestConnection) -> None:
        """Authenticate and join, however many events wait."""
        with self._inbox.unbounded():
            await super().open(connection)
            if self.user is None:
                self._inbox.put(events.Connected())

    def observe(self, incoming: Incoming, answer: bool) -> None:
        """Make the events that belong to no room."""
        if self._raw and isinstance(incoming.payload, str):
            self._inbox.put(events.Raw(text=incoming.payload))
        translate = self._translated.get(incoming.kind)
        if translate is not None:
            self._inbox.put(translate(incoming.data))
        elif not answer and incoming.kind not in self._handlers.keys() | _NOTICES:
            self._inbox.put(events.Other(type=incoming.kind, data=incoming.data))

    def refresh_failed(self, error: ClientError) -> None:
        """A newer token was not accepted; it is tried again."""
        self._inbox.put(events.Other(type="refresh_failed", data={"message": str(error)}))

    def _state_changed(self, change: StateChange) -> None:
        super()._state_changed(change)
        error = change.error
        if change.state == "waiting" and error is not None:
            code = error.close_code if isinstance(error, ConnectionLost) else None
            self._inbox.put(
                events.Disconnected(code=code, reason=str(error), retry_in=change.retry_in or 0.0)
            )
        elif change.state == "stopped" and error is not None:
            self._inbox.end(self.final_error(error))
        elif change.state == "closed":
            self._inbox.end(None)

    def stopped(self, error: ClientError) -> None:
        """There is one event for the end, not one for each room."""
        wanted = dict(self._wanted)
        for room in wanted.values():
            room.interrupted()
            room.entry_failed(error)

    def _refused(self, connection: RequestConnection, room: Room, error: RequestRefused) -> None:
        if room.id in self._asking:
            self._wanted.pop(room.id, None)
            room.entry_failed(error)
            room.forget()
            room.state = "out"
        elif error.temporary:
            super()._refused(connection, room, error)
        else:
            self._wanted.pop(room.id, None)
            room.forget()
            room.state = "out"
            self._inbox.put(events.JoinFailed(room=room.id, code=error.code, text=error.text))

    def _room_joined(self, said: decode.RoomJoined) -> None:
        self.answers[said.room_id] = said
        super()._room_joined(said)

    def _room_left(self, said: decode.RoomLeft) -> None:
        room = self._wanted.get(said.room_id)
        if room is not None and said.reason is None:
            self._wanted.pop(said.room_id)
            room.out(None)
        else:
            super()._room_left(said)


def _connected(data: dict[str, Any]) -> events.Event:
    said = msgspec.convert(data, decode.AuthSuccess)
    return events.Connected(
        user=said.user.user_id, resumed=said.resumed, expires_at=_seconds(said.expires_at)
    )


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / _SECOND
