"""Socket.IO namespaces: letting clients in, calling the application's handlers, and sending them out."""

from collections.abc import Callable, Mapping
from typing import Any

from portward.dialects.socketio import ROOT, encode, packets, payloads
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
from portward.node.background import Background
from portward.node.hooks import HookRunner
from portward.node.session import Session
from portward.node.socketio_connect import ConnectAuthentication
from portward.node.socketio_connection import SocketIoConnection, conversation
from portward.node.socketio_handlers import outcome, read
from portward.node.socketio_server import NamespaceHandlers, Socket
from portward.node.subscriptions import Subscriptions
from portward.security import policy

_NOBODY = NamespaceHandlers()


class SocketIoNamespaces:
    """Opens, closes and calls. `connects` judges who asks to be let in; `tell` answers a command."""

    def __init__(
        self,
        connects: ConnectAuthentication,
        membership: Subscriptions,
        hooks: HookRunner,
        background: Background,
        registry: Registry[Session],
        tell: Callable[[Session, Command, Reply], None],
    ) -> None:
        self._connects = connects
        self._membership = membership
        self._hooks = hooks
        self._background = background
        self._registry = registry
        self._tell = tell

    def handlers(self, session: Session) -> Mapping[str, NamespaceHandlers]:
        """The application's handlers by namespace."""
        return self._hooks.sockets(session)

    # -- in

    async def open(self, session: Session, command: OpenSocket) -> Reply:
        """Let a client into a namespace. Its first one proves who it is, and a failure ends the session.

        One that cannot be let in now is told so, and may try again. A client that is in already is
        answered as at first.

        Raises:
            Fault: `UNKNOWN_NAMESPACE`; another token of a client that is in is refused; or whatever
                ended the session.
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
        """Answer a CONNECT that came twice with the same id."""
        await self._connects.prove_again(session, command)
        return Opened(nsp=socket.nsp, sid=socket.sid) if socket.open else Done()

    async def _settle(self, session: Session, talk: SocketIoConnection, socket: Socket) -> bool:
        """Have a client hear its namespace; False when it is not in it after all, and knows."""
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
        """Hear a channel that the application chose, whatever rights the client has.

        Raises:
            Fault: it has too many subscriptions, or has ended.
        """
        if channel in session.subscriptions:
            return
        grant = policy.trusted(Subscribe(channel=channel))
        reply = await self._membership.subscribe(session, grant, trusted=True)
        for push in reply.later:
            session.push(push)

    def quit(self, session: Session, channel: Channel) -> None:
        """Hear a channel no longer."""
        self._membership.leave(session, channel)

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
        """Every client in a namespace, at the endpoints whose channels are of one family."""
        found = []
        for session in self._registry:
            namespace = session.endpoint.namespace
            if isinstance(session.conversation, SocketIoConnection) and namespace is not None:
                socket = session.conversation.sockets.get(nsp)
                if socket is not None and namespace.name == family:
                    found.append(socket)
        return found

    # -- out

    async def close(self, session: Session, command: CloseSocket) -> Reply:
        """A client leaves a namespace, and with it the rooms it has there."""
        socket = conversation(session).leave(command.nsp)
        if socket is not None:
            self._left(session, socket, "client")
        return Done()

    def _dismissed(self, session: Session) -> Callable[[Socket], None]:
        return lambda socket: self._left(session, socket, "server")

    def ended(self, session: Session, ending: Disconnect) -> None:
        """The session is over: its clients have left every namespace."""
        if isinstance(session.conversation, SocketIoConnection):
            for socket in session.conversation.over():
                self._farewell(session, socket, ending.name.lower())

    def _left(self, session: Session, socket: Socket, reason: str) -> None:
        for channel in list(session.subscriptions):
            if encode.nsp_of(channel) == socket.nsp:
                self._membership.leave(session, channel)
        self._farewell(session, socket, reason)

    def _farewell(self, session: Session, socket: Socket, reason: str) -> None:
        handler = self.handlers(session).get(socket.nsp, _NOBODY).disconnect
        if handler is not None:
            self._background.run(self._hooks.call(handler, socket, reason))

    # -- events

    async def call(self, session: Session, command: Call) -> Reply:
        """Have the application handle an event; what it returns is the acknowledgement.

        Raises:
            Fault: there is no handler, its schema refuses the argument, or it failed.
            Unavailable: the handler needed what cannot be reached now.
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
    """The channel behind a Socket.IO namespace other than the root, or a room in it.

    Raises:
        ValueError: the root has none, or it cannot be the name of one.
    """
    if nsp == ROOT:
        raise ValueError("the root namespace has the rooms of workspaces alone")
    return Channel.parse(f"{namespace}:{nsp}" if room is None else f"{namespace}:{nsp},{room}")


def _channel(session: Session, nsp: str) -> Channel:
    namespace = session.endpoint.namespace
    return channel_of(namespace.name if namespace is not None else "", nsp)
