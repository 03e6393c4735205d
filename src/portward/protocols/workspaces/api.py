"""The application's interface to workspaces and Socket.IO."""

from collections.abc import Callable
from typing import Any, Final, TypeVar, overload

import msgspec

import portward.protocols.workspaces.payloads as payloads
from portward.model.approval import Approval
from portward.model.channel import Channel
from portward.model.commands import Publish
from portward.model.position import Position
from portward.node.node import Node
from portward.node.sessions import Hooks
from portward.protocols.socketio.attachments import pack
from portward.protocols.socketio.commands import channel_of
from portward.protocols.socketio.namespaces import NAMESPACES
from portward.protocols.socketio.packets import RESERVED, ROOT
from portward.protocols.socketio.server import Handler, NamespaceHandlers, Socket
from portward.protocols.workspaces.approvals import DEFAULT_LIFE
from portward.protocols.workspaces.events import WorkspaceEvents
from portward.protocols.workspaces.handlers import ACTION
from portward.protocols.workspaces.payloads import APPROVALS, ROOM
from portward.protocols.workspaces.service import WorkspacesService

BUILT_IN: Final = WorkspaceEvents("workspaces", ()).names
"""Events of the root namespace that the gateway handles itself."""


H = TypeVar("H", bound=Handler)


class SocketNamespace:
    """One Socket.IO namespace with its handlers, and a method to emit to everyone in it.

    A handler is called as `handler(socket, *arguments)`, and may be a coroutine function; its return value is
    the client's acknowledgement, a tuple for several arguments. Arguments are JSON values, with bytes at any
    place. Handlers for `connect` are called as `handler(socket, auth)` after the client is connected, and
    disconnect it by returning False; those for `disconnect` as `handler(socket, reason)`.
    """

    def __init__(
        self, node: Callable[[], Node], handlers: NamespaceHandlers, family: str, nsp: str
    ) -> None:
        self._node = node
        self._handlers = handlers
        self._family = family
        self.name = nsp

    def __repr__(self) -> str:
        return f"SocketNamespace({self.name!r})"

    @overload
    def on(self, event: str) -> Callable[[H], H]: ...

    @overload
    def on(self, event: str, handler: H) -> H: ...

    def on(self, event: str, handler: Handler | None = None) -> Any:
        """Call `handler` for an event; without `handler`, return a decorator. The last handler set counts.

        Raises:
            ValueError: clients cannot emit such an event, or the gateway handles it itself.
        """

        def register(handler: Handler) -> Handler:
            self._set(event, handler, None)
            return handler

        return register if handler is None else register(handler)

    def _set(self, event: str, handler: Handler, schema: type[msgspec.Struct] | None) -> None:
        if self.name == ROOT and event in BUILT_IN:
            raise ValueError(f"{event!r} is an event that the gateway answers itself")
        self._handlers.set(event, handler, schema)

    async def join(self, socket: Socket, room: str) -> None:
        """Add a client of this namespace to a room, until its connection closes.

        Raises:
            ValueError: this is the root namespace, the room is not valid, or the client belongs to another
                namespace.
            CommandError: the client has disconnected, or is in too many rooms.
        """
        if socket.nsp != self.name:
            raise ValueError(f"a client of {socket.nsp!r}")
        await socket.listen(channel_of(self._family, self.name, room))

    def leave(self, socket: Socket, room: str) -> None:
        """Remove a client from a room. Does nothing when it is not in the room."""
        socket.ignore(channel_of(self._family, self.name, room))

    async def emit(
        self, event: str, *arguments: Any, room: str | None = None, exclude: Socket | None = None
    ) -> Position:
        """Emit an event to everyone in this namespace, or in one of its rooms, on all nodes.

        Raises:
            ValueError: this is the root namespace, whose rooms are those of workspaces; the event is
                reserved; or the arguments cannot be sent.
            CommandError: the arguments are no JSON values (and bytes), or too large.
            EngineUnavailable: nothing was emitted; try again.
        """
        channel = channel_of(self._family, self.name, room)
        client = exclude.client if exclude is not None else None
        return await emit(self._node(), channel, event, list(arguments), client)


