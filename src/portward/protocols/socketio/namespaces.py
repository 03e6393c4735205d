"""Socket.IO namespaces: opening and closing them, and calls of the handlers of the application."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

import portward.protocols.socketio.codes as codes
import portward.protocols.socketio.packets as packets
from portward.model.channel import Channel
from portward.model.commands import Subscribe
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind, Unavailable
from portward.model.replies import Done, Reply
from portward.node.protocol_service import ProtocolContext
from portward.node.sessions import HookRunner, Session
from portward.protocols.socketio.commands import (
    Call,
    Called,
    CloseSocket,
    Opened,
    OpenSocket,
    channel_of,
    nsp_of,
)
from portward.protocols.socketio.connect import ConnectAuthentication
from portward.protocols.socketio.connection import SocketIoConnection, connection_of
from portward.protocols.socketio.packets import ROOT
from portward.protocols.socketio.server import (
    EventError,
    EventHandler,
    Handler,
    NamespaceHandlers,
    Socket,
)
from portward.security import policy
from portward.telemetry.events import Event

NAMESPACES: Final = "socketio_namespaces"
"""The kind of hooks that holds the handlers of the application, see `Hooks.handlers`."""
MAX_HINT: Final = 200
_NO_HANDLERS: Final = NamespaceHandlers()


def invalid(hint: str) -> CommandError:
    """Make the command error of an invalid event; `hint` has the reason."""
    return CommandError(ErrorKind.INVALID_STRUCTURE, hint=hint[:MAX_HINT])


class SocketIoNamespaces:
    """Executes Socket.IO commands; implements `ConnectionHost`."""

    def __init__(self, context: ProtocolContext) -> None:
        self._connects = ConnectAuthentication(context)
        self._subscriptions = context.subscriptions
        self._hooks = context.hooks
        self._background = context.node.background
        self._registry = context.node.registry
        self._replies = context.replies
        self._telemetry = context.node.telemetry

    def handlers(self, session: Session, nsp: str) -> NamespaceHandlers:
        """Return the handlers of the application for a Socket.IO namespace."""
        return self._all_handlers(session).get(nsp, _NO_HANDLERS)

    def _all_handlers(self, session: Session) -> Mapping[str, NamespaceHandlers]:
        return self._hooks.handler(NAMESPACES, session) or {}

    # -- opening

    async def open(self, session: Session, command: OpenSocket) -> Reply:
        """Open a namespace for a client. Its first CONNECT authenticates it; a failure closes the session.

        A client that cannot enter now gets an error and may try again. A client that is already in the
        namespace gets the same answer as the first time.

        Raises:
            CommandError: `UNKNOWN_NAMESPACE`; the new token of a client in the namespace is rejected; or the
                reason for which the session was closed.
        """
        connection = connection_of(session)
        socket = connection.sockets.get(command.nsp)
        if socket is not None:
            await self._connects.prove_again(session, command)
            return Opened(nsp=socket.nsp, sid=socket.sid) if socket.open else Done()
        if command.nsp != ROOT and command.nsp not in self._all_handlers(session):
            raise CommandError(ErrorKind.UNKNOWN_NAMESPACE)
        connection.opening = command.nsp
        await self._connects.prove(session, command)
        if not session.alive:
            raise CommandError(ErrorKind.NOT_AUTHENTICATED)
        socket = connection.enter(command.nsp)
        if command.nsp != ROOT and not await self._subscribe(session, connection, socket):
            return Done()
        self._replies.reply(session, command, Opened(nsp=command.nsp, sid=socket.sid))
        await self._connected(session, socket, command.auth)
        return Done()

    async def _subscribe(
        self, session: Session, connection: SocketIoConnection, socket: Socket
    ) -> bool:
        """Subscribe a client to the channel of its namespace. Returns False when it is no longer in it."""
        namespace = session.endpoint.namespace
        family = namespace.name if namespace is not None else ""
        try:
            await self.join(session, channel_of(family, socket.nsp))
        except (CommandError, Unavailable) as error:
            fault = (
                error if isinstance(error, CommandError) else CommandError(ErrorKind.UNAVAILABLE)
            )
            if session.alive and socket.open:
                connection.leave(socket.nsp)
                code = codes.fault_code(fault)
                message = codes.ERROR_TEXTS.get(code, fault.kind.text)
                session.send_raw(packets.connect_error(socket.nsp, message, code))
        except BaseException:
            connection.leave(socket.nsp)
            raise
        return socket.open

    async def _connected(self, session: Session, socket: Socket, auth: dict[str, Any]) -> None:
        handler = self.handlers(session, socket.nsp).connect
        if handler is None:
            return
        try:
            result = await self._hooks.run(session, handler, socket, auth)
        except Exception as error:  # noqa: BLE001 - the application's code may raise anything
            self._hooks.failed(error)
            result = False
        if result is False:
            socket.disconnect()

    # -- rooms of the application

    async def join(self, session: Session, channel: Channel) -> None:
        """Subscribe a client for the application, regardless of the rights of the client.

        Raises:
            CommandError: the session has too many subscriptions, or has ended.
        """
        if channel in session.subscriptions:
            return
        grant = policy.trusted(Subscribe(channel=channel))
        reply = await self._subscriptions.subscribe(session, grant, trusted=True)
        for push in reply.later:
            session.push(push)

    def quit(self, session: Session, channel: Channel) -> None:
        """Unsubscribe a client."""
        self._subscriptions.leave(session, channel)

    def present(self, family: str, nsp: str) -> list[Socket]:
        """Return every socket in a namespace, at the endpoints whose channels are in namespace `family`."""
        found = []
        for session in self._registry:
            namespace, protocol = session.endpoint.namespace, session.protocol
            if namespace is not None and namespace.name == family:
                sockets = protocol.sockets if isinstance(protocol, SocketIoConnection) else {}
                found += [sockets[nsp]] if nsp in sockets else []
        return found

    # -- closing

    async def close(self, session: Session, command: CloseSocket) -> Reply:
        """Close a namespace for a client; it leaves its rooms there too."""
        socket = connection_of(session).leave(command.nsp)
        if socket is not None:
            self.left(session, socket, "client")
        return Done()

    def remove(self, session: Session, nsp: str) -> None:
        """Remove a client from a namespace, and inform it."""
        connection_of(session).remove(nsp)

    def left(self, session: Session, socket: Socket, reason: str) -> None:
        """End the subscriptions of a socket that has left, and call the handler of the application."""
        for channel in list(session.subscriptions):
            if nsp_of(channel) == socket.nsp:
                self._subscriptions.leave(session, channel)
        self._disconnected(session, socket, reason)

    def ended(self, session: Session, sockets: Iterable[Socket], ending: Disconnect) -> None:
        """Call the handlers of the application for the sockets of an ended session."""
        self._telemetry.metrics.workspaces.leave(session.id)
        for socket in sockets:
            self._disconnected(session, socket, ending.name.lower())

    def _disconnected(self, session: Session, socket: Socket, reason: str) -> None:
        handler = self.handlers(session, socket.nsp).disconnect
        if handler is not None:
            self._background.run(self._hooks.call(handler, socket, reason))

    def rate_limited(self, session: Session) -> None:
        """Record the event of the older workspace gateway, beside the gateway's own."""
        self._telemetry.record(Event.RATE_LIMIT_EXCEEDED, clientId=session.id, ip=session.address)

    # -- events

    async def call(self, session: Session, command: Call) -> Reply:
        """Call the handler of an event; its return value is the acknowledgement.

        Raises:
            CommandError: there is no handler, its schema rejects the argument, or it failed.
            Unavailable: the handler needs a service that is unreachable now.
        """
        socket = connection_of(session).sockets.get(command.nsp)
        found = self.handlers(session, command.nsp).events.get(command.event)
        if found is None or socket is None:
            raise CommandError(ErrorKind.UNKNOWN_TYPE, hint="unknown event")
        arguments = read(found, command.arguments)
        result = await outcome(self._hooks, session, found.handler, socket, *arguments)
        if isinstance(result, Called):
            return result
        if result is None:
            return Called()
        return Called(result=result if isinstance(result, tuple) else (result,))


