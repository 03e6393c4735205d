"""Opening of sessions after an admitted handshake."""

from functools import partial

from portward.model.commands import Command
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind, Unavailable
from portward.model.identity import Identity
from portward.model.replies import Welcome
from portward.node.cluster import Revalidation
from portward.node.commands import Dispatcher
from portward.node.handshake.session_host import NodeSessionHost
from portward.node.handshake.session_lifecycle import LifecycleReports
from portward.node.relay import Relays
from portward.node.rights import IdentityBinding, ResumableSessions
from portward.node.sessions import HandshakeFacts, NodeContext, Session, Transport
from portward.node.socketio_connection import SocketIoConnection
from portward.node.socketio_namespaces import SocketIoNamespaces
from portward.protocols.socketio import SocketIoProtocol


class HandshakeCompletion:
    """Binds the identity of a handshake, and does what the handshake requested."""

    def __init__(
        self,
        context: NodeContext,
        binding: IdentityBinding,
        resumable: ResumableSessions,
        dispatcher: Dispatcher,
        revalidation: Revalidation,
        relays: Relays,
    ) -> None:
        self._telemetry = context.telemetry
        self._call_soon = context.call_soon
        self._binding = binding
        self._resumable = resumable
        self._dispatcher = dispatcher
        self._revalidation = revalidation
        self._relays = relays

    async def complete(self, session: Session, identity: Identity) -> None:
        """Complete one handshake. Raises no error: an error ends the session."""
        try:
            await self._complete(session, identity)
        except CommandError as fault:
            if fault.kind is ErrorKind.MODEL_REFUSED:
                self._dispatcher.reply_error(session, fault)
                # Not at once: ending with this disconnect drops queued messages, and the reply may be queued.
                end = partial(
                    session.end, Disconnect.PERMISSION_LOST, "a model that is not allowed"
                )
                self._call_soon(end)
                return
            session.end(Disconnect.AUTH_FAILED, f"after the handshake: {fault}")
        except Unavailable:
            session.end(Disconnect.INTERNAL, "after the handshake: the store cannot be asked")
        except Exception as error:  # noqa: BLE001 - as in the dispatcher
            self._telemetry.failure(error)
            session.end(Disconnect.INTERNAL, "after the handshake")

    async def _complete(self, session: Session, identity: Identity) -> None:
        authenticated = session.endpoint.rules.authenticated
        if authenticated:
            await self._binding.bind(session, identity)
        else:
            self._binding.admit(session, identity)
        if session.handshake.cookies:
            self._revalidation.begin(session)
        if session.handshake.transparent:
            await self._relays.connect(session, None)
        elif session.endpoint.protocol.resumable and authenticated:
            reply = await self._resumable.open(session, identity)
            self._dispatcher.reply(session, Command(), reply)


class SessionOpening:
    """Creates the sessions of admitted handshakes."""

    def __init__(
        self,
        context: NodeContext,
        host: NodeSessionHost,
        lifecycle: LifecycleReports,
        completion: HandshakeCompletion,
        sockets: SocketIoNamespaces,
    ) -> None:
        self._registry = context.registry
        self._host = host
        self._lifecycle = lifecycle
        self._completion = completion
        self._sockets = sockets

    def open(self, handshake: HandshakeFacts, transport: Transport, *, draining: bool) -> Session:
        """Create and register a session, send `Welcome`, and bind the identity of its handshake.

        While the node is `draining`, the session ends at once.
        """
        session = Session(self._host, handshake, transport)
        protocol = session.endpoint.protocol
        if isinstance(protocol, SocketIoProtocol):
            session.conversation = SocketIoConnection(session, protocol, self._sockets)
        self._registry.add(session)
        self._lifecycle.connected(session)
        session.push(Welcome(connection_id=session.id))
        session.begin()
        if draining:
            session.end(Disconnect.SHUTDOWN, "let in before the drain began")
        elif handshake.identity is not None and session.conversation is None:
            session.run(self._completion.complete(session, handshake.identity))
        return session