async def emit(
    node: Node, channel: Channel, event: str, data: Any, exclude: str | None = None
) -> Position:
    """Publish an event that Socket.IO clients receive."""
    if event in RESERVED or not event:
        raise ValueError(f"{event!r} is no name of an event")
    packed, attachments = pack(data)
    command = Publish(
        channel=channel, type=event, data=packed, attachments=attachments, exclude=exclude
    )
    return (await node.operations.publish(command)).position


class Workspaces:
    """`gateway.workspaces`: events of the application, rooms of workspaces, requests for approval."""

    def __init__(
        self, node: Callable[[], Node], hooks: Hooks, namespace: str = "workspaces"
    ) -> None:
        """`node` returns the node; it is called at each use: handlers are set before the gateway runs."""
        self._node = node
        self._hooks = hooks
        self._family = namespace

    # -- handlers

    def namespace(self, name: str = ROOT) -> SocketNamespace:
        """Return a Socket.IO namespace, which clients can use from now on.

        Raises:
            ValueError: the name does not begin with a slash, or is not valid.
        """
        if name != ROOT:
            channel_of(self._family, name)
        if not name.startswith("/") or "," in name:
            raise ValueError("a namespace begins with a slash, and has no comma")
        handlers = self._hooks.handlers.setdefault((NAMESPACES, self._family), {})
        return SocketNamespace(
            self._node, handlers.setdefault(name, NamespaceHandlers()), self._family, name
        )

    def event(self, name: str, schema: type[msgspec.Struct] | None = None) -> Callable[[H], H]:
        """Decorate the handler of an event of the root namespace.

        With a `schema` the client's single argument is converted to that type first, and the handler is
        called as `handler(socket, value)`. An invalid argument, or one with unknown fields, is answered with
        `VALIDATION_ERROR`.

        Raises:
            ValueError: clients cannot emit such an event, or the gateway handles it itself.
        """
        root = self.namespace(ROOT)

        def register(handler: H) -> H:
            root._set(name, handler, schema)  # noqa: SLF001 - both classes use the same table
            return handler

        return register

    def on_action(self, handler: H) -> H:
        """Call `handler(action)` for a user's action (:class:`ActionInfo`), before it is published.

        Its return value, any JSON value, is the `result` of the acknowledgement. Raising :class:`EventError`
        refuses the action: then nothing is published.
        """
        self._hooks.handlers[ACTION, self._family] = handler
        return handler

    # -- rooms

    def channel(self, room: str) -> Channel:
        """Return the channel of a room `workspace:{id}:{kind}`.

        Raises:
            ValueError: the room is not valid.
        """
        workspace, colon, kind = room.removeprefix(ROOM).partition(":")
        if not room.startswith(ROOM) or not colon:
            raise ValueError("a room is written workspace:{id}:{kind}")
        return payloads.channel(self._family, workspace, kind)

    async def emit(self, room: str, event: str, data: Any) -> Position:
        """Emit an event to a room, on all nodes: JSON values, with bytes at any place.

        Raises:
            ValueError: the room is not valid, the event is reserved, or the data cannot be sent.
            CommandError: the data is no JSON (and bytes), or too large.
            EngineUnavailable: nothing was emitted; try again.
        """
        return await emit(self._node(), self.channel(room), event, data)

    # -- approvals

    async def request_approval(
        self,
        workspace: str,
        title: str,
        data: Any = None,
        *,
        expires_in: float = DEFAULT_LIFE,
        id: str | None = None,  # noqa: A002 - the name in the protocol
    ) -> Approval:
        """Ask the members of a workspace for a decision, within `expires_in` seconds (at most 30 days).

        The request waits until it is decided or expires, also when no member is connected.

        Raises:
            ValueError: `workspace` is not valid.
            CommandError: the title or the data is too long, too many requests wait, or the id is taken.
            EngineUnavailable: try again with the same `id`.
        """
        channel = self.channel(f"{ROOM}{workspace}:{APPROVALS}")
        return await self._service().approvals.ask(channel, title, data, life=expires_in, id=id)

    async def approval(self, id: str) -> Approval | None:  # noqa: A002 - the name in the protocol
        """Return a request with its decision; None when it is unknown or was deleted after its end."""
        return await self._service().approvals.get(id)

    # -- clients

    def sockets(self, namespace: str = ROOT) -> list[Socket]:
        """Return every client of this process in a Socket.IO namespace."""
        return self._service().namespaces.present(self._family, namespace)

    def _service(self) -> WorkspacesService:
        return self._node().protocols.of(WorkspacesService)
