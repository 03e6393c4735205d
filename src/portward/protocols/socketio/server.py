"""The Socket.IO API of the application: handlers by namespace, and one client in one namespace."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import msgspec

from portward.model.channel import Channel
from portward.model.errors import CommandError, ErrorKind
from portward.node.sessions import ConnectionHandle, Session
from portward.protocols.socketio.commands import Emitted
from portward.protocols.socketio.packets import RESERVED, ROOT
from portward.security.policy import permits

MAX_WAITING: Final = 1000
"""Acknowledgements of one socket that may be pending."""
ACK_TIME: Final = 10.0

Handler = Callable[..., Any]


class EventError(Exception):
    """Raised by a handler to reject an event: the acknowledgement of the client is `{error, details?}`."""

    def __init__(self, code: str, details: Any = None) -> None:
        super().__init__(code)
        self.code = code
        self.details = details

    @property
    def answer(self) -> dict[str, Any]:
        """The acknowledgement for the client."""
        return {"error": self.code} | ({} if self.details is None else {"details": self.details})


@dataclass(frozen=True, slots=True)
class EventHandler:
    """The handler of one event; with a `schema` its one argument is converted to that type first."""

    handler: Handler
    schema: type[msgspec.Struct] | None = None


@dataclass(slots=True)
class NamespaceHandlers:
    """The handlers of the application for one Socket.IO namespace."""

    connect: Handler | None = None
    disconnect: Handler | None = None
    events: dict[str, EventHandler] = field(default_factory=dict)

    def set(self, event: str, handler: Handler, schema: type[msgspec.Struct] | None = None) -> None:
        """Set the handler of an event; a later call replaces it.

        Raises:
            ValueError: no client can emit an event of this name.
        """
        if event == "connect":
            self.connect = handler
        elif event == "disconnect":
            self.disconnect = handler
        elif event in RESERVED or not event:
            raise ValueError(f"{event!r} is no name of an event")
        else:
            self.events[event] = EventHandler(handler, schema)


class SocketRooms(Protocol):
    """Subscribes sockets to channels, and removes them from their namespaces."""

    async def join(self, session: Session, channel: Channel) -> None:
        """Subscribe the session to a channel."""

    def quit(self, session: Session, channel: Channel) -> None:
        """Unsubscribe the session from a channel."""

    def remove(self, session: Session, nsp: str) -> None:
        """Remove the client from a namespace, and inform it."""


class Socket:
    """One client in one Socket.IO namespace. Handlers get it, and may keep it while it is `open`."""

    __slots__ = ("_next", "_rooms", "_session", "_waiting", "nsp", "open", "sid", "user")

    def __init__(self, session: Session, nsp: str, rooms: "SocketRooms") -> None:
        self._session = session
        self._rooms = rooms
        self._next = 0
        self._waiting: dict[int, asyncio.Future[tuple[Any, ...]]] = {}
        self.nsp = nsp
        self.sid = secrets.token_urlsafe(15)
        self.open = True
        self.user = session.user

    def __repr__(self) -> str:
        return f"Socket({self.sid[:6]}…, {self.nsp!r})"

    @property
    def connection(self) -> ConnectionHandle:
        """Its connection, which the other namespaces of the client share."""
        return ConnectionHandle(self._session)

    @property
    def client(self) -> str:
        """The id of the connection, which :meth:`SocketNamespace.emit` may exclude."""
        return self._session.id

    @property
    def roles(self) -> frozenset[str]:
        """The current roles of the user: those of the token and of the directory."""
        identity = self._session.identity
        return identity.roles if identity is not None else frozenset()

    def may(self, permission: str) -> bool:
        """Return whether a current permission of the user covers this one, such as `reports.read`."""
        identity = self._session.identity
        return identity is not None and permits(identity.permissions, permission)

    @property
    def workspace(self) -> str | None:
        """The workspace of the verified token."""
        identity = self._session.identity
        return identity.workspace if identity is not None else None

    async def emit(self, event: str, *arguments: Any, volatile: bool = False) -> None:
        """Emit an event to this client: JSON values, with bytes anywhere in them.

        A `volatile` event is not sent while the client has not yet read earlier messages.

        Raises:
            RuntimeError: the client has left.
            TypeError: an argument has a type that JSON does not have.
            ValueError: the event is reserved, there are too many attachments, or an argument looks like a
                placeholder beside bytes.
        """
        if event in RESERVED:
            raise ValueError(f"{event!r} is reserved")
        if volatile and self._session.transport.unsent():
            return
        self._send(Emitted(nsp=self.nsp, event=event, arguments=arguments))

    async def call(self, event: str, *arguments: Any, timeout: float = ACK_TIME) -> tuple[Any, ...]:  # noqa: ASYNC109 - the application's own wish
        """Emit an event and wait for the acknowledgement of the client, at most `timeout` seconds.

        Raises:
            TimeoutError: it did not arrive.
            ConnectionError: the client left before it arrived.
            RuntimeError, TypeError, ValueError: as :meth:`emit`; or too many are pending.
        """
        if event in RESERVED:
            raise ValueError(f"{event!r} is reserved")
        if len(self._waiting) >= MAX_WAITING:
            raise RuntimeError("too many acknowledgements are waited for")
        number, self._next = self._next, self._next + 1
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._send(Emitted(nsp=self.nsp, event=event, arguments=arguments, ack=number))
            async with asyncio.timeout(timeout):
                answer: tuple[Any, ...] = await waiting
        finally:
            self._waiting.pop(number, None)
        return answer

    def _send(self, push: Emitted) -> None:
        if not self.open:
            raise RuntimeError("the client is gone")
        self._session.push(push)

    async def listen(self, channel: Channel) -> None:
        """Subscribe the client to a channel, regardless of its rights.

        Raises:
            CommandError: it has too many subscriptions, or has left.
        """
        if not self.open:
            raise CommandError(ErrorKind.NOT_AUTHENTICATED)
        await self._rooms.join(self._session, channel)

    def ignore(self, channel: Channel) -> None:
        """Unsubscribe the client from a channel."""
        if self.open:
            self._rooms.quit(self._session, channel)

    def disconnect(self) -> None:
        """Remove the client from this namespace; it does not return by itself. May be called repeatedly."""
        if self.open:
            self._rooms.remove(self._session, self.nsp)

    # -- callbacks of the connection

    def acknowledged(self, number: int, arguments: tuple[Any, ...]) -> None:
        """Handle an acknowledgement of the client; one that is not awaited is dropped."""
        waiting = self._waiting.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_result(arguments)

    def gone(self) -> None:
        """Mark the client as left, and end every wait for it."""
        self.open = False
        self.unanswered()

    def unanswered(self) -> None:
        """End every wait for an acknowledgement."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionResetError("the client is gone"))


__all__ = ["ROOT", "EventError", "EventHandler", "NamespaceHandlers", "Socket"]