async def outcome(hooks: HookRunner, session: Session, handler: Handler, *arguments: Any) -> Any:
    """Call a handler and return its result; its refusal (`EventError`) is returned as :class:`Called`.

    Raises:
        CommandError: `INTERNAL`, it failed; the error is recorded.
        Unavailable: it needs a service that is unreachable now.
    """
    try:
        return await hooks.run(session, handler, *arguments)
    except EventError as error:
        return Called(result=(error.answer,))
    except Unavailable:
        raise
    except Exception as error:  # noqa: BLE001 - the application's code may raise anything
        hooks.failed(error)
        raise CommandError(ErrorKind.INTERNAL, detail="handler") from None


def read(handler: EventHandler, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Convert the arguments for the handler. Fields that its schema does not name are rejected.

    Raises:
        CommandError: `INVALID_STRUCTURE`, they do not match the schema.
    """
    schema = handler.schema
    if schema is None:
        _check_count(handler, arguments)
        return arguments
    if len(arguments) != 1:
        raise invalid("one argument is expected")
    given = arguments[0]
    known: set[str | None] = {field.encode_name for field in msgspec.structs.fields(schema)}
    known.add(schema.__struct_config__.tag_field)
    if isinstance(given, dict) and not given.keys() <= known:
        raise invalid("unknown field")
    try:
        return (msgspec.convert(given, schema),)
    except msgspec.ValidationError as error:
        raise invalid(str(error)) from None


def _check_count(handler: EventHandler, arguments: tuple[Any, ...]) -> None:
    """Reject a wrong number of arguments before the handler fails because of it."""
    try:
        signature = inspect.signature(handler.handler)
    except ValueError:  # some functions not written in Python have no signature
        return
    try:
        signature.bind(None, *arguments)
    except TypeError:
        raise invalid("not the arguments of this event") from None
