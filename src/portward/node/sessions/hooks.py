"""The application's hooks, run in tasks of their own, so that they can use everything in asyncio."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from portward.engines.port import PublishResult
from portward.model.channel import Channel
from portward.model.commands import Publish
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind
from portward.node.sessions.connection_handle import ConnectionHandle
from portward.node.sessions.context import NodeContext
from portward.node.sessions.session import Session


class ConnectionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A connection as hooks, the library and the admin API get it. The address is masked."""

    id: str
    endpoint: str
    user: str | None
    address: str
    opened_at: float
    channels: tuple[Channel, ...] = ()


class MessageInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A publication requested by a client, before it is stored."""

    connection: ConnectionInfo
    channel: Channel
    data: Any


@dataclass(slots=True)
class Hooks:
    """Callables of the application. A connect or message hook rejects by returning False.

    Hooks run in their own tasks. When a hook raises, the error is recorded and counts as False: what it
    was to decide is rejected.
    """

    connect: list[Callable[[ConnectionInfo], Awaitable[bool | None]]] = field(default_factory=list)
    disconnect: list[Callable[[ConnectionInfo, str], Awaitable[None]]] = field(default_factory=list)
    message: list[Callable[[MessageInfo], Awaitable[bool | None]]] = field(default_factory=list)
    opened: dict[str, list[Callable[[ConnectionInfo], Awaitable[None]]]] = field(
        default_factory=dict
    )
    """By namespace: called for every connection that is fully admitted."""
    left: dict[str, list[Callable[[ConnectionInfo, str], Awaitable[None]]]] = field(
        default_factory=dict
    )
    """By namespace: called as the disconnect hooks."""
    published: dict[str, list[Callable[[Publish, PublishResult, int], Awaitable[None]]]] = field(
        default_factory=dict
    )
    """By namespace: called for every publication of the backend, from the library or the admin API, with
    the time in Unix milliseconds."""
    handlers: dict[tuple[str, str], Any] = field(default_factory=dict)
    """Handlers that one protocol defines, by kind and namespace."""
    listeners: dict[str, list[Callable[..., None]]] = field(default_factory=dict)
    """Called at events that one protocol defines, by the name of the event."""
    closed: dict[str, Callable[["ConnectionHandle", str], Awaitable[None]]] = field(
        default_factory=dict
    )
    """By namespace: called when a connection is closed, with the name of the disconnect."""


def describe(session: Session) -> ConnectionInfo:
    """Return the public facts of a connection."""
    return ConnectionInfo(
        id=session.id,
        endpoint=session.endpoint.name,
        user=session.user,
        address=session.address,
        opened_at=session.opened_at,
        channels=tuple(session.subscriptions),
    )


def _namespace(session: Session) -> str:
    namespace = session.endpoint.namespace
    return namespace.name if namespace is not None else ""


async def _awaited(answer: Awaitable[Any]) -> Any:
    """Await any awaitable in a coroutine, which can run as a Task."""
    return await answer


async def _called(handler: Callable[..., Any], *arguments: Any) -> Any:
    """Call a plain or a coroutine function and return its result."""
    answer = handler(*arguments)
    return await answer if inspect.isawaitable(answer) else answer


class HookRunner:
    """Calls the application's hooks and handlers for the node."""

    def __init__(self, context: NodeContext, hooks: Hooks) -> None:
        self._hooks = hooks
        self._background = context.background
        self._clock = context.clock
        self.failed = context.telemetry.failure
        self.on_message = hooks.message
        """The hooks that are asked about a message before it is stored."""
        self.on_connect = hooks.connect
        """The hooks that are asked about a connection that was authenticated."""
        self._running: dict[Session, asyncio.Future[Any]] = {}

    async def connect(self, session: Session) -> bool:
        """Call every connect hook; return False when one of them refuses."""
        info = describe(session)
        answers = [await self._ask(hook, info) for hook in self._hooks.connect]
        return False not in answers

    async def message(self, session: Session, channel: Channel, data: Any) -> None:
        """Call the message hooks in order, up to the first that refuses.

        Raises:
            CommandError: `PERMISSION_DENIED`, one of them refuses.
        """
        info = MessageInfo(connection=describe(session), channel=channel, data=data)
        for hook in self._hooks.message:
            if await self._ask(hook, info) is False:
                raise CommandError(ErrorKind.PERMISSION_DENIED)

    def opened(self, session: Session) -> None:
        """Call the hooks for opened connections, in the background."""
        for hook in self._hooks.opened.get(_namespace(session), ()):
            self._background.run(self._ask(hook, describe(session)))

    def published(self, command: Publish, stored: PublishResult) -> None:
        """Call the hooks for a publication of the backend in the background, unless it is a duplicate."""
        if not stored.duplicate:
            for hook in self._hooks.published.get(command.channel.namespace, ()):
                now = int(self._clock.time() * 1000)
                self._background.run(self._ask(hook, command, stored, now))

    async def run(self, session: Session, handler: Callable[..., Any], *arguments: Any) -> Any:
        """Run a handler for one connection and return its result; cancel it when the connection ends.

        Raises:
            Exception: any error of the handler.
        """
        work = asyncio.ensure_future(_called(handler, *arguments))
        self._running[session] = work
        try:
            return await work
        finally:
            self._running.pop(session, None)

    async def call(self, handler: Callable[..., Any], *arguments: Any) -> None:
        """Call a handler without a result; record its error."""
        try:
            await asyncio.ensure_future(_called(handler, *arguments))
        except Exception as error:  # noqa: BLE001 - the application's code may raise anything
            self.failed(error)

    def handler(self, kind: str, session: Session) -> Any:
        """Return the handler of a kind for the namespace of a session; None when there is none."""
        return self._hooks.handlers.get((kind, _namespace(session)))

    def notify(self, event: str, *arguments: Any) -> None:
        """Call the listeners of an event of a protocol."""
        for listener in self._hooks.listeners.get(event, ()):
            listener(*arguments)

    def disconnected(self, session: Session, ending: Disconnect) -> None:
        """Call the disconnect hooks in the background and cancel the session's running handler."""
        work = self._running.get(session)
        if (
            work is not None and work is not asyncio.current_task()
        ):  # a handler that closes its own connection may finish
            work.cancel()
        namespace = _namespace(session)
        for hook in (*self._hooks.disconnect, *self._hooks.left.get(namespace, ())):
            self._background.run(self._ask(hook, describe(session), ending.name.lower()))
        closed = self._hooks.closed.get(namespace)
        if closed is not None:
            handle = ConnectionHandle(session)
            self._background.run(self._ask(closed, handle, ending.name.lower()))

    async def _ask(self, hook: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        try:
            return await asyncio.ensure_future(_awaited(hook(*arguments)))
        except Exception as error:  # noqa: BLE001 - the application's code may raise anything
            self.failed(error)
            return False
