"""Socket.IO namespaces: opening and closing them, and calls of the handlers of the application."""

from collections.abc import Callable, Mapping
from typing import Any

from portward.hub.registry import Registry
from portward.model.channel import Channel
from portward.model.commands import (
    Call,
    CloseSocket,
    Command,
    OpenSocket,
    Subscribe,
)
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind, Unavailable
from portward.model.replies import Called, Done, Opened, Reply
from portward.node.channels import Subscriptions
from portward.node.hooks import HookRunner
from portward.node.sessions import Background, Session
from portward.node.socketio_connect import ConnectAuthentication
from portward.node.socketio_connection import SocketIoConnection, conversation
from portward.node.socketio_handlers import outcome, read
from portward.node.socketio_server import NamespaceHandlers, Socket
from portward.protocols.socketio import ROOT, encode, packets, payloads
from portward.security import policy

_NOBODY = NamespaceHandlers()


class SocketIoNamespaces:
    """Executes Socket.IO commands. `connects` authorizes CONNECTs; `tell` writes the reply to a command."""

    def __init__(
        self,
        connects: ConnectAuthentication,
        subscriptions: Subscriptions,
        hooks: HookRunner,
        background: Background,
        registry: Registry[Session],
        tell: Callable[[Session, Command, Reply], None],
    ) -> None:
        self._connects = connects
        self._subscriptions = subscriptions
        self._hooks = hooks
        self._background = background
        self._registry = registry
        self._tell = tell

    def handlers(self, session: Session) -> Mapping[str, NamespaceHandlers]:
        """Return the handlers of the application by Socket.IO namespace."""
        return self._hooks.sockets(session)

    # -- opening

    async def open(self, session: Session, command: OpenSocket) -> Reply:
        """Open a namespace for a client. Its first CONNECT authenticates it; a failure closes the session.

        A client that cannot enter now gets an error and may try again. A client that is already in the
        namespace gets the same answer as the first time.

        Raises:
            CommandError: `UNKNOWN_NAMESPACE`; the new token of a client in the namespace is rejected; or the
                reason for which the session was closed.
        """
        talk = conversation(session)
        socket = talk.sockets.get(command.nsp)
        if socket is not None:
            return await self._open_again(session, socket, command)
        if command.nsp != ROOT and command.nsp not in self.handlers(session):
            raise CommandError(ErrorKind.UNKNOWN_NAMESPACE)
        talk.opening, talk.closed = command.nsp, self._dismissed(session)
        await self._connects.prove(session, command)
        if not session.alive:
            raise CommandError(ErrorKind.NOT_AUTHENTICATED)
        socket = talk.enter(command.nsp)
        if command.nsp != ROOT and not await self._settle(session, talk, socket):
            return Done()
        self._tell(session, command, Opened(nsp=command.nsp, sid=socket.sid))
        await self._welcome(session, socket, command.auth)
        return Done()

    async def _open_again(self, session: Session, socket: Socket, command: OpenSocket) -> Reply:
        """Answer a repeated CONNECT with the same socket id."""
        await self._connects.prove_again(session, command)
        return Opened(nsp=socket.nsp, sid=socket.sid) if socket.open else Done()

    async def _settle(self, session: Session, talk: SocketIoConnection, socket: Socket) -> bool:
        """Subscribe a client to the channel of its namespace. Returns False when it is no longer in it."""
        try:
            await self.join(session, _channel(session, socket.nsp))
        except (CommandError, Unavailable) as error:
            fault = (
                error if isinstance(error, CommandError) else CommandError(ErrorKind.UNAVAILABLE)
            )
            if session.alive and socket.open:
                talk.leave(socket.nsp)
                code = payloads.fault_code(fault)
                message = payloads.REFUSALS.get(code, fault.kind.text)
                session.send_raw(packets.connect_error(socket.nsp, message, code))
        except BaseException:
            talk.leave(socket.nsp)
            raise
        return socket.open

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

    async def _welcome(self, session: Session, socket: Socket, auth: dict[str, Any]) -> None:
        handler = self.handlers(session).get(socket.nsp, _NOBODY).connect
        if handler is None:
            return
        try:
            welcome = await self._hooks.run(session, handler, socket, auth)
        except Exception as error:  # noqa: BLE001 - the application's code may raise anything
            self._hooks.failed(error)
            welcome = False
        if welcome is False:
            socket.disconnect()

    def present(self, family: str, nsp: str) -> list[Socket]:
        """Return every socket in a namespace, at the endpoints whose channels are in namespace `family`."""
        found = []
        for session in self._registry:
            namespace = session.endpoint.namespace
            if isinstance(session.conversation, SocketIoConnection) and namespace is not None:
                socket = session.conversation.sockets.get(nsp)
                if socket is not None and namespace.name == family:
                    found.append(socket)
        return found

    # -- closing

    async def close(self, session: Session, command: CloseSocket) -> Reply:
        """Close a namespace for a client; it leaves its rooms there too."""
        socket = conversation(session).leave(command.nsp)
        if socket is not None:
            self._left(session, socket, "client")
        return Done()

    def _dismissed(self, session: Session) -> Callable[[Socket], None]:
        return lambda socket: self._left(session, socket, "server")

    def ended(self, session: Session, ending: Disconnect) -> None:
        """Close all namespaces of an ended session."""
        if isinstance(session.conversation, SocketIoConnection):
            for socket in session.conversation.over():
                self._farewell(session, socket, ending.name.lower())

    def _left(self, session: Session, socket: Socket, reason: str) -> None:
        for channel in list(session.subscriptions):
            if encode.nsp_of(channel) == socket.nsp:
                self._subscriptions.leave(session, channel)
        self._farewell(session, socket, reason)

    def _farewell(self, session: Session, socket: Socket, reason: str) -> None:
        handler = self.handlers(session).get(socket.nsp, _NOBODY).disconnect
        if handler is not None:
            self._background.run(self._hooks.call(handler, socket, reason))

    # -- events

    async def call(self, session: Session, command: Call) -> Reply:
        """Call the handler of an event; its return value is the acknowledgement.

        Raises:
            CommandError: there is no handler, its schema rejects the argument, or it failed.
            Unavailable: the handler needs a service that is unreachable now.
        """
        socket = conversation(session).sockets.get(command.nsp)
        found = self.handlers(session).get(command.nsp, _NOBODY).events.get(command.event)
        if found is None or socket is None:
            raise CommandError(ErrorKind.UNKNOWN_TYPE, hint="unknown event")
        arguments = read(found, command.arguments)
        result = await outcome(self._hooks, session, found.handler, socket, *arguments)
        if isinstance(result, Called):
            return result
        if result is None:
            return Called()
        return Called(result=result if isinstance(result, tuple) else (result,))


def channel_of(namespace: str, nsp: str, room: str | None = None) -> Channel:
    """Return the channel of a Socket.IO namespace other than the root, or of a room in it.

    Raises:
        ValueError: the root has no channel, or the names do not form a channel name.
    """
    if nsp == ROOT:
        raise ValueError("the root namespace has the rooms of workspaces alone")
    return Channel.parse(f"{namespace}:{nsp}" if room is None else f"{namespace}:{nsp},{room}")


def _channel(session: Session, nsp: str) -> Channel:
    namespace = session.endpoint.namespace
    return channel_of(namespace.name if namespace is not None else "", nsp)
